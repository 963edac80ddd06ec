"""An Airbyte connector's messages -> DuckDB: 200,000 records of 11 fields, one an object and one an array.

The connector prints a file. By hand DuckDB reads the bare records, with explicit types. Starts and
imports count.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.messages import CHECK, NAME, TYPES, prepare
from benchmarks.work import Work, fresh


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    file = fresh(folder, "by hand")

    def load() -> None:
        import duckdb

        with (folder / "records.out").open("wb") as out:
            subprocess.run([folder / NAME, "records"], stdout=out, check=True)
        with duckdb.connect(file) as connection:
            connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA bench")
            connection.execute(
                f"CREATE TABLE bench.t AS FROM read_json(?, format='newline_delimited', columns={TYPES})",
                [str(folder / "records.out")],
            )

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    file = fresh(folder, "ours")

    def load() -> None:
        from etl_assets import DuckDBDestination, get_source
        from etl_assets.sources.source_read import SourceRead
        from etl_assets.sync_source import sync_source

        source = get_source(NAME, config={}, local_executable=folder / NAME, source_name="bench")
        read = SourceRead(source, list(source.discover().values()))
        for outcome in sync_source(read, DuckDBDestination(file)):
            if outcome.error is not None:
                raise outcome.error

    return load


WORK = Work(
    title="200,000 connector messages of 11 fields -> DuckDB",
    rows=(200_000, 20_000),
    prepare=prepare,
    candidates={"by hand": by_hand, "ours": ours},
    check=CHECK,
    whole=True,
    target=1.6,
)
