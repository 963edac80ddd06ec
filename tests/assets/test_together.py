"""`granularity="source"`: one step and one read for many streams, each of which stands or falls by itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets.assets.bindings import bindings_of, refuse_same_names
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.assets.iomanagers import DuckDBIOManager
from etl_assets.assets.sensors import streams_with_news
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import (
    ConfigError,
    EtlAssetsError,
    RateLimitedError,
    SourceError,
    UnavailableError,
)
from etl_assets.model.batch import Batch
from etl_assets.model.events import Checkpoint, Event, Records, SourceState, StreamEnd
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from tests.assets.shop import Shop, event, failure, failure_text, logged, people, query, run

A, B, C = (Stream(name, replication_key="n") for name in "abc")


class Log(Source):
    """Streams that share one read: each gives the rows after its state; some fail as often as they are told to."""

    granularity = "source"
    streams: Sequence[Stream] = (A, B, C)

    def __init__(self, *, shared: bool = False, **options: Any) -> None:
        super().__init__(**{"name": "log", **options})
        self.shared = shared
        self.last = 1
        self.reads: list[tuple[list[str], SourceState]] = []
        self.failures: dict[str, list[EtlAssetsError]] = {}

    @override
    def load_streams(
        self, streams: Sequence[Stream], state: SourceState, **kwargs: Any
    ) -> Iterator[Event]:
        self.reads.append(([one.name for one in streams], state))
        for stream in streams:
            at = (
                {}
                if stream.key in state.refreshed
                else state.shared or state.streams.get(stream.key) or {}
            ).get("n", 0)
            yield Records(stream, Batch([{"n": n} for n in range(at + 1, self.last + 1)]))
            if self.failures.get(stream.name):
                yield StreamEnd(stream, complete=False, error=self.failures[stream.name].pop(0))
                continue
            if not self.shared:
                yield Checkpoint({"n": self.last}, (stream.key,))
            yield StreamEnd(stream)
        if self.shared:
            yield Checkpoint({"n": self.last}, None)


@pytest.fixture
def log() -> Log:
    return Log()


def materialized(result: dg.ExecuteInProcessResult) -> list[str]:
    return [
        one.asset_key.to_user_string()
        for one in result.all_events
        if one.is_step_materialization and one.asset_key
    ]


def rows(path: Path, table: str) -> list[Any]:
    return [n for (n,) in query(path, f"SELECT n FROM log.{table} ORDER BY n")]


def test_a_source_that_needs_it_becomes_one_step(log: Log, warehouse: DuckDBDestination) -> None:
    (assets,) = stream_assets(log, destination=warehouse)
    assert assets.keys == {dg.AssetKey(["log", name]) for name in "abc"}
    assert assets.can_subset
    assert {key.path[-1]: one.stream for key, one in bindings_of([assets]).items()} == {
        "a": A,
        "b": B,
        "c": C,
    }


def test_every_stream_is_materialized_with_the_metadata_of_a_stream_asset(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    assets = stream_assets(log, destination=warehouse)
    first = run(assets, instance)
    assert first.success
    assert materialized(first) == ["log/a", "log/b", "log/c"]
    log.last = 3
    assert run(assets, instance).success
    assert rows(path, "b") == [1, 2, 3]
    found = event(instance, "log/b")
    assert found["etl_assets/bookmark"] == {"n": 3}
    assert found["etl_assets/bookmark_previous"] == {"n": 1}
    assert (found["etl_assets/records_loaded"], found["dagster/row_count"]) == (2, 3)
    assert found["dagster/table_name"] == "warehouse.log.b"
    state = {one.stream: one.load_id for one in warehouse.states()}
    assert found["etl_assets/load_id"] == state["b"]
    assert next(iter(found)) == "etl_assets/bookmark"
    plain = stream_assets(Shop({"orders": people(1)}), "orders", destination=warehouse)
    run(plain, instance)
    assert set(event(instance, "shop/orders")) - set(found) <= {
        "etl_assets/schema_changes",
        "etl_assets/lag_seconds",  # the key of the one is a moment, that of the other a number
        "dagster/uri",
    }


def test_zero_rows_are_a_materialization(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    assets = stream_assets(log, destination=warehouse)
    run(assets, instance)
    assert materialized(run(assets, instance)) == ["log/a", "log/b", "log/c"]
    assert event(instance, "log/a")["etl_assets/records_loaded"] == 0


def test_a_run_may_select_some(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    result = run(stream_assets(log, destination=warehouse), instance, "log/b")
    assert result.success
    assert materialized(result) == ["log/b"]
    assert log.reads[0][0] == ["b"]
    assert rows(path, "b") == [1]


def test_a_failed_stream_is_named_and_the_others_are_there(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    log.failures["b"] = [SourceError("it is on fire", hint="Call the fire brigade.")]
    result = run(stream_assets(log, destination=warehouse), instance)
    assert not result.success
    assert materialized(result) == ["log/a", "log/c"]
    text = failure_text(result)
    assert "1 of 3 streams failed: log/b" in text
    assert "it is on fire" in text
    assert "fire brigade" in text
    assert (rows(path, "a"), rows(path, "c")) == ([1], [1])


def test_a_hundred_streams_one_fails(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    streams = [Stream(f"s{n:03d}", replication_key="n") for n in range(100)]
    log = Log(streams=streams)
    log.failures["s042"] = [SourceError("it is on fire")]
    result = run(stream_assets(log, destination=warehouse), instance)
    assert len(materialized(result)) == 99
    assert "log/s042" not in materialized(result)
    assert "1 of 100 streams failed: log/s042" in failure_text(result)
    assert {one.stream for one in warehouse.states()} == {one.name for one in streams} - {"s042"}


class TestRetries:
    policy = dg.RetryPolicy(max_retries=2)

    def test_a_retry_skips_what_this_run_has_materialized(
        self, log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        log.failures["b"] = [UnavailableError("not now")]

        @dg.asset(deps=[dg.AssetKey(["log", "a"]), dg.AssetKey(["log", "b"])])
        def after() -> None:
            """Comes after both."""

        result = run(
            [*stream_assets(log, destination=warehouse, retry_policy=self.policy), after], instance
        )
        assert result.success
        assert materialized(result) == ["log/a", "log/c", "log/b", "after"]
        assert [names for names, _ in log.reads] == [["a", "b", "c"], ["b"]]
        assert rows(path, "b") == [1]

    def test_an_error_that_stays_is_not_retried(
        self, log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        log.failures["b"] = [SourceError("gone for good")] * 3
        result = run(stream_assets(log, destination=warehouse, retry_policy=self.policy), instance)
        assert not result.success
        assert len(log.reads) == 1

    def test_it_is_retried_where_that_may_help_one(
        self, log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        log.failures |= {
            "a": [SourceError("gone for good")] * 3,
            "b": [UnavailableError("not now")],
        }
        result = run(stream_assets(log, destination=warehouse, retry_policy=self.policy), instance)
        assert not result.success
        assert [names for names, _ in log.reads] == [["a", "b", "c"], ["a", "b"]]
        assert "1 of 2 streams failed: log/a" in failure_text(result)

    def test_a_rate_limit_is_waited_for(
        self, log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        log.failures["b"] = [RateLimitedError("slower", retry_after=0.01)]
        assert run(
            stream_assets(log, destination=warehouse, retry_policy=self.policy), instance
        ).success


class TestFullRefresh:
    @pytest.mark.parametrize("by", ["config", "tag"])
    def test_of_one_stream(
        self,
        by: str,
        log: Log,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        path: Path,
    ) -> None:
        assets = stream_assets(log, destination=warehouse)
        run(assets, instance)
        log.last = 2
        config = {assets[0].op.name: {"full_refresh": ["log/a"]}} if by == "config" else None
        result = run(
            assets,
            instance,
            config=config,
            tags={"etl_assets/full_refresh": "a"} if by == "tag" else None,
        )
        assert result.success
        assert log.reads[1][1] == SourceState(
            None, {B.key: {"n": 1}, C.key: {"n": 1}}, frozenset({A.key})
        )
        assert [event(instance, f"log/{name}")["etl_assets/write_strategy"] for name in "ab"] == [
            "replace",
            "append",
        ]
        assert rows(path, "a") == rows(path, "b") == [1, 2]


class TestSharedState:
    def test_it_is_the_bookmark_of_every_stream(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        log = Log(shared=True)
        assets = stream_assets(log, destination=warehouse)
        assert run(assets, instance).success
        log.last = 2
        assert run(assets, instance).success
        assert log.reads[1][1].shared == {"n": 1}
        found = event(instance, "log/a")
        assert (found["etl_assets/bookmark"], found["etl_assets/bookmark_previous"]) == (
            {"n": 2},
            {"n": 1},
        )
        assert found["etl_assets/bookmark_scope"] == "source"
        assert rows(path, "a") == [1, 2]

    def test_a_failed_stream_holds_it(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        log = Log(shared=True)
        assets = stream_assets(log, destination=warehouse)
        run(assets, instance)
        log.last, log.failures["b"] = 2, [SourceError("it is on fire")]
        result = run(assets, instance)
        assert materialized(result) == []
        assert "3 of 3 streams failed" in failure_text(result)
        assert rows(path, "a") == [1]
        assert run(assets, instance).success
        assert [rows(path, name) for name in "abc"] == [[1, 2]] * 3

    def test_a_retry_reads_all_as_the_state_is_one(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        log = Log(shared=True)
        assets = stream_assets(
            log, destination=warehouse, retry_policy=dg.RetryPolicy(max_retries=1)
        )
        run(assets, instance)
        log.last, log.failures["b"] = 2, [UnavailableError("not now")]
        assert run(assets, instance).success
        assert [names for names, _ in log.reads[1:]] == [["a", "b", "c"]] * 2
        assert [rows(path, name) for name in "abc"] == [[1, 2]] * 3

    def test_a_destination_without_state_goes_on_from_the_newest_event(
        self, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []

        class Printer(DestinationIOManager):
            def export_batch_data(self, record_data: Any, stream: str, tags: Any = None) -> None:
                seen.extend((stream, item["record"]["n"]) for item in record_data)

        log = Log(shared=True)
        assets = stream_assets(log, destination=Printer())
        assert run(assets, instance).success
        log.last = 2
        assert run(assets, instance).success
        assert log.reads[1][1].shared == {"n": 1}
        assert sorted(seen) == [(name, n) for name in "abc" for n in (1, 2)]
        assert event(instance, "log/a")["etl_assets/delivery"] == "at_least_once"


class TestPlaces:
    def test_a_resource_of_the_project(
        self, log: Log, instance: dg.DagsterInstance, path: Path
    ) -> None:
        assets = stream_assets(log, io_manager_key="warehouse")
        result = run(assets, instance, resources={"warehouse": DuckDBIOManager(path=str(path))})
        assert result.success
        assert rows(path, "a") == [1]

    def test_an_io_manager_without_a_destination_is_refused(
        self, log: Log, instance: dg.DagsterInstance
    ) -> None:
        result = run(stream_assets(log, io_manager_key="io_manager"), instance)
        assert "no destination that many streams" in failure_text(result)

    def test_what_comes_after_reads_the_table(
        self, log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        seen: list[Any] = []

        @dg.asset(ins={"a": dg.AssetIn(dg.AssetKey(["log", "a"]), input_manager_key="warehouse")})
        def after(a: list) -> None:  # type: ignore[type-arg]
            seen.extend(a)

        @dg.asset_check(asset=dg.AssetKey(["log", "a"]))
        def fine() -> dg.AssetCheckResult:
            return dg.AssetCheckResult(passed=True)

        defs = dg.Definitions(
            assets=[*stream_assets(log, io_manager_key="warehouse"), after],
            asset_checks=[fine],
            resources={"warehouse": DestinationIOManager(warehouse)},
        )
        result = run(defs, instance)
        assert result.success
        assert seen == [{"n": 1}]
        assert [one.passed for one in result.get_asset_check_evaluations()] == [True]

    def test_pool_retries_and_options(self, log: Log, warehouse: DuckDBDestination) -> None:
        policy = dg.RetryPolicy(max_retries=1)
        options = {"a": {"group": "other", "deps": ["upstream"], "tags": {"t": "1"}}}
        (assets,) = stream_assets(
            log, destination=warehouse, pool="p", retry_policy=policy, options=options
        )
        assert (assets.op.pool, assets.op.retry_policy) == ("p", policy)
        assert assets.specs_by_key[dg.AssetKey(["log", "a"])].group_name == "other"
        assert [
            dep.asset_key.path for dep in assets.specs_by_key[dg.AssetKey(["log", "a"])].deps
        ] == [["upstream"]]
        assert list(assets.specs_by_key[dg.AssetKey(["log", "b"])].deps) == []
        with pytest.raises(ConfigError, match="'a'"):
            stream_assets(log, destination=warehouse, options={"a": {"pool": "own"}})

    def test_new_keys_keep_their_streams(
        self, log: Log, warehouse: DuckDBDestination, instance: Any, path: Path
    ) -> None:
        (assets,) = stream_assets(log, destination=warehouse)
        renamed = assets.with_attributes(
            asset_key_replacements={key: key.with_prefix("raw") for key in assets.keys}
        )
        result = run([renamed], instance, "raw/log/b")
        assert result.success
        assert materialized(result) == ["raw/log/b"]
        assert rows(path, "b") == [1]


class TestOrdinarySources:
    """A source that reads stream by stream may be read in one step, where somebody wants that."""

    def test_one_after_the_other(
        self, shop: Shop, warehouse: DuckDBDestination, instance: Any, path: Path
    ) -> None:
        assets = stream_assets(
            shop, ["customers", "orders", "visits"], destination=warehouse, granularity="source"
        )
        shop.rows["visits"] = [{"at": "2026-01-01"}, {"at": "2026-01-01"}]
        assert run(assets, instance).success
        shop.rows["visits"].append({"at": "2026-01-01"})
        shop.rows["orders"] = people(7)
        assert run(assets, instance).success
        assert query(path, "SELECT count(*) FROM shop.visits") == [(3,)], (
            "the rows at the boundary come once"
        )
        assert query(path, "SELECT count(*) FROM shop.orders") == [(7,)]
        assert event(instance, "shop/orders")["etl_assets/bookmark"] == {
            "updated_at": "2026-01-07T00:00:00Z"
        }

    def test_the_same_state_serves_both(
        self, shop: Shop, warehouse: DuckDBDestination, instance: Any
    ) -> None:
        run(stream_assets(shop, "visits", destination=warehouse), instance)
        shop.rows["visits"] = [{"at": "2026-01-01"}]
        run(stream_assets(shop, "visits", destination=warehouse, granularity="source"), instance)
        result = run(stream_assets(shop, "visits", destination=warehouse), instance)
        assert result.success
        assert event(instance, "shop/visits")["etl_assets/records_loaded"] == 0

    def test_a_failing_one_leaves_the_others(
        self, shop: Shop, warehouse: DuckDBDestination, instance: Any
    ) -> None:
        shop.failures["customers"] = [OSError("the disk is gone")]
        assets = stream_assets(
            shop, ["customers", "orders"], destination=warehouse, granularity="source"
        )
        result = run(assets, instance)
        assert materialized(result) == ["shop/orders"]
        assert "shop/customers: stream 'customers'" in logged(result, instance)
        assert "the disk is gone" in failure_text(result)

    def test_a_source_that_reads_them_together_cannot_be_read_one_by_one(
        self, log: Log, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(ConfigError, match="no load_data"):
            stream_assets(log, destination=warehouse, granularity="stream")
        with pytest.raises(ConfigError, match="no granularity"):
            stream_assets(log, destination=warehouse, granularity="table")  # type: ignore[arg-type]


def test_news_of_streams_that_share_a_state_cannot_be_told(
    log: Log, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    shared = Log(shared=True, name="shared")
    assets = stream_assets(shared, destination=warehouse)
    assert len(streams_with_news(shared, assets, instance)) == 3, "never loaded"
    run(assets, instance)
    assert streams_with_news(shared, assets, instance) == []


def test_two_sources_of_one_name_are_told_apart(log: Log, warehouse: DuckDBDestination) -> None:
    other = stream_assets(Log(config={"x": 1}), ["a", "b"], io_manager_key="w")
    mine = stream_assets(log, io_manager_key="w")
    keys = {key: key.with_prefix("raw") for key in mine[0].keys}
    moved = mine[0].with_attributes(asset_key_replacements=keys)

    class Running:
        repository_def = dg.Definitions(
            assets=[*other, moved], resources={"w": DestinationIOManager(warehouse)}
        ).get_repository_def()

    context: Any = Running
    binding = bindings_of([moved])[dg.AssetKey(["raw", "log", "a"])]
    with pytest.raises(ConfigError, match=r"Two sources are named 'log'.* have the stream 'a'"):
        refuse_same_names(context, [binding])


def test_a_failure_of_the_read_is_told(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    class Dying(Log):
        @override
        def load_streams(
            self, streams: Sequence[Stream], state: SourceState, **kwargs: Any
        ) -> Iterator[Event]:
            yield from list(super().load_streams(streams[:1], state))
            raise OSError("the cable was cut")

    result = run(stream_assets(Dying(), destination=warehouse), instance)
    assert materialized(result) == ["log/a"]
    assert "2 of 3 streams failed" in failure_text(result)
    assert "OSError: the cable was cut" in failure_text(result)
    assert failure(result).step_failure_data.user_failure_data is not None
    assert rows(path, "a") == [1]
