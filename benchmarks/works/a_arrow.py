"""Arrow -> DuckDB: batches of Arrow in memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import Work, batches, fresh, fresh_dlt, load_by_hand, parquet


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:

    return lambda: load_by_hand(fresh(folder, "by hand"), given)


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from benchmarks.given_source import GivenSource
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.batch import Batch
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sync import sync

    def load() -> None:
        read = StreamRead(
            GivenSource([Batch(one) for one in given]), Stream("t", replication_key="id")
        )
        sync(read, DuckDBDestination(fresh(folder, "ours")))

    return load


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    import dlt

    pipeline = fresh_dlt(folder)
    return lambda: pipeline.run(dlt.resource(given, name="t", write_disposition="append"))


WORK = Work(
    title="Arrow -> DuckDB",
    rows=(500_000, 100_000),
    prepare=parquet,
    given=batches,
    candidates={"by hand": by_hand, "ours": ours, "dlt": dlt},
    target_without_imports=1.3,
)
