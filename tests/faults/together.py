"""A Dagster project whose two streams share one read and one state, to be killed in a process of its own."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from etl_assets import Batch, DuckDBDestination, Source, Stream, stream_assets
from etl_assets.model.events import Checkpoint, Event, Records, SourceState, StreamEnd

BATCH = 10


class Log(Source):
    """Gives each row to both streams; after every 10 rows comes a state that covers both."""

    granularity = "source"
    streams = [
        Stream("append", replication_key="n"),
        Stream("merge", primary_key=["id"], replication_key="n"),
    ]

    def load_streams(
        self, streams: Sequence[Stream], state: SourceState, **kwargs: Any
    ) -> Iterator[Event]:
        with Path(os.environ["ROWS"]).open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        after = (state.shared or {}).get("n", -1)
        rows = [row for row in rows if row["n"] > after]
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            for stream in streams:
                yield Records(stream, Batch(batch))
            yield Checkpoint({"n": batch[-1]["n"]}, None)
        for stream in streams:
            yield StreamEnd(stream)


assets = stream_assets(Log(name="lines"), destination=DuckDBDestination(os.environ["WAREHOUSE"]))
defs = dg.Definitions(assets=assets)
