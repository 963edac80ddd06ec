"""What loading many streams costs does not grow faster than they do: what they have in common is made once."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._config.pythonic_config import conversion_utils
from typing_extensions import override

from etl_assets import Batch, DuckDBDestination, Source, SqlSource, Stream, checks, stream_assets
from etl_assets.assets.bindings import Binding, bindings_of
from etl_assets.assets.config import SYNC_CONFIG_SCHEMA
from etl_assets.model.events import Checkpoint, Event, Records, SourceState, StreamEnd
from tests.assets.shop import event

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = {
    "properties": {
        "id": {"type": "integer"},
        "at": {"type": ["null", "string"], "format": "date-time"},
    }
}


def many(number: int) -> SqlSource:
    streams = [
        Stream(f"stream_{n}", primary_key="id", replication_key="at", schema=SCHEMA)
        for n in range(number)
    ]
    return SqlSource(name="shop", url="sqlite:///not-there.db", streams=streams)


@pytest.fixture
def inferred(monkeypatch: pytest.MonkeyPatch) -> list[type]:
    """The config classes whose schema Dagster infers from now on."""
    found: list[type] = []
    infer = conversion_utils.infer_schema_from_config_annotation

    def noted(model: Any, default: Any) -> Any:
        found.append(model)
        return infer(model, default)

    # Where Dagster's decorators look it up.
    monkeypatch.setattr(
        "dagster._config.pythonic_config.infer_schema_from_config_annotation", noted
    )
    return found


class TestWhatIsShared:
    def test_dagster_infers_no_config_for_each_stream(
        self, inferred: list[type], warehouse: DuckDBDestination
    ) -> None:
        options = {"stream_0": {"checks": [checks.unique_key()]}}
        stream_assets(many(20), destination=warehouse, options=options)
        assert inferred == []

        @dg.asset
        def by_hand(config: dg.Config) -> None: ...

        assert inferred == [dg.Config]  # the fixture would have seen it

    def test_all_ops_have_one_config_schema_and_one_destination(
        self, warehouse: DuckDBDestination
    ) -> None:
        options: dict[str, dict[str, Any]] = {
            "stream_1": {"checks": [checks.unique_key()]},
            "stream_2": {"split": 2},
        }
        assets = stream_assets(many(10), destination=warehouse, options=options)
        plain = [one for one in assets if isinstance(one.node_def, dg.OpDefinition)]
        assert len(plain) == 9
        assert all(one.op.config_schema is SYNC_CONFIG_SCHEMA for one in plain)
        managers = {id(one.resource_defs["shop__stream_0__destination"]) for one in assets}
        assert len(managers) == 1

    def test_bindings_hold_no_copies_of_what_is_common(self, warehouse: DuckDBDestination) -> None:
        source = many(10)
        found = bindings_of(
            stream_assets(source, destination=warehouse, defaults={"owners": ["team:shop"]})
        )
        assert len(found) == 10
        assert {id(one.source) for one in found.values()} == {id(source)}
        assert len({id(one.options) for one in found.values()}) == 1

    def test_columns_that_streams_have_in_common_are_one_object(
        self, warehouse: DuckDBDestination
    ) -> None:
        assets = stream_assets(many(10), destination=warehouse)
        columns = [
            column
            for one in assets
            for spec in one.specs
            for column in spec.metadata["dagster/column_schema"].columns
        ]
        assert len(columns) == 20
        assert len({id(column) for column in columns}) == 2


class TestRunConfig:
    """Dagster does not infer it for each op; it is the same to people."""

    def job(self, warehouse: DuckDBDestination) -> dg.JobDefinition:
        assets = stream_assets(
            Rows(name="shop"),
            ["orders"],
            destination=warehouse,
            write_strategy="merge",
            options={"orders": {"primary_key": "id"}},
        )
        return dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()

    def test_a_wrong_field_is_refused_before_the_run(self, warehouse: DuckDBDestination) -> None:
        run_config = {"ops": {"shop__orders": {"config": {"limt": 1}}}}
        with pytest.raises(dg.DagsterInvalidConfigError, match="limt"):
            self.job(warehouse).execute_in_process(run_config=run_config)

    def test_a_value_of_another_type_is_refused(self, warehouse: DuckDBDestination) -> None:
        run_config = {"ops": {"shop__orders": {"config": {"limit": "many"}}}}
        with pytest.raises(dg.DagsterInvalidConfigError, match="limit"):
            self.job(warehouse).execute_in_process(run_config=run_config)

    def test_it_reaches_the_read(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        run_config = {"ops": {"shop__orders": {"config": {"query": {"rows": 3}}}}}
        job = self.job(warehouse)
        assert job.execute_in_process(run_config=run_config, instance=instance).success
        assert event(instance, "shop/orders")["dagster/row_count"] == 3


class Rows(Source):
    """As many rows as the run config asks for."""

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [{"id": n} for n in range((query or {}).get("rows", 1))]


class Tap(Source):
    """Streams whose states are one, in Singer's form: it grows with their number."""

    granularity = "source"

    @override
    def load_streams(
        self, streams: Sequence[Stream], state: SourceState, **kwargs: Any
    ) -> Iterator[Event]:
        for stream in streams:
            yield Records(stream, Batch([{"id": 1}]))
        bookmarks = {one.name: {"after": "a long token " * 40} for one in streams}
        yield Checkpoint({"bookmarks": bookmarks}, separate=True)
        for stream in streams:
            yield StreamEnd(stream)


class TestOneStepForManyStreams:
    STREAMS = 12

    def test_events_do_not_hold_the_states_of_all_others(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        streams = [Stream(f"stream_{n}") for n in range(self.STREAMS)]
        (asset,) = stream_assets(Tap(name="tap", streams=streams), destination=warehouse)
        for _ in range(2):
            assert dg.materialize([asset], instance=instance).success
        shown = event(instance, "tap/stream_0")
        for name in ("etl_assets/bookmark", "etl_assets/bookmark_previous"):
            assert set(shown[name]) == {"etl_assets_bookmark_sha256", "bytes", "show"}
        assert shown["etl_assets/bookmark"]["bytes"] > 4096
        state = warehouse.stored_source("tap").state
        assert state is not None
        assert state.bookmark is not None
        assert len(state.bookmark["bookmarks"]) == self.STREAMS  # the whole of it is stored once

    def test_the_repository_is_looked_through_once(
        self,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        looked: list[int] = []

        def noted(assets: Any) -> dict[dg.AssetKey, Binding]:
            looked.append(1)
            return bindings_of(assets)

        monkeypatch.setattr("etl_assets.assets.bindings.bindings_of", noted)
        streams = [Stream(f"stream_{n}") for n in range(5)]
        assets = stream_assets(Tap(name="tap", streams=streams), destination=warehouse)
        assert dg.materialize(assets, instance=instance).success
        assert looked == [1]


class TestInputs:
    def test_an_asset_upstream_may_have_any_key(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        upstream = dg.AssetKey(["quelle", "naïve Tabelle"])
        assets = stream_assets(
            Rows(name="shop"),
            ["orders"],
            destination=warehouse,
            options={"orders": {"deps": [upstream]}},
        )

        @dg.multi_asset(
            name="before", outs={"result": dg.AssetOut(key=upstream, io_manager_key=None)}
        )
        def before() -> None: ...

        result = dg.materialize([*assets, before], instance=instance)
        assert result.success
        order = [one.step_key for one in result.get_step_success_events()]
        assert order == ["before", "shop__orders"]

    def test_a_path_in_place_of_a_key_is_the_key_of_its_parts(
        self, warehouse: DuckDBDestination
    ) -> None:
        (orders,) = stream_assets(
            Rows(name="shop"),
            ["orders"],
            destination=warehouse,
            options={"orders": {"deps": ["raw/orders"]}},
        )
        (spec,) = orders.specs
        assert [one.asset_key for one in spec.deps] == [dg.AssetKey(["raw", "orders"])]


LOADED = """
import sys
import dagster as dg
from etl_assets import DuckDBDestination, SqlSource, stream_assets

shop = SqlSource(name="shop", url="sqlite:///not-there.db")
dg.Definitions(assets=stream_assets(shop, ["orders"], destination=DuckDBDestination("w.duckdb")))
print(*sorted(name for name in sys.modules if name.startswith("etl_assets.")))
"""


def test_loading_leaves_out_what_only_runs_and_programs_need(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=240,
    )
    loaded = set(done.stdout.split())
    assert "etl_assets.assets.factory" in loaded
    assert not loaded & {
        "etl_assets.caches.base",
        "etl_assets.connectors.install",
        "etl_assets.destinations.database.session",
        "etl_assets.destinations.database.split",
        "etl_assets.destinations.target.load",
    }


FORKED = """
import os
from pathlib import Path

import dagster as dg
from etl_assets import DuckDBDestination, Source, Stream, stream_assets

with Path("imports").open("a") as file:
    file.write(f"{os.getpid()}\\n")


class Shop(Source):
    def load_data(self, stream, bookmarks=None, **kwargs):
        yield [{"id": 1}]


shop = Shop(name="shop", streams=[Stream(f"stream_{n}") for n in range(3)])
forked = dg.multiprocess_executor.configured(
    {"start_method": {"forkserver": {"preload_modules": ["shop_definitions", "duckdb", "pyarrow"]}}}
)
defs = dg.Definitions(
    assets=stream_assets(shop, destination=DuckDBDestination("w.duckdb")), executor=forked
)
"""


def test_a_forkserver_imports_the_definitions_once_for_all_steps(tmp_path: Path) -> None:
    (tmp_path / "shop_definitions.py").write_text(FORKED)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    module = ["-m", "shop_definitions", "--select", "*"]
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "asset", "materialize", *module],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]),
            "DAGSTER_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    imported = (tmp_path / "imports").read_text().split()
    assert len(imported) == 2  # the run itself, and the process that the three steps are forks of
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        (run,) = instance.get_runs()
        assert len(instance.all_logs(run.run_id, dg.DagsterEventType.STEP_SUCCESS)) == 3
