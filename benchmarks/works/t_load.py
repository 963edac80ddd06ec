"""Loading definitions of 10 to 10,000 streams, as each process of Dagster does; the imports count.

By hand: assets written out with the metadata, group, kinds and description that ours have. Beside them: bare ones.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import BY_HAND, OURS, Work

SIZES = (10, 100, 1_000, 10_000)
COLUMNS = [f"column_{number}" for number in range(10)]
BARE = "bare"


def prepare(folder: Path, rows: int) -> None:
    (folder / "streams").write_text(str(rows))


def names(folder: Path) -> list[str]:
    return [f"stream_{number}" for number in range(int((folder / "streams").read_text()))]


def repository(assets: list[Any]) -> Any:
    import dagster as dg

    return dg.Definitions(assets=assets).get_repository_def()


def bare(folder: Path, given: list[str]) -> Callable[[], Any]:
    def load() -> Any:
        import dagster as dg

        def asset(name: str) -> dg.AssetsDefinition:
            @dg.asset(key=["bench", name])
            def body() -> None:
                """Do nothing."""

            return body

        return repository([asset(name) for name in given])

    return load


def by_hand(folder: Path, given: list[str]) -> Callable[[], Any]:
    def load() -> Any:
        import dagster as dg

        def asset(name: str) -> dg.AssetsDefinition:
            nullable = dg.TableColumnConstraints(nullable=True)
            columns = [dg.TableColumn(one, "string", constraints=nullable) for one in COLUMNS]

            @dg.asset(
                key=["bench", name],
                group_name="bench",
                kinds={"sql", "duckdb"},
                description=f"Stream {name} of bench.",
                metadata={
                    "dagster/column_schema": dg.TableSchema(columns),
                    "dagster/table_name": f"bench.{name}",
                    "dagster/storage_kind": "duckdb",
                    "etl_assets/source": "bench",
                    "etl_assets/stream": name,
                    "etl_assets/table": {"schema": "bench", "name": name},
                    "etl_assets/write_strategy": "auto",
                },
            )
            def body() -> None:
                """Do nothing."""

            return body

        return repository([asset(name) for name in given])

    return load


def ours(folder: Path, given: list[str]) -> Callable[[], Any]:
    def load() -> Any:
        from etl_assets import DuckDBDestination, SqlSource, Stream, stream_assets

        schema = {"properties": {one: {"type": ["null", "string"]} for one in COLUMNS}}
        streams = [
            Stream(name, primary_key="column_0", replication_key="column_1", schema=schema)
            for name in given
        ]
        source = SqlSource(name="bench", url="sqlite:///not-there.db", streams=streams)
        return repository(stream_assets(source, destination=DuckDBDestination("not-there.duckdb")))

    return load


CANDIDATES = {BARE: bare, BY_HAND: by_hand, OURS: ours}


def serialize(candidate: str) -> Callable[[Path], None]:
    """Return what writes down how many bytes a code server would send of its definitions."""

    def write(folder: Path) -> None:
        from dagster._core.remote_representation.external_data import RepositorySnap
        from dagster._serdes import serialize_value

        loaded = CANDIDATES[candidate](folder, names(folder))()
        text = serialize_value(RepositorySnap.from_def(loaded, defer_snapshots=True))
        (folder / f"{candidate}.bytes").write_text(str(len(text)))

    return write


WORK = Work(
    title="loading definitions",
    rows=(SIZES[-1], SIZES[0]),
    sizes=SIZES,
    beside=(BARE,),
    prepare=prepare,
    given=names,
    candidates=CANDIDATES,
    before={one: serialize(one) for one in CANDIDATES},
    written=lambda folder, candidate: int((folder / f"{candidate}.bytes").read_text()),
    loaded=None,
    whole=True,
    target=1.3,
    rounds=3,
)
