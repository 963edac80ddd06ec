"""Assets of streams that are loaded by partition: what runs load, and what they say of it."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import (
    DuckDBDestination,
    build_source_sensor,
    build_sync_schedule,
    stream_assets,
)
from etl_assets.assets.run_summary import summary_of
from etl_assets.assets.sensors import streams_with_news
from etl_assets.exceptions import ConfigError
from tests.assets.shop import Shop as People
from tests.assets.shop import failure_text, logged, people
from tests.partitions.orders import BOTH, BY_DAY, TENANTS, Shop, events, ids, of_days, run

GRANULARITIES = ["stream", "source"]


@pytest.fixture(params=GRANULARITIES)
def granularity(request: pytest.FixtureRequest) -> Any:
    return request.param


class TestRuns:
    def test_a_run_loads_its_partition_and_leaves_the_others(
        self,
        shop: Shop,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        path: Path,
        granularity: Any,
    ) -> None:
        assets = stream_assets(
            shop.source(),
            destination=warehouse,
            options={"orders": BY_DAY},
            granularity=granularity,
        )
        first = run(assets, instance, "2026-01-02")
        assert first.success
        (shown,) = events(first).values()
        assert shown["dagster/partition_row_count"] == 2
        assert shown["dagster/row_count"] == 2
        assert shown["etl_assets/records_loaded"] == 2
        assert not [key for key in shown if "bookmark" in key]
        assert run(assets, instance, "2026-01-07").success
        assert ids(path) == of_days([2, 7])
        shop.run("DELETE FROM orders WHERE id = 4")
        shop.put((100, "2026-01-02 12:00:00+00:00", "a"))
        again = run(assets, instance, "2026-01-02")
        assert ids(path) == [5, 14, 15, 100]
        (shown,) = events(again).values()
        assert (shown["dagster/partition_row_count"], shown["dagster/row_count"]) == (2, 4)

    def test_a_single_run_of_many_says_of_each_what_it_has(
        self,
        shop: Shop,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        path: Path,
        granularity: Any,
    ) -> None:
        shop.run("DELETE FROM orders WHERE id IN (6, 8, 9)")
        assets = stream_assets(
            shop.source(),
            destination=warehouse,
            options={"orders": BY_DAY},
            granularity=granularity,
        )
        result = run(assets, instance, "2026-01-02", "2026-01-08")
        assert result.success
        shown = events(result)
        rows = [one["dagster/partition_row_count"] for one in shown.values()]
        assert list(shown) == [f"2026-01-{day:02}" for day in range(2, 9)]
        assert rows == [2, 1, 0, 2, 2, 2, 2]
        assert ids(path) == sorted({*of_days(range(2, 9))} - {6, 8, 9})
        told = {one["etl_assets/partitions"] for one in shown.values()}
        assert told == {"2026-01-02 to 2026-01-08 (7 partitions)"}
        # Each would be taken for that of one partition, seven times.
        assert "etl_assets/records_loaded" not in shown["2026-01-03"]
        summary = summary_of(instance, result.run_id, [dg.AssetKey(["shop", "orders"])])
        assert summary.headline == "1 of 1 stream loaded (11 rows)"

    def test_each_partition_has_a_data_version_of_its_own(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        assets = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        versions = []
        for day in ("2026-01-02", "2026-01-03"):
            result = run(assets, instance, day)
            (one,) = result.get_asset_materialization_events()
            tags = one.materialization.tags or {}
            assert tags["dagster/data_version"] == events(result)[day]["etl_assets/load_id"]
            versions.append(tags["dagster/data_version"])
        assert len(set(versions)) == 2

    def test_tenants_and_both_dimensions(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        by_tenant = {"partitions_def": TENANTS, "partition_by": "tenant"}
        assets = stream_assets(shop.source(), destination=warehouse, options={"orders": by_tenant})
        assert run(assets, instance, "b").success
        assert ids(path) == [2 * day + 1 for day in range(1, 11)]
        assert run(assets, instance, "c").success

    def test_the_partitions_of_a_range_of_two_dimensions_do_not_follow_each_other(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        by = {"day": "at", "tenant": "tenant"}
        assets = stream_assets(
            shop.source(),
            destination=warehouse,
            options={"orders": {"partitions_def": BOTH, "partition_by": by}},
        )
        assert run(
            assets, instance, dg.MultiPartitionKey({"day": "2026-01-02", "tenant": "b"})
        ).success
        assert ids(path) == [5]
        result = run(assets, instance, "2026-01-02|a", "2026-01-03|a")
        assert result.success
        assert ids(path) == [4, 5, 6]
        rows = {key: one["dagster/partition_row_count"] for key, one in events(result).items()}
        assert rows == {"2026-01-02|a": 1, "2026-01-03|a": 1}

    def test_dynamic_partitions(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        tenants = dg.DynamicPartitionsDefinition(name="tenants")
        assets = stream_assets(
            shop.source(),
            destination=warehouse,
            options={"orders": {"partitions_def": tenants, "partition_by": "tenant"}},
        )
        instance.add_dynamic_partitions("tenants", ["a", "z"])
        result = run(assets, instance, "a", "z")
        assert result.success
        assert ids(path) == [2 * day for day in range(1, 11)]
        rows = {key: one["dagster/partition_row_count"] for key, one in events(result).items()}
        assert rows == {"a": 10, "z": 0}

    def test_hours_when_the_clock_is_set_back(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        hours = dg.HourlyPartitionsDefinition(
            "2026-10-25-00:00", end_date="2026-10-25-05:00", timezone="Europe/Berlin"
        )
        for number in range(7):
            moment = f"2026-10-{24 if number < 3 else 25} {(number + 21) % 24:02}:30:00+00:00"
            shop.put((100 + number, moment, "a"))
        assets = stream_assets(
            shop.source(),
            destination=warehouse,
            options={"orders": {"partitions_def": hours, "partition_by": "at"}},
        )
        keys = hours.get_partition_keys()
        assert len(keys) == 6
        for key in keys:
            result = run(assets, instance, key)
            assert events(result)[key]["dagster/partition_row_count"] == 1
        assert ids(path) == [101, 102, 103, 104, 105, 106]

    @pytest.mark.parametrize(
        "config", [{"limit": 1}, {"query": {"id": 4}}, {"bookmark": {"at": "2026-01-01"}}], ids=str
    )
    def test_what_cuts_a_read_is_refused(
        self,
        shop: Shop,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        config: Any,
    ) -> None:
        assets = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        result = run(assets, instance, "2026-01-02", config=config)
        assert f"run config has {next(iter(config))}" in failure_text(result)
        assert run(assets, instance, "2026-01-02").success

    def test_a_full_refresh_reloads_the_partition_alone(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
    ) -> None:
        assets = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        run(assets, instance, "2026-01-02")
        run(assets, instance, "2026-01-03")
        assert run(assets, instance, "2026-01-03", config={"full_refresh": True}).success
        assert run(assets, instance, "2026-01-03", tags={"etl_assets/full_refresh": "*"}).success
        assert ids(path) == of_days([2, 3])

    def test_a_run_without_a_partition_replaces_nothing(
        self,
        shop: Shop,
        warehouse: DuckDBDestination,
        instance: dg.DagsterInstance,
        path: Path,
        granularity: Any,
    ) -> None:
        assets = stream_assets(
            shop.source(),
            destination=warehouse,
            options={"orders": BY_DAY},
            granularity=granularity,
        )
        run(assets, instance, "2026-01-02")
        job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        assert "for none of its partitions" in failure_text(result)
        assert ids(path) == of_days([2])

    def test_the_log_says_which_partitions(
        self, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        assets = stream_assets(shop.source(), destination=warehouse, options={"orders": BY_DAY})
        told = logged(run(assets, instance, "2026-01-02", "2026-01-09"), instance)
        assert "orders: loads partitions 2026-01-02 to 2026-01-09 (8 partitions)" in told
        assert "orders: replaced partitions 2026-01-02 to 2026-01-09 (8 partitions) with" in told
        assert "16 rows in table" in told
        assert "event is missing" not in logged(run(assets, instance, "2026-01-02"), instance)


class TestSensors:
    def test_a_sensor_and_a_schedule_leave_partitions_out(
        self, warehouse: DuckDBDestination, instance: dg.DagsterInstance
    ) -> None:
        source = People({"customers": people(2), "orders": people(2)})
        by_day = {**BY_DAY, "partition_by": "updated_at"}
        assets = stream_assets(
            source, ["customers", "orders"], destination=warehouse, options={"orders": by_day}
        )
        customers = dg.AssetKey(["shop", "customers"])
        assert streams_with_news(source, assets, instance) == [customers]
        sensor = build_source_sensor(source, assets=assets)
        defs = dg.Definitions(assets=assets, sensors=[sensor])
        with dg.build_sensor_context(instance=instance, definitions=defs) as context:
            requests = sensor.evaluate_tick(context).run_requests or []
        assert [one.asset_selection for one in requests] == [[customers]]
        schedule = build_sync_schedule(assets, "0 5 * * *")
        request = schedule.evaluate_tick(dg.build_schedule_context()).run_requests
        assert [one.asset_selection for one in request or ()] == [[customers]]

    def test_with_nothing_else_they_are_errors(
        self, shop: Shop, warehouse: DuckDBDestination
    ) -> None:
        source = shop.source()
        assets = stream_assets(source, destination=warehouse, options={"orders": BY_DAY})
        with pytest.raises(ConfigError, match="those with partitions are left out"):
            build_source_sensor(source, assets=assets)
        with pytest.raises(ConfigError, match="those with partitions are left out"):
            build_sync_schedule(assets, "0 5 * * *")
