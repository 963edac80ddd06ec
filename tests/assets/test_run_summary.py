"""One readable place in a run for what became of its streams, whichever steps they had."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from etl_assets import checks
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.assets.run_summary import SUMMARY_TAG, build_run_summary_sensor, summary_of
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream
from tests.assets.shop import Shop, broken, people, run

NAMES = ("s1", "s2", "s3", "s4")
FAILED = "s3"


class Many(Shop):
    """A shop with more streams."""

    streams = tuple(
        Stream(name, primary_key=["id"], replication_key="updated_at") for name in NAMES
    )


@pytest.fixture
def shop() -> Shop:
    return Many({name: people(number) for number, name in enumerate(NAMES, start=1)})


@pytest.fixture(params=["stream", "source"])
def assets(
    request: pytest.FixtureRequest, shop: Shop, warehouse: DuckDBDestination
) -> list[dg.AssetsDefinition]:
    return stream_assets(shop, destination=warehouse, granularity=request.param)


def tick(
    assets: Sequence[Any], instance: dg.DagsterInstance, *, is_of_project: bool = False
) -> str:
    """Evaluate the sensor once; gives what the tick says."""
    sensor = build_run_summary_sensor(None if is_of_project else assets)
    context = dg.build_sensor_context(
        instance=instance, definitions=dg.Definitions(assets=assets, sensors=[sensor])
    )
    return str(sensor.evaluate_tick(context).skip_message)


def events(instance: dg.DagsterInstance, run_id: str) -> list[dg.DagsterEvent]:
    """Return the events of a run that have a summary."""
    found = [one.dagster_event for one in instance.all_logs(run_id)]
    return [one for one in found if one and "loaded (" in str(one.message) and one.is_engine_event]


def test_the_run_says_what_was_loaded_and_what_to_do(
    assets: list[dg.AssetsDefinition], shop: Shop, instance: dg.DagsterInstance
) -> None:
    shop.failures[FAILED] = [broken()]
    result = run(assets, instance)
    assert not result.success
    told = "3 of 4 streams loaded (7 rows), 1 failed: shop/s3"
    assert tick(assets, instance) == f"run {result.run_id}: {told}"
    ended = instance.get_run_by_id(result.run_id)
    assert ended is not None
    assert ended.tags[SUMMARY_TAG] == told
    (event,) = events(instance, result.run_id)
    assert event.message == told
    shown = {name: one.value for name, one in event.engine_event_data.metadata.items()}
    assert "| shop/s3 | the shop is on fire Call the fire brigade. |" in str(
        shown["etl_assets/failed"]
    )
    for number in (1, 2, 4):
        assert f"| shop/s{number} | {number} | " in str(shown["etl_assets/loaded"])
    assert "etl_assets/not_loaded" not in shown
    assert tick(assets, instance) == "no run has ended", "each run has one"
    assert len(events(instance, result.run_id)) == 1


def test_without_assets_it_is_about_all_streams_of_the_project(
    assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
) -> None:
    @dg.asset
    def other() -> None:
        """Be none of a stream."""

    result = run([*assets, other], instance)
    told = f"run {result.run_id}: 4 of 4 streams loaded (10 rows)"
    assert tick([*assets, other], instance, is_of_project=True) == told


def test_what_comes_after_a_failure_was_not_loaded(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    options = {"s4": StreamOptions(deps=[dg.AssetKey(["shop", "s3"])])}
    assets = stream_assets(shop, destination=warehouse, options=options)
    shop.failures[FAILED] = [broken()]
    result = run(assets, instance)
    summary = summary_of(instance, result.run_id, [one.key for one in assets])
    assert summary.skipped == ["shop/s4"]
    assert summary.headline == (
        "2 of 4 streams loaded (3 rows), 1 failed: shop/s3, 1 not loaded: shop/s4"
    )


def test_the_rows_of_partitions_are_summed(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    options = {
        "s4": StreamOptions(
            partitions_def=dg.StaticPartitionsDefinition(["1", "2", "3", "4"]),
            partition_by="id",
            backfill_policy=dg.BackfillPolicy.single_run(),
            outside_partition="drop",
        )
    }
    assets = stream_assets(shop, ["s4"], destination=warehouse, options=options)
    tags = {
        "dagster/asset_partition_range_start": "1",
        "dagster/asset_partition_range_end": "3",
    }
    result = run(assets, instance, tags=tags)
    summary = summary_of(instance, result.run_id, [one.key for one in assets])
    assert summary.headline == "1 of 1 stream loaded (3 rows)"


def test_a_check_that_failed_is_told_although_the_stream_was_loaded(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    defaults = StreamOptions(
        checks=[
            checks.row_count(min=3, blocking=True),
            checks.row_count(min=9, name="many", severity="warn"),
        ]
    )
    assets = stream_assets(shop, ["s2", "s4"], destination=warehouse, defaults=defaults)
    result = run(assets, instance)
    assert not result.success
    summary = summary_of(instance, result.run_id, [one.key for one in assets])
    assert summary.headline == ("2 of 2 streams loaded (6 rows), 1 check failed: shop/s2:row_count")
    assert "| shop/s2:row_count | the table has 2 rows" in str(
        summary.metadata()["etl_assets/failed_checks"].value
    )


def test_a_gate_is_a_reason(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    defaults = StreamOptions(checks=[checks.row_count(min=2, gate=True)])
    assets = stream_assets(shop, destination=warehouse, defaults=defaults)
    result = run(assets, instance)
    summary = summary_of(instance, result.run_id, [one.key for one in assets])
    assert list(summary.failed) == ["shop/s1"]
    assert "at least 2 must be there" in summary.failed["shop/s1"]


def test_a_run_of_other_assets_is_left_alone(
    assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
) -> None:
    @dg.asset
    def other() -> None:
        """Be none of a stream."""

    dg.materialize([other], instance=instance)
    assert tick(assets, instance) == "no run has ended"
    with pytest.raises(ConfigError, match="The summaries have no streams") as told:
        build_run_summary_sensor([other])
    assert "Give them the lists that stream_assets gave" in str(told.value.hint)
