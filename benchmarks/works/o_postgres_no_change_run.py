"""A run of Dagster that finds nothing new in PostgreSQL, beyond one whose asset does nothing; imports count."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import lineitem, servers
from benchmarks.work import again, keep
from benchmarks.works import g_no_change_run


def run(file: str) -> None:
    from etl_assets import DuckDBDestination, PostgresSource, Stream, stream_assets

    stream = Stream("lineitem", primary_key=lineitem.KEY, replication_key="l_receiptdate")
    source = PostgresSource(
        servers.url(servers.POSTGRES), name="bench", schema="shop", streams=[stream]
    )
    g_no_change_run.run(*stream_assets(source, destination=DuckDBDestination(file)))


def before_ours(folder: Path) -> None:
    run(str(folder / "ours.duckdb"))
    keep(folder, "ours")


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, "ours")
    return lambda: run(file)


WORK = replace(
    g_no_change_run.WORK,
    title="a no-change run, PostgreSQL -> DuckDB, beyond Dagster's own",
    rows=(100_000, 10_000),
    prepare=lambda folder, rows: lineitem.fill(rows),
    before={"ours": before_ours},
    candidates={"by hand": g_no_change_run.by_hand, "ours": ours},
    servers=(servers.POSTGRES,),
)
