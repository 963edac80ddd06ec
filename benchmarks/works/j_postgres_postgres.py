"""PostgreSQL -> PostgreSQL: a table, in full; by hand a binary COPY piped into another."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import lineitem, programs, servers
from benchmarks.work import InPostgres, Work, dlt_into_postgres, schema
from benchmarks.works.i_postgres_duckdb import dlt_table


def emptied(candidate: str) -> None:
    """Give a candidate an empty schema, and the server nothing left to write."""
    with servers.postgres() as server:
        server.execute("SET client_min_messages = warning")
        server.execute(f"DROP SCHEMA IF EXISTS {schema(candidate)} CASCADE")
        server.execute(f"CREATE SCHEMA {schema(candidate)}")
        server.execute("CHECKPOINT")


def piped(table: str, into: str) -> None:
    """Copy a table into another that is there."""
    with servers.postgres() as source, servers.postgres() as target:
        out, back = (
            f"COPY {table} TO STDOUT (FORMAT binary)",
            f"COPY {into} FROM STDIN (FORMAT binary)",
        )
        with source.cursor().copy(out) as read, target.cursor().copy(back) as written:
            for data in read:
                written.write(data)


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    own = schema("by hand")

    def load() -> None:
        with servers.postgres() as server:
            server.execute(f"CREATE TABLE {own}.lineitem ({lineitem.declared()})")
        piped("shop.lineitem", f"{own}.lineitem")

    return load


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from etl_assets.destinations.postgres.destination import PostgresDestination
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sources.sql import PostgresSource
    from etl_assets.sync import sync

    own = schema("ours")

    def load() -> None:
        source = PostgresSource(servers.url(servers.POSTGRES), name="bench", schema="shop")
        target = PostgresDestination(
            servers.url(servers.POSTGRES), schema_name=own, state_schema=own
        )
        sync(StreamRead(source, Stream("lineitem")), target)

    return load


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    pipeline = dlt_into_postgres(folder)
    # By default it writes INSERT statements, which takes it several times as long.
    return lambda: pipeline.run(
        dlt_table(servers.POSTGRES, "shop", write_disposition="replace"), loader_file_format="csv"
    )


def program(
    start: Callable[..., Callable[[], Any]], candidate: str, folder: Path, given: Any
) -> Callable[[], Any]:
    url = servers.url(servers.POSTGRES)
    return start(url, "shop.lineitem", url, f"{schema(candidate)}.lineitem")


CANDIDATES = ("by hand", "ours", "dlt", "ingestr", "sling")
WORK = Work(
    title="PostgreSQL -> PostgreSQL, 1 M rows of 16 columns",
    rows=(1_000_000, 50_000),
    prepare=lambda folder, rows: lineitem.fill(rows),
    each={one: partial(lambda candidate, folder: emptied(candidate), one) for one in CANDIDATES},
    candidates={
        "by hand": by_hand,
        "ours": ours,
        "dlt": dlt,
        "ingestr": partial(program, programs.ingestr, "ingestr"),
        "sling": partial(program, programs.sling, "sling"),
    },
    loaded=lambda folder, candidate: InPostgres(candidate, "lineitem"),
    check=lineitem.CHECK,
    servers=(servers.POSTGRES,),
    target=1.0,
)
