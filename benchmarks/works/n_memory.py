"""Memory: PostgreSQL -> DuckDB, 5 million rows; the most that the processes of each candidate held together."""

from dataclasses import replace

from benchmarks.works import i_postgres_duckdb

WORK = replace(
    i_postgres_duckdb.WORK,
    title="memory, PostgreSQL -> DuckDB, 5 M rows",
    rows=(5_000_000, 50_000),
    memory=True,
    shown="memory",
    target=500,
    rounds=1,
)
