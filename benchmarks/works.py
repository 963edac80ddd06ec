"""The works that are measured: each has what is prepared once, the shortest way by hand, and ours.

Run as `python -m benchmarks.works NAME CANDIDATE FOLDER`, prints one line of JSON: CPU seconds and a checksum.
"""

import json
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy

from etl_assets.destinations.duckdb import DuckDBDestination
from etl_assets.protocol.batch import Batch
from etl_assets.protocol.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql import SqlSource
from etl_assets.sync import sync

ROWS = 500_000
ROWS_OF_DICTS = 100_000
UPSERTS = 50_000
BATCH = 50_000
CHECK = "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)), ROUND(SUM(price), 2) FROM "


@dataclass(frozen=True)
class Work:
    """One thing to do.

    Args:
        prepare: Puts files into a folder, once.
        given: What both candidates are given; read from the folder, not timed.
        by_hand: The shortest way; gives the file to check.
        ours: Ours; gives the file to check.
    """

    prepare: Callable[[Path], None]
    given: Callable[[Path], Any]
    by_hand: Callable[[Path, Any], str]
    ours: Callable[[Path, Any], str]


def table(rows: int, first: int = 0) -> pa.Table:
    """Give rows of eight columns, the same at each call."""
    chance = random.Random(first)
    ids = range(first, first + rows)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "name": pa.array([f"name {i % 1000}" for i in ids], pa.string()),
            "price": pa.array([round(chance.random() * 100, 2) for _ in ids], pa.float64()),
            "weight": pa.array([chance.random() for _ in ids], pa.float64()),
            "count": pa.array([i % 97 for i in ids], pa.int32()),
            "note": pa.array([None if i % 3 else f"note {i}" for i in ids], pa.string()),
            "flag": pa.array([i % 2 == 0 for i in ids], pa.bool_()),
            "made": pa.array([1_700_000_000_000_000 + i * 1_000_000 for i in ids], pa.timestamp("us", "UTC")),
        }
    )


class Given(Source):
    """Yields what it was given."""

    def __init__(self, items: list[Any]) -> None:
        super().__init__(name="bench")
        self.items = items

    def load_data(self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any) -> Iterator[Any]:
        yield from self.items

    def orders(self, stream: Stream, query: Any = None) -> bool:
        return True


def parquet(folder: Path) -> None:
    """Prepare a Parquet file."""
    pq.write_table(table(ROWS), folder / "rows.parquet")


def batches(folder: Path) -> list[pa.Table]:
    """Read it, in batches."""
    whole = pq.read_table(folder / "rows.parquet")
    return [whole.slice(start, BATCH) for start in range(0, whole.num_rows, BATCH)]


def fresh(folder: Path, name: str) -> str:
    """Give a file that is not there."""
    path = folder / name
    path.unlink(missing_ok=True)
    return str(path)


def arrow_by_hand(folder: Path, given: Any) -> str:
    """Arrow -> DuckDB by hand."""
    file = fresh(folder, "hand.duckdb")
    with duckdb.connect(file) as connection:
        connection.execute("CREATE SCHEMA bench")
        connection.register("given", pa.concat_tables(given))
        connection.execute("CREATE TABLE bench.t AS SELECT * FROM given")
    return file


def arrow_ours(folder: Path, given: Any) -> str:
    """Arrow -> DuckDB by a sync with a cursor."""
    file = fresh(folder, "ours.duckdb")
    read = StreamRead(Given([Batch(one) for one in given]), Stream("t", replication_key="id"))
    sync(read, DuckDBDestination(file))
    return file


def dicts(folder: Path) -> list[list[dict[str, Any]]]:
    """Give rows as dicts, in batches."""
    return [one.to_pylist() for one in batches(folder)[: ROWS_OF_DICTS // BATCH]]


def prepare_dicts(folder: Path) -> None:
    """Prepare rows to be read as dicts."""
    pq.write_table(table(ROWS_OF_DICTS), folder / "rows.parquet")


def dicts_by_hand(folder: Path, given: Any) -> str:
    """Rows of dicts -> DuckDB by hand: to Arrow with a schema that is known, then as above."""
    file = fresh(folder, "hand.duckdb")
    schema = table(0).schema
    with duckdb.connect(file) as connection:
        connection.execute("CREATE SCHEMA bench")
        whole = pa.concat_tables([pa.Table.from_pylist(rows, schema=schema) for rows in given])
        connection.register("given", whole)
        connection.execute("CREATE TABLE bench.t AS SELECT * FROM given")
    return file


def dicts_ours(folder: Path, given: Any) -> str:
    """Rows of dicts -> DuckDB by a sync of a stream without a schema."""
    file = fresh(folder, "ours.duckdb")
    sync(StreamRead(Given(given), Stream("t")), DuckDBDestination(file))
    return file


def sqlite(folder: Path) -> None:
    """Prepare a SQLite file."""
    rows = table(ROWS)
    with sqlite3.connect(folder / "rows.db") as database:
        database.execute(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, price DOUBLE, weight DOUBLE, count INTEGER, note TEXT, "
            "flag BOOLEAN, made TIMESTAMP)"
        )
        values = [column.to_pylist() for column in rows.columns]
        values[-1] = [at.strftime("%Y-%m-%d %H:%M:%S") for at in values[-1]]
        database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)", zip(*values, strict=True))
    database.close()


def sqlite_by_hand(folder: Path, given: Any) -> str:
    """SQLite -> DuckDB by hand: the driver's tuples into Arrow arrays with types that are known."""
    file = fresh(folder, "hand.duckdb")
    schema = table(0).schema.set(7, pa.field("made", pa.string())).set(6, pa.field("flag", pa.int8()))
    with sqlite3.connect(folder / "rows.db") as database, duckdb.connect(file) as connection:
        connection.execute("CREATE SCHEMA bench")
        cursor = database.execute("SELECT * FROM t ORDER BY id")
        parts = []
        while rows := cursor.fetchmany(BATCH):
            arrays = [pa.array(v, f.type) for v, f in zip(zip(*rows, strict=True), schema, strict=True)]
            parts.append(pa.Table.from_arrays(arrays, schema=schema))
        connection.register("given", pa.concat_tables(parts))
        connection.execute(
            "CREATE TABLE bench.t AS SELECT * REPLACE (flag::BOOLEAN AS flag, made::TIMESTAMP AS made) FROM given"
        )
    return file


def sqlite_ours(folder: Path, given: Any) -> str:
    """SQLite -> DuckDB by `SqlSource`."""
    file = fresh(folder, "ours.duckdb")
    source = SqlSource(name="bench", url=f"sqlite:///{folder / 'rows.db'}")
    sync(StreamRead(source, Stream("t", replication_key="id")), DuckDBDestination(file))
    return file


def merged(folder: Path) -> None:
    """Prepare a table of ROWS rows, loaded by ours and by hand, and UPSERTS rows that half are there."""
    parquet(folder)
    pq.write_table(table(UPSERTS, ROWS - UPSERTS // 2), folder / "new.parquet")
    for name, load in (("hand0.duckdb", arrow_by_hand), ("ours0.duckdb", keyed)):
        Path(load(folder, batches(folder))).rename(folder / name)


KEYED = Stream("t", primary_key=["id"], replication_key="id")


def keyed(folder: Path, given: Any) -> str:
    """Load the rows that are there before."""
    file = fresh(folder, "ours.duckdb")
    sync(StreamRead(Given([Batch(one) for one in given]), KEYED), DuckDBDestination(file))
    return file


def merge_by_hand(folder: Path, given: Any) -> str:
    """Upsert by hand."""
    file = fresh(folder, "hand.duckdb")
    Path(file).write_bytes((folder / "hand0.duckdb").read_bytes())
    with duckdb.connect(file) as connection:
        connection.register("given", given)
        connection.execute("CREATE TEMP TABLE staged AS SELECT * FROM given")
        columns = [name for name in table(0).column_names if name != "id"]
        settings = ", ".join(f"{name} = s.{name}" for name in columns)
        connection.execute(
            f"MERGE INTO bench.t AS t USING staged AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET {settings} "
            f"WHEN NOT MATCHED THEN INSERT"
        )
    return file


def merge_ours(folder: Path, given: Any) -> str:
    """Upsert by a sync."""
    file = fresh(folder, "ours.duckdb")
    Path(file).write_bytes((folder / "ours0.duckdb").read_bytes())
    sync(StreamRead(Given([Batch(given)]), KEYED), DuckDBDestination(file))
    return file


def nothing_new(folder: Path) -> None:
    """Prepare a table that is loaded already."""
    sqlite(folder)
    Path(sqlite_ours(folder, None)).rename(folder / "loaded.duckdb")


def nothing_by_hand(folder: Path, given: Any) -> str:
    """Look for new rows by hand: ask both ends for their maximum."""
    file = str(folder / "loaded.duckdb")
    engine = sqlalchemy.create_engine(f"sqlite:///{folder / 'rows.db'}")
    with engine.connect() as source, duckdb.connect(file) as connection:
        there = connection.execute("SELECT MAX(id) FROM bench.t").fetchall()[0][0]
        source.execute(sqlalchemy.text("SELECT * FROM t WHERE id > :id"), {"id": there}).fetchall()
    engine.dispose()
    return file


def nothing_ours(folder: Path, given: Any) -> str:
    """Sync a stream that has nothing new."""
    file = str(folder / "loaded.duckdb")
    source = SqlSource(name="bench", url=f"sqlite:///{folder / 'rows.db'}")
    sync(StreamRead(source, Stream("t", replication_key="id")), DuckDBDestination(file))
    return file


def nothing(_folder: Path) -> None:
    """Give nothing: the candidates open the database themselves."""


WORKS = {
    "Arrow -> DuckDB": Work(parquet, batches, arrow_by_hand, arrow_ours),
    "rows of dicts -> DuckDB": Work(prepare_dicts, dicts, dicts_by_hand, dicts_ours),
    "SQLite -> DuckDB": Work(sqlite, nothing, sqlite_by_hand, sqlite_ours),
    "upserts, DuckDB": Work(merged, lambda folder: pq.read_table(folder / "new.parquet"), merge_by_hand, merge_ours),
    "nothing new, SQLite -> DuckDB": Work(nothing_new, nothing, nothing_by_hand, nothing_ours),
}


def main() -> None:
    """Run one candidate of one work."""
    name, candidate, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    work = WORKS[name]
    if candidate == "prepare":
        work.prepare(folder)
        print("{}")
        return
    given = work.given(folder)
    began = time.process_time()
    file = (work.by_hand if candidate == "by_hand" else work.ours)(folder, given)
    cpu = time.process_time() - began
    with duckdb.connect(file) as connection:
        check = connection.execute(f"{CHECK} bench.t").fetchall()[0]
    print(json.dumps({"cpu": cpu, "check": check}))


if __name__ == "__main__":
    main()
