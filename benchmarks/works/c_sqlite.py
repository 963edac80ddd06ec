"""SQLite -> DuckDB: a table, incrementally, for the first time."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import programs
from benchmarks.work import BATCH, Work, fresh, fresh_dlt, load_by_hand, table

COLUMNS = "id INTEGER PRIMARY KEY, name TEXT, price DOUBLE, weight DOUBLE, count INTEGER, note TEXT, flag BOOLEAN, made TEXT"


def prepare(folder: Path, rows: int) -> None:
    values = [column.to_pylist() for column in table(rows).columns]
    values[-1] = [at.strftime("%Y-%m-%d %H:%M:%S") for at in values[-1]]
    database = sqlite3.connect(folder / "rows.db")
    with database:
        database.execute(f"CREATE TABLE t ({COLUMNS})")
        database.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", zip(*values, strict=True)
        )
    database.close()


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    import pyarrow as pa

    schema = (
        table(0).schema.set(7, pa.field("made", pa.string())).set(6, pa.field("flag", pa.int8()))
    )

    def load() -> None:
        database = sqlite3.connect(folder / "rows.db")
        cursor = database.execute("SELECT * FROM t ORDER BY id")
        parts = []
        while rows := cursor.fetchmany(BATCH):
            arrays = [
                pa.array(v, f.type) for v, f in zip(zip(*rows, strict=True), schema, strict=True)
            ]
            arrays[6] = arrays[6].cast(pa.bool_())
            parts.append(pa.table(arrays, schema.names))
        database.close()
        load_by_hand(fresh(folder, "by hand"), parts)

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sources.sql import SqlSource
    from etl_assets.sync import sync

    def load() -> None:
        source = SqlSource(name="bench", url=f"sqlite:///{folder / 'rows.db'}")
        sync(
            StreamRead(source, Stream("t", replication_key="id")),
            DuckDBDestination(fresh(folder, "ours")),
        )

    return load


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    pipeline = fresh_dlt(folder)
    return lambda: pipeline.run(dlt_table(folder))


def dlt_table(folder: Path) -> Any:
    import dlt
    from dlt.sources.sql_database import sql_table

    return sql_table(
        credentials=f"sqlite:///{folder / 'rows.db'}",
        table="t",
        incremental=dlt.sources.incremental("id"),
        backend="pyarrow",
        chunk_size=BATCH,
        write_disposition="append",
    )


def ingestr(folder: Path, given: Any) -> Callable[[], Any]:
    fresh(folder, "ingestr")
    into = programs.duckdb_file(folder, "ingestr")
    return programs.ingestr(f"sqlite:///{folder / 'rows.db'}", "main.t", into, "bench.t")


def sling(folder: Path, given: Any) -> Callable[[], Any]:
    fresh(folder, "sling")
    into = programs.duckdb_file(folder, "sling")
    return programs.sling(f"sqlite://{folder / 'rows.db'}", "main.t", into, "bench.t")


WORK = Work(
    title="SQLite -> DuckDB",
    rows=(200_000, 20_000),
    prepare=prepare,
    candidates={"by hand": by_hand, "ours": ours, "dlt": dlt, "ingestr": ingestr, "sling": sling},
)
