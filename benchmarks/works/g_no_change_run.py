"""A run of Dagster that finds nothing new, beyond one whose asset does nothing; its start and imports count."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.work import Work, again, keep


def run(asset: Any) -> None:
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([asset], instance=instance)
    assert result.success


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    def materialize() -> None:
        import dagster as dg

        class Nothing(dg.IOManager):
            def handle_output(self, context: dg.OutputContext, obj: object) -> None:
                context.add_output_metadata({"rows": 0})

            def load_input(self, context: dg.InputContext) -> None:
                """Never asked."""

        @dg.asset(
            key=["bench", "t"],
            io_manager_def=dg.IOManagerDefinition.hardcoded_io_manager(Nothing()),
        )
        def t() -> int:
            return 1

        run(t)

    return materialize


def ours_into(file: str, rows: int) -> None:
    from etl_assets import DuckDBDestination, Source, Stream, stream_assets

    class Counting(Source):
        def load_data(
            self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            begin = (bookmarks or {}).get("id", -1) + 1
            if begin < rows:
                yield [{"id": i, "name": f"name {i}"} for i in range(begin, rows)]

    properties = {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}
    stream = Stream(
        "t", primary_key=["id"], replication_key="id", schema={"properties": properties}
    )
    run(
        *stream_assets(
            Counting(name="bench", streams=[stream]), destination=DuckDBDestination(file)
        )
    )


def before_ours(folder: Path) -> None:
    ours_into(str(folder / "ours.duckdb"), 1000)
    keep(folder, "ours")


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    file = again(folder, "ours")
    return lambda: ours_into(file, 1000)


WORK = Work(
    title="a no-change run, beyond Dagster's own",
    rows=(1000, 1000),
    prepare=lambda folder, rows: None,
    before={"ours": before_ours},
    candidates={"by hand": by_hand, "ours": ours},
    loaded=None,
    whole=True,
    shown="beyond",
    target=0.35,
)
