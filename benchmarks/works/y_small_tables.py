"""PostgreSQL -> DuckDB: 200 tables of 100 rows, each synced by itself; by hand a loop of SELECT and INSERT."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.work import InDuckDB, Work, fresh

TABLES, FEW = 200, 20
COLUMNS = (
    "id bigint PRIMARY KEY, name text, price numeric(12, 2), count integer, flag boolean, "
    "made timestamptz NOT NULL, day date, note text"
)
ROWS = (
    "SELECT n, 'name ' || n, n * 1.25, n % 7, n % 2 = 0, timestamptz '2026-01-01Z' + n * interval '1 hour', "
    "date '2026-01-01' + n::int, CASE WHEN n % 3 = 0 THEN 'note' END FROM generate_series(1, 100) n"
)
IN_DUCKDB = (
    "id BIGINT, name VARCHAR, price DECIMAL(12, 2), count INTEGER, flag BOOLEAN, "
    "made TIMESTAMPTZ, day DATE, note VARCHAR"
)
SCHEMA = "small"
CHECK = "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)), SUM(price), SUM(count), MAX(made), MAX(day) FROM t"


def prepare(folder: Path, rows: int) -> None:
    (folder / "tables").write_text(str(rows))
    with servers.postgres() as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.execute(f"CREATE SCHEMA {SCHEMA}")
        for number in range(rows):
            connection.execute(f"CREATE TABLE {SCHEMA}.t{number} ({COLUMNS})")
            connection.execute(f"INSERT INTO {SCHEMA}.t{number} {ROWS}")
        connection.execute("ANALYZE")


def given(folder: Path) -> list[str]:
    return [f"t{number}" for number in range(int((folder / "tables").read_text()))]


def loaded(folder: Path, candidate: str) -> InDuckDB:
    return InDuckDB(folder, candidate, table="t7")


def by_hand(folder: Path, given: list[str]) -> Callable[[], Any]:
    file = fresh(folder, "by hand")

    def load() -> None:
        import duckdb

        with servers.postgres() as source, duckdb.connect(file) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("CREATE SCHEMA bench")
            for name in given:
                rows = source.execute(f"SELECT * FROM {SCHEMA}.{name}").fetchall()
                marks = ", ".join(f"({', '.join('?' * len(rows[0]))})" for _ in rows)
                connection.execute(f"CREATE TABLE bench.{name} ({IN_DUCKDB})")
                values = [value for row in rows for value in row]
                connection.execute(f"INSERT INTO bench.{name} VALUES {marks}", values)

    return load


def ours(folder: Path, given: list[str]) -> Callable[[], Any]:
    file = fresh(folder, "ours")

    def load() -> None:
        from etl_assets import DuckDBDestination, PostgresSource, Stream, StreamRead
        from etl_assets.sync import sync

        source = PostgresSource(servers.url(servers.POSTGRES), name="bench", schema=SCHEMA)
        destination = DuckDBDestination(file)
        for name in given:
            sync(StreamRead(source, Stream(name)), destination)

    return load


WORK = Work(
    title="200 tables of 100 rows, PostgreSQL -> DuckDB",
    rows=(TABLES, FEW),
    prepare=prepare,
    given=given,
    candidates={"by hand": by_hand, "ours": ours},
    loaded=loaded,
    check=CHECK,
    servers=(servers.POSTGRES,),
    whole=True,
    rounds=3,
)
