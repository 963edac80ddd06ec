"""The sensor launches what has new data, and says why it leaves the rest alone; the schedule launches all."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets.assets.config import FULL_REFRESH_TAG
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.io_manager import DestinationIOManager
from etl_assets.assets.runs import UNFINISHED, is_dead
from etl_assets.assets.sensors import (
    BACK_OFF,
    STREAM_TAG,
    Polled,
    build_source_sensor,
    build_sync_schedule,
    streams_with_news,
)
from etl_assets.assets.translator import StreamProps, StreamTranslator
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError, UnavailableError
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from tests.assets.shop import Shop, broken, people, person, run

CUSTOMERS = dg.AssetKey(["shop", "customers"])
ORDERS = dg.AssetKey(["shop", "orders"])


class Project:
    """Assets of a shop, their sensor, and the instance they live in."""

    def __init__(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        self.shop = shop
        self.instance = instance
        self.assets = stream_assets(shop, ["customers", "orders"], destination=warehouse)
        self.sensor = build_source_sensor(shop, assets=self.assets)
        self.defs = dg.Definitions(assets=self.assets, sensors=[self.sensor])

    def evaluate(self, later: float = 0.0) -> tuple[list[str], dict[str, str]]:
        """Return the keys that would be launched now, or some seconds later, and why the others would not."""
        polled = Polled(
            self.shop, {CUSTOMERS: self.shop.streams[0], ORDERS: self.shop.streams[1]}, 1800, 10
        )
        requests, reasons = polled.evaluate(self.instance, time.time() + later)
        return [request.asset_selection[0].to_user_string() for request in requests], reasons  # type: ignore[index] # always there

    def launched(self, key: dg.AssetKey) -> bool:
        """Run what the sensor would launch for an asset, with its tags."""
        tags = {STREAM_TAG: key.to_escaped_user_string()}
        return run(self.defs, self.instance, key.to_user_string(), tags=tags).success

    def start(self, *keys: dg.AssetKey, tags: Mapping[str, str] | None = None) -> str:
        """Start a run that this process does not execute."""
        job = self.defs.resolve_implicit_global_asset_job_def()
        made = self.instance.create_run_for_job(
            job, asset_selection=frozenset(keys) or None, tags=dict(tags or {})
        )
        self.instance.report_engine_event("here", made)
        self.instance.handle_new_event(_started(made))
        return str(made.run_id)


def _started(made: dg.DagsterRun) -> dg.EventLogEntry:
    begun = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, made.job_name)
    return dg.EventLogEntry(  # type: ignore[no-untyped-call] # Dagster's
        error_info=None,
        level=20,
        user_message="",
        run_id=made.run_id,
        timestamp=time.time(),
        job_name=made.job_name,
        dagster_event=begun,
    )


@pytest.fixture
def project(shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance) -> Project:
    return Project(shop, warehouse, instance)


class TestSensor:
    def test_what_was_never_loaded_is_launched(self, project: Project) -> None:
        assert project.evaluate() == (["shop/customers", "shop/orders"], {})
        assert project.shop.asked == []

    def test_only_what_has_new_data_is_launched(self, project: Project) -> None:
        run(project.defs, project.instance)
        assert project.evaluate() == (
            [],
            {"shop/customers": "nothing new", "shop/orders": "nothing new"},
        )
        project.shop.rows["orders"] += [person(6)]
        assert project.evaluate() == (["shop/orders"], {"shop/customers": "nothing new"})
        assert len(project.shop.asked) == 2  # one question for all streams
        assert project.shop.asked[-1]["orders"] == {"updated_at": "2026-01-05T00:00:00Z"}

    def test_it_asks_again_after_what_it_launched_has_come(self, project: Project) -> None:
        run(project.defs, project.instance)
        project.shop.rows["orders"] += [person(6)]
        assert project.launched(ORDERS)
        assert project.evaluate()[0] == []

    def test_an_event_without_a_run_hides_nothing(self, project: Project) -> None:
        run(project.defs, project.instance)
        forged = {"etl_assets/bookmark": {"updated_at": "2030-01-01T00:00:00Z"}}
        project.instance.report_runless_asset_event(
            dg.AssetMaterialization(ORDERS, metadata=forged)
        )
        project.instance.report_runless_asset_event(dg.AssetMaterialization(ORDERS))
        project.evaluate()
        assert project.shop.asked[-1]["orders"] == {"updated_at": "2026-01-05T00:00:00Z"}

    def test_a_stream_whose_run_failed_waits_and_is_tried_again(self, project: Project) -> None:
        run(project.defs, project.instance)
        project.shop.rows["orders"] += [person(6)]
        for count in (1, 2, 3):
            project.shop.failures["orders"] = [broken()]
            assert not project.launched(ORDERS)
            keys, reasons = project.evaluate()
            assert keys == []
            assert "its last runs failed" in reasons["shop/orders"]
            pause = BACK_OFF * 2 ** (count - 1)
            assert project.evaluate(later=pause - 20)[0] == []
            assert project.evaluate(later=pause + 1)[0] == ["shop/orders"]

    def test_a_success_ends_the_back_off(self, project: Project) -> None:
        run(project.defs, project.instance)
        project.shop.rows["orders"] += [person(6)]
        project.shop.failures["orders"] = [broken()]
        project.launched(ORDERS)
        assert project.launched(ORDERS)
        project.shop.rows["orders"] += [person(7)]
        assert project.evaluate()[0] == ["shop/orders"]

    def test_a_stream_that_never_succeeded_backs_off_too(self, project: Project) -> None:
        project.shop.failures["orders"] = [broken()]
        project.launched(ORDERS)
        assert project.evaluate()[0] == ["shop/customers"]
        assert project.evaluate(later=BACK_OFF + 1)[0] == ["shop/customers", "shop/orders"]

    def test_a_run_in_progress_is_left_alone_until_it_falls_silent(self, project: Project) -> None:
        tags = {STREAM_TAG: ORDERS.to_escaped_user_string()}
        run_id = project.start(ORDERS, tags=tags)
        keys, reasons = project.evaluate()
        assert keys == ["shop/customers"]
        assert reasons == {"shop/orders": f"run {run_id} is in progress"}
        assert project.evaluate(later=1801)[0] == ["shop/customers", "shop/orders"]

    def test_a_run_somebody_else_launched_counts_by_its_selection(self, project: Project) -> None:
        project.start(ORDERS)
        assert project.evaluate()[0] == ["shop/customers"]

    def test_a_run_of_a_whole_job_counts_by_what_it_has_planned(self, project: Project) -> None:
        run_id = project.start()
        keys, reasons = project.evaluate()
        assert keys == []
        assert set(reasons.values()) == {f"run {run_id} is in progress"}
        assert project.evaluate(later=1801)[0] == ["shop/customers", "shop/orders"]

    def test_a_run_that_waits_for_its_turn_is_never_taken_for_dead(
        self, instance: dg.DagsterInstance
    ) -> None:
        # Only a code location can put a run into the queue, so this one stands in for it.
        waiting: Any = SimpleNamespace(status=dg.DagsterRunStatus.QUEUED, run_id="waiting")
        assert waiting.status in UNFINISHED
        assert not is_dead(instance, waiting, time.time() + 100_000, 1800)

    def test_what_the_source_cannot_tell_is_not_launched_for_ever(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        shop.rows["countries"] = [{"code": "NZ"}]
        assets = stream_assets(shop, ["countries"], destination=warehouse)
        run(assets, instance)
        requests, reasons = Polled(shop, {assets[0].key: shop.streams[3]}, 1800, 10).evaluate(
            instance, time.time()
        )
        assert requests == []
        assert "cannot tell" in reasons["shop/countries"]

    def test_dagster_evaluates_it(self, project: Project) -> None:
        def evaluate() -> Any:
            context = dg.build_sensor_context(instance=project.instance, definitions=project.defs)
            return project.sensor.evaluate_tick(context)

        requests = evaluate().run_requests or []
        assert [request.tags[STREAM_TAG] for request in requests] == [
            "shop/customers",
            "shop/orders",
        ]
        assert all(request.run_key is None for request in requests)
        assert evaluate().cursor is None
        run(project.defs, project.instance)
        assert evaluate().skip_message == "shop/customers: nothing new; shop/orders: nothing new"

    def test_a_source_that_is_down_fails_the_tick_with_its_own_words(
        self, project: Project
    ) -> None:
        class Down(Shop):
            @override
            def pending(
                self,
                bookmarks: Mapping[Stream, Bookmark | None],
                *,
                timeout: float,
                rows: Any = None,
            ) -> dict[Stream, bool | None]:
                raise UnavailableError("nobody home")

        run(project.defs, project.instance)
        sensor = build_source_sensor(Down(), assets=project.assets)
        with pytest.raises(dg.Failure, match="nobody home"):
            sensor.evaluate_tick(
                dg.build_sensor_context(instance=project.instance, definitions=project.defs)
            )


class TestKeys:
    def test_by_the_same_arguments_as_the_assets(
        self, shop: Shop, instance: dg.DagsterInstance
    ) -> None:
        class Raw(StreamTranslator):
            @override
            def get_asset_key(self, props: StreamProps) -> dg.AssetKey:
                return dg.AssetKey(["raw", props.stream.name])

        assets = stream_assets(shop, ["orders"], io_manager_key="warehouse", translator=Raw())
        sensor = build_source_sensor(shop, ["orders"], translator=Raw())
        defs = dg.Definitions(
            assets=assets, sensors=[sensor], resources={"warehouse": DestinationIOManager()}
        )
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=defs))
        assert [request.asset_selection for request in tick.run_requests or []] == [
            [dg.AssetKey(["raw", "orders"])]
        ]

    def test_only_the_named_ones_among_the_assets(self, project: Project) -> None:
        sensor = build_source_sensor(project.shop, ["orders"], assets=project.assets)
        tick = sensor.evaluate_tick(
            dg.build_sensor_context(instance=project.instance, definitions=project.defs)
        )
        assert [request.asset_selection for request in tick.run_requests or []] == [[ORDERS]]

    def test_they_are_named_by_globs_too_and_a_wrong_name_is_an_error(
        self, project: Project
    ) -> None:
        sensor = build_source_sensor(project.shop, "cust*", assets=project.assets)
        assert sensor.asset_selection == dg.AssetSelection.assets(CUSTOMERS)
        with pytest.raises(ConfigError, match="'order' matches no stream") as told:
            build_source_sensor(project.shop, ["customers", "order"], assets=project.assets)
        assert told.value.hint == "Did you mean 'orders'?"

    def test_keys_that_the_user_changed(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        made = stream_assets(shop, ["orders"], destination=warehouse)
        moved = [
            one.with_attributes(asset_key_replacements={one.key: dg.AssetKey("moved")})
            for one in made
        ]
        sensor = build_source_sensor(shop, assets=moved)
        defs = dg.Definitions(assets=moved, sensors=[sensor])
        assert run(defs, instance, "moved").success
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=defs))
        assert tick.skip_message == "moved: nothing new"

    def test_no_stream_at_all_is_an_error(self, shop: Shop) -> None:
        with pytest.raises(ConfigError, match="no stream to look after"):
            build_source_sensor(shop, assets=[])


def test_a_full_table_is_launched_when_its_number_of_rows_is_another(
    project: Project, tmp_path: Path
) -> None:
    class Counting(Shop):
        pending = Source.pending  # what a source has that overrides only count_records

        @override
        def count_records(
            self,
            stream: Stream,
            bookmarks: Bookmark | None = None,
            query: Any = None,
            **kwargs: Any,
        ) -> int:
            return len(self.after(stream, bookmarks))

    shop = Counting({"orders": people(3), "countries": [{"code": "AA"}]})
    warehouse = DuckDBDestination(str(tmp_path / "counted.duckdb"))
    assets = stream_assets(shop, ["orders", "countries"], destination=warehouse)
    defs = dg.Definitions(assets=assets)
    run(defs, project.instance)
    assert streams_with_news(shop, assets, project.instance) == []
    shop.rows["countries"] = [*shop.rows["countries"], {"code": "XX"}]
    shop.rows["orders"] += [person(9)]
    assert set(streams_with_news(shop, assets, project.instance)) == {
        dg.AssetKey(["shop", "countries"]),
        ORDERS,
    }


def test_a_script_may_ask_for_the_streams_with_news(project: Project) -> None:
    assert streams_with_news(project.shop, project.assets, project.instance) == [CUSTOMERS, ORDERS]
    run(project.defs, project.instance)
    assert streams_with_news(project.shop, project.assets, project.instance) == []
    project.shop.rows["orders"] += [person(6)]
    assert streams_with_news(project.shop, project.assets, project.instance) == [ORDERS]


class Counting(Source):
    """Tells a count, as a source does that knows no maximum."""

    streams = (Stream("things", primary_key=["id"], replication_key="id"),)
    count: int | None = 0

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [{"id": 1}]

    @override
    def count_records(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> int | None:
        return self.count


def test_a_source_may_only_count(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    source = Counting(name="counting")
    assets = stream_assets(source, destination=warehouse)
    run(assets, instance)
    polled = Polled(source, {assets[0].key: source.streams[0]}, 1800, 10)
    assert polled.evaluate(instance, time.time())[0] == []
    source.count = 7
    assert len(polled.evaluate(instance, time.time())[0]) == 1


class TestSchedule:
    @pytest.fixture
    def instance(self, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
        """Return one on disk: a schedule gets at no other."""
        with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
            yield made

    @staticmethod
    def tick(
        project: Project, schedule: dg.ScheduleDefinition, assets: Any = None
    ) -> tuple[list[dg.RunRequest], str | None]:
        """Return the runs that a tick launches, or why it launches none."""
        defs = dg.Definitions(assets=assets or project.assets, schedules=[schedule])
        context = dg.build_schedule_context(
            instance=project.instance,
            repository_def=defs.get_repository_def(),
            scheduled_execution_time=None,
        )
        told = schedule.evaluate_tick(context)
        return list(told.run_requests or []), told.skip_message

    def test_it_launches_the_assets_by_name(self, project: Project) -> None:
        (request,), _ = self.tick(project, build_sync_schedule(project.assets, "0 * * * *"))
        assert set(request.asset_selection or ()) == {CUSTOMERS, ORDERS}
        assert FULL_REFRESH_TAG not in request.tags

    def test_it_can_refresh_everything(self, project: Project) -> None:
        schedule = build_sync_schedule(["shop/orders"], "@weekly", full_refresh=True)
        (request,), _ = self.tick(project, schedule)
        assert request.tags[FULL_REFRESH_TAG] == "*"
        assert list(request.asset_selection or ()) == [ORDERS]
        assert schedule.name == "shop_full_refresh"

    def test_no_second_run_is_launched_beside_a_live_one(self, project: Project) -> None:
        run_id = project.start(ORDERS, CUSTOMERS)
        requests, told = self.tick(project, build_sync_schedule(project.assets, "@hourly"))
        assert requests == []
        assert told is not None
        assert f"shop/orders: run {run_id} is in progress" in told

    def test_what_no_run_is_at_is_launched_all_the_same(self, project: Project) -> None:
        project.start(ORDERS)
        (request,), _ = self.tick(project, build_sync_schedule(project.assets, "@hourly"))
        assert request.asset_selection == [CUSTOMERS]

    def test_streams_of_one_step_are_left_out_together(self, project: Project) -> None:
        assets = stream_assets(
            project.shop,
            ["customers", "orders"],
            destination=DuckDBDestination("no.duckdb"),
            granularity="source",
        )
        project.start(ORDERS)
        requests, told = self.tick(project, build_sync_schedule(assets, "@hourly"), assets)
        assert requests == []
        assert "shop/orders" in str(told)

    def test_a_run_killed_long_ago_blocks_nothing(self, project: Project) -> None:
        project.start(ORDERS, CUSTOMERS)
        time.sleep(0.01)
        schedule = build_sync_schedule(project.assets, "@hourly", stale_after=0.001)
        (request,), _ = self.tick(project, schedule)
        assert set(request.asset_selection or ()) == {CUSTOMERS, ORDERS}

    def test_it_needs_no_instance_to_be_tried_out(self, project: Project) -> None:
        schedule = build_sync_schedule(project.assets, "@hourly")
        defs = dg.Definitions(assets=project.assets, schedules=[schedule])
        context = dg.build_schedule_context(repository_def=defs.get_repository_def())
        (request,) = schedule.evaluate_tick(context).run_requests or []
        assert set(request.asset_selection or ()) == {CUSTOMERS, ORDERS}

    def test_it_can_be_told_not_to_look(self, project: Project) -> None:
        project.start(ORDERS, CUSTOMERS)
        schedule = build_sync_schedule(project.assets, "@hourly", skip_if_running=False)
        assert len(self.tick(project, schedule)[0]) == 1

    def test_nothing_to_launch_is_an_error(self) -> None:
        with pytest.raises(ConfigError, match="no assets"):
            build_sync_schedule([], "@daily")


def test_a_project_on_disk_keeps_what_a_sensor_needs(
    shop: Shop, warehouse: DuckDBDestination, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for expected in (["shop/customers", "shop/orders"], []):
        with dg.DagsterInstance.local_temp(str(home)) as instance:
            project = Project(shop, warehouse, instance)
            assert project.evaluate()[0] == expected
            assert run(project.defs, instance).success
    assert people(3) == shop.rows["customers"]
