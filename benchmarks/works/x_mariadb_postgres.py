"""MariaDB -> PostgreSQL: a table, in full; by hand the driver's rows, each written to a COPY."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import lineitem, programs, servers
from benchmarks.work import BATCH, BY_HAND, OURS, InPostgres, Work, dlt_into_postgres, schema
from benchmarks.works.i_postgres_duckdb import dlt_table
from benchmarks.works.j_postgres_postgres import emptied
from benchmarks.works.m_mariadb_duckdb import prepare


def database() -> str:
    return servers.url(servers.MARIADB).rsplit("/", 1)[1]


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    own = schema(BY_HAND)

    def load() -> None:
        import pymysql.cursors

        with (
            servers.postgres() as target,
            servers.mariadb(database()) as source,
            source.cursor(pymysql.cursors.SSCursor) as cursor,
        ):
            target.execute(f"CREATE TABLE {own}.lineitem ({lineitem.declared()})")
            cursor.execute("SELECT * FROM lineitem")
            with target.cursor().copy(f"COPY {own}.lineitem FROM STDIN") as copy:
                while rows := cursor.fetchmany(BATCH):
                    for row in rows:
                        copy.write_row(row)

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    own = schema(OURS)

    def load() -> None:
        from etl_assets.destinations.postgres.destination import PostgresDestination
        from etl_assets.model.stream import Stream
        from etl_assets.sources.read import StreamRead
        from etl_assets.sources.sql import MySQLSource
        from etl_assets.sync import sync

        source = MySQLSource(servers.url(servers.MARIADB), name="bench")
        target = PostgresDestination(
            servers.url(servers.POSTGRES), schema_name=own, state_schema=own
        )
        sync(StreamRead(source, Stream("lineitem")), target)

    return load


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    pipeline = dlt_into_postgres(folder)
    return lambda: pipeline.run(
        dlt_table(servers.MARIADB, None, write_disposition="replace"), loader_file_format="csv"
    )


def program(
    start: Callable[..., Callable[[], Any]], candidate: str, folder: Path, given: Any
) -> Callable[[], Any]:
    source, target = servers.url(servers.MARIADB), servers.url(servers.POSTGRES)
    return start(source, f"{database()}.lineitem", target, f"{schema(candidate)}.lineitem")


CANDIDATES = (BY_HAND, OURS, "dlt", "ingestr", "sling")
WORK = Work(
    title="MariaDB -> PostgreSQL, 500,000 rows of 16 columns",
    rows=(500_000, 20_000),
    prepare=prepare,
    each={one: partial(lambda candidate, folder: emptied(candidate), one) for one in CANDIDATES},
    candidates={
        BY_HAND: by_hand,
        OURS: ours,
        "dlt": dlt,
        "ingestr": partial(program, programs.ingestr, "ingestr"),
        "sling": partial(program, programs.sling, "sling"),
    },
    loaded=lambda folder, candidate: InPostgres(candidate, "lineitem"),
    check=lineitem.CHECK,
    servers=(servers.MARIADB, servers.POSTGRES),
)
