"""Rows of dicts -> DuckDB: lists of dicts in memory, of a stream without a schema."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.work import Work, batches, fresh, fresh_dlt, load_by_hand, parquet, table


def dicts(folder: Path) -> list[list[dict[str, Any]]]:
    return [one.to_pylist() for one in batches(folder)]


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    schema = table(0).schema  # by hand it is known

    def load() -> None:
        load_by_hand(
            fresh(folder, "by hand"), [pa.Table.from_pylist(rows, schema=schema) for rows in given]
        )

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from benchmarks.given_source import GivenSource
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sync import sync

    def load() -> None:
        sync(StreamRead(GivenSource(given), Stream("t")), DuckDBDestination(fresh(folder, "ours")))

    return load


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    import dlt

    pipeline = fresh_dlt(folder)
    resource = dlt.resource(given, name="t", write_disposition="append")
    # By default it writes INSERT statements, which takes it six times as long.
    return lambda: pipeline.run(resource, loader_file_format="parquet")


WORK = Work(
    title="rows of dicts -> DuckDB",
    rows=(100_000, 20_000),
    prepare=parquet,
    given=dicts,
    candidates={"by hand": by_hand, "ours": ours, "dlt": dlt},
    target_without_imports=1.5,
)
