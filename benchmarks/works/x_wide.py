"""Wide tables, PostgreSQL -> DuckDB: 300 columns; by hand COPY to a CSV file, read with explicit columns."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.work import BY_HAND, OURS, InDuckDB, Work, fresh

KINDS = {
    "bigint": "i * {n} % 1000003",
    "integer": "(i + {n}) % 97",
    "double precision": "(i * {n} % 10007) / 8.0",
    "numeric(12,2)": "i * {n} % 100000 / 100.0",
    "text": "CASE WHEN (i + {n}) % 5 <> 0 THEN 'text ' || i % {n} END",
    "timestamp": "timestamp '2026-01-01' + (i * {n} % 1000000) * interval '1 second'",
}
WIDTH = 300
COLUMNS = {f"c{n}": list(KINDS)[n % len(KINDS)] for n in range(1, WIDTH)}
CHECK = (
    "SELECT COUNT(*), SUM(id), SUM(c6), SUM(c7), SUM(c8), SUM(c9), SUM(LENGTH(c10)), "
    "CAST(MAX(c11) AS VARCHAR), SUM(c294), SUM(LENGTH(c298)), CAST(MIN(c299) AS VARCHAR) FROM t"
)


def prepare(folder: Path, rows: int) -> None:
    columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
    values = ", ".join(
        KINDS[type_].format(n=n) for n, type_ in enumerate(COLUMNS.values(), start=1)
    )
    with servers.postgres() as server:
        server.execute(f"CREATE TABLE wide (id bigint PRIMARY KEY, {columns})")
        server.execute(
            f"INSERT INTO wide SELECT i, {values} FROM generate_series(1::bigint, {rows}) i"
        )
        server.execute("VACUUM ANALYZE wide")


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    def load() -> None:
        import duckdb

        types = {"id": "bigint", **COLUMNS}
        declared = ", ".join(f"{name} {type_}" for name, type_ in types.items())
        columns = ", ".join(f"'{name}': '{type_}'" for name, type_ in types.items())
        path = folder / "wide.csv"
        told = "COPY wide TO STDOUT (FORMAT csv)"
        with (
            servers.postgres() as server,
            path.open("wb") as out,
            server.cursor().copy(told) as copy,
        ):
            for row in copy:
                out.write(row)
        with duckdb.connect(fresh(folder, BY_HAND)) as connection:
            connection.execute(f"CREATE SCHEMA bench; CREATE TABLE bench.wide ({declared})")
            connection.execute(
                f"INSERT INTO bench.wide SELECT * FROM read_csv('{path}', columns={{{columns}}}, header=false, "
                "delim=',', quote='\"', escape='\"', nullstr='', auto_detect=false)"
            )
        path.unlink()

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    def load() -> None:
        from etl_assets.destinations.duckdb.destination import DuckDBDestination
        from etl_assets.model.stream import Stream
        from etl_assets.sources.read import StreamRead
        from etl_assets.sources.sql import PostgresSource
        from etl_assets.sync import sync

        source = PostgresSource(servers.url(servers.POSTGRES), name="bench", schema="public")
        sync(StreamRead(source, Stream("wide")), DuckDBDestination(fresh(folder, OURS)))

    return load


WORK = Work(
    title="PostgreSQL -> DuckDB, 50,000 rows of 300 columns",
    rows=(50_000, 2_000),
    prepare=prepare,
    candidates={BY_HAND: by_hand, OURS: ours},
    loaded=lambda folder, candidate: InDuckDB(folder, candidate, table="wide"),
    check=CHECK,
    servers=(servers.POSTGRES,),
)
