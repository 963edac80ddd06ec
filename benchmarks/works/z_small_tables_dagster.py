"""The 200 tables in one run of Dagster, beyond as many steps that do nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import servers
from benchmarks.work import Work, fresh
from benchmarks.works import y_small_tables as tables


def run(assets: Any) -> None:
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize(assets, instance=instance).success


def by_hand(folder: Path, given: list[str]) -> Callable[[], Any]:
    def materialize() -> None:
        import dagster as dg

        def empty(name: str) -> dg.AssetsDefinition:
            @dg.asset(name=name, key_prefix="bench")
            def asset() -> None:
                """Do nothing."""

            return asset

        run([empty(name) for name in given])

    return materialize


def ours(folder: Path, given: list[str]) -> Callable[[], Any]:
    file = fresh(folder, "ours")

    def materialize() -> None:
        from etl_assets import DuckDBDestination, PostgresSource, Stream, stream_assets

        source = PostgresSource(
            servers.url(servers.POSTGRES),
            name="bench",
            schema=tables.SCHEMA,
            streams=[Stream(name) for name in given],
        )
        run([*stream_assets(source, destination=DuckDBDestination(file))])

    return materialize


WORK = Work(
    title="200 tables of 100 rows in a run of Dagster, beyond 200 empty steps",
    rows=(tables.TABLES, tables.FEW),
    prepare=tables.prepare,
    given=tables.given,
    candidates={"by hand": by_hand, "ours": ours},
    loaded=None,
    servers=(servers.POSTGRES,),
    whole=True,
    shown="beyond",
    target=4.0,
    rounds=3,
)
