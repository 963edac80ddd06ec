"""Upserts, PostgreSQL -> PostgreSQL: half of the rows are there with another price, spread over it all; half are new.

Each candidate has loaded the table itself; before each round it gets its old rows back.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import lineitem, programs, servers
from benchmarks.work import InPostgres, Work, dlt_into_postgres, schema
from benchmarks.works import j_postgres_postgres as full
from benchmarks.works.i_postgres_duckdb import dlt_table

SHARE = 10
"""One row comes for so many that are there."""


def prepare(folder: Path, rows: int, changes: int | None = None) -> None:
    """Make the table, and the rows that come: a tenth as many, or another number."""
    coming = rows // SHARE if changes is None else changes
    lineitem.fill(rows)
    lineitem.fill(rows, "changes", every=2 * rows // coming, more=1)
    lineitem.fill(rows + coming // 2, "changes", first=rows)


def again(candidate: str, folder: Path) -> None:
    """Give its table the rows that it had after `before`, and nothing that earlier rounds have left."""
    table, kept = f"{schema(candidate)}.lineitem", f"{schema(candidate)}_kept"
    with servers.postgres() as server:
        if server.execute("SELECT to_regclass(%s)", [kept]).fetchall() == [(None,)]:
            server.execute(f"CREATE TABLE {kept} AS SELECT * FROM {table}")
        server.execute(f"TRUNCATE {table}")
        server.execute(f"INSERT INTO {table} SELECT * FROM {kept}")
        server.execute(f"VACUUM ANALYZE {table}")
        server.execute("CHECKPOINT")


def before_by_hand(folder: Path) -> None:
    own = schema("by hand")
    full.emptied("by hand")
    with servers.postgres() as server:
        key = ", ".join(lineitem.KEY)
        server.execute(f"CREATE TABLE {own}.lineitem ({lineitem.declared()}, PRIMARY KEY ({key}))")
    full.piped("shop.lineitem", f"{own}.lineitem")


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    own = schema("by hand")
    changed = ", ".join(
        f"{name} = excluded.{name}" for name in lineitem.COLUMNS if name not in lineitem.KEY
    )

    def load() -> None:
        with servers.postgres() as target, servers.postgres() as source, target.transaction():
            target.execute(f"CREATE TEMP TABLE staged ({lineitem.declared()}) ON COMMIT DROP")
            out = source.cursor().copy("COPY changes.lineitem TO STDOUT (FORMAT binary)")
            with (
                out as read,
                target.cursor().copy("COPY staged FROM STDIN (FORMAT binary)") as written,
            ):
                for data in read:
                    written.write(data)
            target.execute(
                f"INSERT INTO {own}.lineitem SELECT * FROM staged "
                f"ON CONFLICT ({', '.join(lineitem.KEY)}) DO UPDATE SET {changed}"
            )

    return load


def _load_ours(from_schema: str, strategy: str) -> None:
    from etl_assets.destinations.postgres.destination import PostgresDestination
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sources.sql import PostgresSource
    from etl_assets.sync import sync

    own = schema("ours")
    source = PostgresSource(servers.url(servers.POSTGRES), name="bench", schema=from_schema)
    target = PostgresDestination(servers.url(servers.POSTGRES), schema_name=own, state_schema=own)
    sync(
        StreamRead(source, Stream("lineitem", primary_key=lineitem.KEY)), target, strategy=strategy
    )


def before_ours(folder: Path) -> None:
    _load_ours("shop", "merge")


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from etl_assets.destinations.postgres.destination import PostgresDestination  # noqa: F401 - imported for neither
    from etl_assets.sources.sql import PostgresSource  # noqa: F401

    return lambda: _load_ours("changes", "merge")


def before_dlt(folder: Path) -> None:
    table = dlt_table(servers.POSTGRES, "shop", write_disposition="merge", primary_key=lineitem.KEY)
    dlt_into_postgres(folder).run(table, loader_file_format="csv")


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    pipeline = dlt_into_postgres(folder, new=False)
    return lambda: pipeline.run(
        dlt_table(
            servers.POSTGRES, "changes", write_disposition={"disposition": "merge", "strategy": "upsert"},
            primary_key=lineitem.KEY,
        ),
        loader_file_format="csv",
    )  # fmt: skip


def before_program(candidate: str, folder: Path) -> None:
    url, into = servers.url(servers.POSTGRES), f"{schema(candidate)}.lineitem"
    MERGE[candidate](url, "shop.lineitem", url, into)()


def program(candidate: str, folder: Path, given: Any) -> Callable[[], Any]:
    url = servers.url(servers.POSTGRES)
    return MERGE[candidate](url, "changes.lineitem", url, f"{schema(candidate)}.lineitem")


def ingestr_merge(*places: str) -> Callable[[], Any]:
    keys = [word for name in lineitem.KEY for word in ("--primary-key", name)]
    return programs.ingestr(*places, "--incremental-strategy", "merge", *keys)


def sling_merge(*places: str) -> Callable[[], Any]:
    return programs.sling(*places, "--mode", "incremental", "--primary-key", ",".join(lineitem.KEY))


MERGE = {"ingestr": ingestr_merge, "sling": sling_merge}
CANDIDATES = ("by hand", "ours", "dlt", "ingestr", "sling")
WORK = Work(
    title="100,000 upserts into 1 M rows, PostgreSQL -> PostgreSQL",
    rows=(1_000_000, 50_000),
    prepare=prepare,
    before={
        "by hand": before_by_hand,
        "ours": before_ours,
        "dlt": before_dlt,
        **{one: partial(before_program, one) for one in MERGE},
    },
    each={one: partial(again, one) for one in CANDIDATES},
    candidates={
        "by hand": by_hand,
        "ours": ours,
        "dlt": dlt,
        **{one: partial(program, one) for one in MERGE},
    },
    loaded=lambda folder, candidate: InPostgres(candidate, "lineitem"),
    check=lineitem.CHECK,
    servers=(servers.POSTGRES,),
    target=1.15,
)
