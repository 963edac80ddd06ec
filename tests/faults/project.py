"""A Dagster project whose source is a file of JSON lines, to be killed. It is run by the tests, in its own process.

The source gives 10 rows a batch, each batch with the bookmark that covers it, and reads `>` its bookmark, so that a row
that is lost or doubled is the fault of whoever keeps the bookmark.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from etl_assets import (
    Batch,
    Destination,
    DuckDBDestination,
    MySQLDestination,
    PostgresDestination,
    Source,
    SQLiteDestination,
    Stream,
    stream_assets,
)

BATCH = 10


class Lines(Source):
    streams = [
        Stream("append", replication_key="n"),
        Stream("merge", primary_key=["id"], replication_key="n"),
        Stream("replace"),
    ]

    def load_data(
        self,
        stream: Stream,
        bookmarks: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Batch]:
        del query, kwargs
        with Path(os.environ["ROWS"]).open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        after = (bookmarks or {}).get("n", -1)
        rows = [row for row in rows if row["n"] > after]
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            bookmark = {"n": batch[-1]["n"]} if stream.cursor else None
            yield Batch(batch, bookmark=bookmark)


def destination() -> Destination:
    """Give the destination that the environment names: a file, or a server with the schema to load into."""
    warehouse, schema = os.environ["WAREHOUSE"], os.environ.get("SCHEMA", "")
    if warehouse.startswith("postgresql:"):
        return PostgresDestination(warehouse, schema_name=schema, state_schema=f"{schema}_state")
    if warehouse.startswith("mysql:"):
        return MySQLDestination(warehouse, schema_name=schema, state_schema=schema)
    if warehouse.endswith(".sqlite"):
        return SQLiteDestination(warehouse)
    return DuckDBDestination(warehouse)


assets = stream_assets(Lines(name="lines"), destination=destination())
defs = dg.Definitions(assets=assets)
