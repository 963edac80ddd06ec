"""Parquet -> DuckDB: a file, as a full table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.work import Work, fresh, fresh_dlt, parquet


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:

    def load() -> None:
        with duckdb.connect(fresh(folder, "by hand")) as connection:
            connection.execute("CREATE SCHEMA bench")
            connection.execute(
                "CREATE TABLE bench.t AS FROM read_parquet(?)", [str(folder / "rows.parquet")]
            )

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.stream import Stream
    from etl_assets.sources.files.source import FileSource
    from etl_assets.sources.read import StreamRead
    from etl_assets.sync import sync

    def load() -> None:
        source = FileSource("bench", str(folder), streams={"t": "rows.parquet"})
        sync(StreamRead(source, Stream("t")), DuckDBDestination(fresh(folder, "ours")))

    return load


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    from dlt.sources.filesystem import filesystem, read_parquet

    pipeline = fresh_dlt(folder)

    def load() -> None:
        files = filesystem(bucket_url=folder.as_uri(), file_glob="rows.parquet")
        pipeline.run(
            (files | read_parquet(use_pyarrow=True)).with_name("t"), write_disposition="replace"
        )

    return load


WORK = Work(
    title="Parquet -> DuckDB",
    rows=(500_000, 100_000),
    prepare=parquet,
    candidates={"by hand": by_hand, "ours": ours, "dlt": dlt},
)
