"""A run of `granularity="source"` with 2,000 streams of 30 columns and a row each; by hand a step that does no more."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.work import Work, fresh

STREAMS, FEW = 2000, 100
COLUMNS = [f"column_{n}" for n in range(30)]
ROW = dict.fromkeys(COLUMNS, 1)


def prepare(folder: Path, rows: int) -> None:
    (folder / "streams").write_text(str(rows))


def given(folder: Path) -> list[str]:
    return [f"stream_{n}" for n in range(int((folder / "streams").read_text()))]


def run(asset: Any) -> None:
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([asset], instance=instance).success


def by_hand(folder: Path, given: list[str]) -> Callable[[], Any]:
    file = fresh(folder, "by hand")

    def materialize() -> None:
        import dagster as dg
        import duckdb

        @dg.multi_asset(name="bench", specs=[dg.AssetSpec(["bench", name]) for name in given])
        def step() -> Iterator[dg.MaterializeResult[None]]:
            columns = ", ".join(f"{name} BIGINT" for name in COLUMNS)
            marks = ", ".join("?" for _ in COLUMNS)
            with duckdb.connect(file) as connection:
                connection.execute("CREATE SCHEMA bench")
                for name in given:
                    connection.execute(f"CREATE TABLE bench.{name} ({columns})")
                    connection.execute(
                        f"INSERT INTO bench.{name} VALUES ({marks})", list(ROW.values())
                    )
                    yield dg.MaterializeResult(asset_key=["bench", name], metadata={"rows": 1})

        run(step)

    return materialize


def ours(folder: Path, given: list[str]) -> Callable[[], Any]:
    file = fresh(folder, "ours")

    def materialize() -> None:
        from etl_assets import DuckDBDestination, Source, Stream, stream_assets

        class Many(Source):
            def load_data(
                self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
            ) -> Any:
                return [ROW]

        schema = {"properties": {name: {"type": "integer"} for name in COLUMNS}}
        streams = [
            Stream(name, primary_key="column_0", replication_key="column_1", schema=schema)
            for name in given
        ]
        source = Many(name="bench", streams=streams)
        run(*stream_assets(source, destination=DuckDBDestination(file), granularity="source"))

    return materialize


WORK = Work(
    title="2,000 streams in one read",
    rows=(STREAMS, FEW),
    prepare=prepare,
    given=given,
    candidates={"by hand": by_hand, "ours": ours},
    loaded=None,
    whole=True,
    rounds=1,
)
