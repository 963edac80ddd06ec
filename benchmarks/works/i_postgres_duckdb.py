"""PostgreSQL -> DuckDB: a table, in full; by hand COPY to a CSV file, which DuckDB reads with explicit columns."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import lineitem, programs, servers
from benchmarks.work import InDuckDB, Work, fresh, fresh_dlt


def prepare(folder: Path, rows: int) -> None:
    lineitem.fill(rows)


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    return lambda: lineitem.by_hand_into_duckdb(folder, fresh(folder, "by hand"))


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sources.sql import PostgresSource
    from etl_assets.sync import sync

    def load() -> None:
        source = PostgresSource(servers.url(servers.POSTGRES), name="bench", schema="shop")
        sync(StreamRead(source, Stream("lineitem")), DuckDBDestination(fresh(folder, "ours")))

    return load


def dlt_table(server: str, schema: str | None, **options: Any) -> Any:
    """Return the table as a source of dlt, with its fastest backend that holds a batch at a time."""
    from dlt.sources.sql_database import sql_table

    driver = {servers.POSTGRES: "postgresql+psycopg", servers.MARIADB: "mysql+pymysql"}[server]
    url = f"{driver}://{servers.url(server).split('://', 1)[1]}"
    return sql_table(
        credentials=url,
        table="lineitem",
        schema=schema,
        backend="pyarrow",
        chunk_size=50_000,
        **options,
    )


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    pipeline = fresh_dlt(folder)
    return lambda: pipeline.run(dlt_table(servers.POSTGRES, "shop", write_disposition="replace"))


def program(
    start: Callable[..., Callable[[], Any]], candidate: str, folder: Path, given: Any
) -> Callable[[], Any]:
    fresh(folder, candidate)
    into = programs.duckdb_file(folder, candidate)
    return start(servers.url(servers.POSTGRES), "shop.lineitem", into, "bench.lineitem")


WORK = Work(
    title="PostgreSQL -> DuckDB, 1 M rows of 16 columns",
    rows=(1_000_000, 50_000),
    prepare=prepare,
    candidates={
        "by hand": by_hand,
        "ours": ours,
        "dlt": dlt,
        "ingestr": partial(program, programs.ingestr, "ingestr"),
        "sling": partial(program, programs.sling, "sling"),
    },
    loaded=lambda folder, candidate: InDuckDB(folder, candidate, table="lineitem"),
    check=lineitem.CHECK,
    servers=(servers.POSTGRES,),
    target=0.85,
)
