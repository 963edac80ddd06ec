"""Loading definitions with 100 streams, beyond loading 100 assets written by hand; the imports count."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import Work

STREAMS = 100


def load(assets: list[Any]) -> None:
    """Load definitions as `dagster definitions validate` does."""
    import dagster as dg

    defs = dg.Definitions(assets=assets)
    dg.Definitions.validate_loadable(defs)
    assert len(defs.resolve_asset_graph().get_all_asset_keys()) == STREAMS


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    def definitions() -> None:
        import dagster as dg

        def asset(number: int) -> dg.AssetsDefinition:
            @dg.asset(key=["bench", f"stream_{number}"], group_name="bench", kinds={"duckdb"})
            def body() -> None:
                """Do nothing."""

            return body

        load([asset(number) for number in range(STREAMS)])

    return definitions


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    def definitions() -> None:
        from etl_assets import DuckDBDestination, SqlSource, Stream, stream_assets

        properties = {f"column_{n}": {"type": ["null", "string"]} for n in range(10)}
        streams = [
            Stream(
                f"stream_{n}",
                primary_key=["column_0"],
                replication_key="column_1",
                schema={"properties": properties},
            )
            for n in range(STREAMS)
        ]
        source = SqlSource(name="bench", url="sqlite:///not-there.db", streams=streams)
        load(list(stream_assets(source, destination=DuckDBDestination("not-there.duckdb"))))

    return definitions


WORK = Work(
    title="definitions of 100 streams, beyond Dagster's own",
    rows=(STREAMS, STREAMS),
    prepare=lambda folder, rows: None,
    candidates={"by hand": by_hand, "ours": ours},
    loaded=None,
    whole=True,
    shown="beyond",
)
