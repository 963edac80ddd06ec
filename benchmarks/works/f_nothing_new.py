"""Nothing new, SQLite -> DuckDB: a program that looks for new rows and finds none; its start and imports count."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import Work, again, dlt_pipeline, keep
from benchmarks.works import c_sqlite


def before_by_hand(folder: Path) -> None:
    c_sqlite.by_hand(folder, None)()
    keep(folder, "by hand")


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, "by hand")

    def look() -> None:
        import sqlite3

        import duckdb

        source = sqlite3.connect(folder / "rows.db")
        with duckdb.connect(file) as connection:
            there = connection.execute("SELECT MAX(id) FROM bench.t").fetchall()[0][0]
            source.execute("SELECT * FROM t WHERE id > ?", [there]).fetchall()
        source.close()

    return look


def before_ours(folder: Path) -> None:
    c_sqlite.ours(folder, None)()
    keep(folder, "ours")


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, "ours")

    def look() -> None:
        from etl_assets.destinations.duckdb.destination import DuckDBDestination
        from etl_assets.model.stream import Stream
        from etl_assets.sources.read import StreamRead
        from etl_assets.sources.sql import SqlSource
        from etl_assets.sync import sync

        source = SqlSource(name="bench", url=f"sqlite:///{folder / 'rows.db'}")
        sync(StreamRead(source, Stream("t", replication_key="id")), DuckDBDestination(file))

    return look


def before_dlt(folder: Path) -> None:
    c_sqlite.dlt(folder, None)()
    keep(folder, "dlt")


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, "dlt")
    return lambda: dlt_pipeline(folder, file).run(c_sqlite.dlt_table(folder))


WORK = Work(
    title="nothing new, SQLite -> DuckDB",
    rows=(20_000, 20_000),
    prepare=c_sqlite.prepare,
    before={"by hand": before_by_hand, "ours": before_ours, "dlt": before_dlt},
    candidates={"by hand": by_hand, "ours": ours, "dlt": dlt},
    whole=True,
)
