"""A project whose runs `test_operations_launched.py` cancels, limits, and has go on from their failure."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from etl_assets import (
    DuckDBDestination,
    Stream,
    build_run_summary_sensor,
    build_source_sensor,
    stream_assets,
)
from etl_assets.exceptions import StreamReadError
from etl_assets.sources.sql import SqlSource

FOLDER = Path(os.environ["LAUNCHED_IN"])
HELD = FOLDER / "held"
"""While it is there, a read waits after its rows, before it ends."""
READING = FOLDER / "reading"
"""In this folder, each read has a file while it goes on."""
CUT = FOLDER / "cut"
"""While it is there, the reads of the stream that it names fail."""

STREAMS = [
    Stream("orders", primary_key="id", replication_key="updated_at"),
    Stream("customers", primary_key="id", replication_key="updated_at"),
]


class Held(SqlSource):
    """A SQL source whose reads can be held up and cut from outside; it notes how many go on at once."""

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        if CUT.exists() and CUT.read_text() == stream.name:
            raise StreamReadError(f"The line of {stream.name} was cut.", stream=stream.name)
        READING.mkdir(exist_ok=True)
        mine = READING / f"{self.name}.{stream.name}"
        mine.touch()
        try:
            with (FOLDER / "at_once").open("a") as noted:
                noted.write(f"{len(list(READING.iterdir()))}\n")
            yield from super().load_data(stream, bookmarks, query, **kwargs)
            while HELD.exists():
                time.sleep(0.1)
        finally:
            mine.unlink()


def _source(name: str) -> SqlSource:
    return Held(name, f"sqlite:///{FOLDER}/shop.db", streams=STREAMS)


shop, crm = _source("shop"), _source("crm")
shop_assets = stream_assets(
    shop, destination=DuckDBDestination(str(FOLDER / "lake.duckdb")), pool="shop_db"
)
crm_assets = stream_assets(
    crm,
    destination=DuckDBDestination(str(FOLDER / "warehouse.duckdb")),
    granularity="source",
    pool="shop_db",
)

defs = dg.Definitions(
    assets=[*shop_assets, *crm_assets],
    sensors=[
        build_source_sensor(shop, assets=shop_assets, minimum_interval_seconds=1, runs="tick"),
        build_run_summary_sensor([*shop_assets, *crm_assets], minimum_interval_seconds=1),
    ],
)
