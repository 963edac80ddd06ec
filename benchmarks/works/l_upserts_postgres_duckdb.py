"""Upserts, PostgreSQL -> DuckDB: the same rows, into a table that each candidate has loaded itself."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import lineitem, programs, servers
from benchmarks.work import InDuckDB, Work, again, dlt_pipeline, fresh, fresh_dlt, keep
from benchmarks.works.i_postgres_duckdb import dlt_table
from benchmarks.works.k_upserts_postgres import MERGE, prepare


def before_by_hand(folder: Path) -> None:
    lineitem.by_hand_into_duckdb(folder, fresh(folder, "by hand"))
    keep(folder, "by hand")


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    import duckdb

    file = again(folder, "by hand")
    changed = ", ".join(
        f"{name} = s.{name}" for name in lineitem.COLUMNS if name not in lineitem.KEY
    )
    same = " AND ".join(f"t.{name} = s.{name}" for name in lineitem.KEY)

    def load() -> None:
        lineitem.copied_to_csv(folder / "rows.csv", "changes")
        with duckdb.connect(file) as connection:
            lineitem.csv_into(connection, folder / "rows.csv", "staged", "TEMP TABLE")
            connection.execute(
                f"MERGE INTO bench.lineitem AS t USING staged AS s ON {same} "
                f"WHEN MATCHED THEN UPDATE SET {changed} WHEN NOT MATCHED THEN INSERT"
            )

    return load


def _load_ours(file: str, from_schema: str) -> None:
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.model.stream import Stream
    from etl_assets.sources.read import StreamRead
    from etl_assets.sources.sql import PostgresSource
    from etl_assets.sync import sync

    source = PostgresSource(servers.url(servers.POSTGRES), name="bench", schema=from_schema)
    sync(
        StreamRead(source, Stream("lineitem", primary_key=lineitem.KEY)),
        DuckDBDestination(file),
        strategy="merge",
    )


def before_ours(folder: Path) -> None:
    _load_ours(fresh(folder, "ours"), "shop")
    keep(folder, "ours")


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    from etl_assets.destinations.duckdb.destination import DuckDBDestination  # noqa: F401 - imported for neither
    from etl_assets.sources.sql import PostgresSource  # noqa: F401

    file = again(folder, "ours")
    return lambda: _load_ours(file, "changes")


def dlt_merge(schema: str) -> Any:
    return dlt_table(servers.POSTGRES, schema, write_disposition="merge", primary_key=lineitem.KEY)


def before_dlt(folder: Path) -> None:
    fresh_dlt(folder).run(dlt_merge("shop"))
    keep(folder, "dlt")


def dlt(folder: Path, given: Any) -> Callable[[], Any]:
    pipeline = dlt_pipeline(folder, again(folder, "dlt"))
    return lambda: pipeline.run(dlt_merge("changes"))


def merge(candidate: str, folder: Path, schema: str) -> Callable[[], Any]:
    into = programs.duckdb_file(folder, candidate)
    return MERGE[candidate](
        servers.url(servers.POSTGRES), f"{schema}.lineitem", into, "bench.lineitem"
    )


def before_program(candidate: str, folder: Path) -> None:
    fresh(folder, candidate)
    merge(candidate, folder, "shop")()
    keep(folder, candidate)


def program(candidate: str, folder: Path, given: Any) -> Callable[[], Any]:
    again(folder, candidate)
    return merge(candidate, folder, "changes")


WORK = Work(
    title="100,000 upserts into 1 M rows, PostgreSQL -> DuckDB",
    rows=(1_000_000, 50_000),
    prepare=prepare,
    before={
        "by hand": before_by_hand,
        "ours": before_ours,
        "dlt": before_dlt,
        **{one: partial(before_program, one) for one in MERGE},
    },
    candidates={
        "by hand": by_hand,
        "ours": ours,
        "dlt": dlt,
        **{one: partial(program, one) for one in MERGE},
    },
    loaded=lambda folder, candidate: InDuckDB(folder, candidate, table="lineitem"),
    check=lineitem.CHECK,
    servers=(servers.POSTGRES,),
    target_without_imports=1.3,
)
