"""The overview of partitioned streams, and the numbers that Dagster plots of every materialization."""

from typing import Any

import dagster as dg
import pytest

from etl_assets import build_overview_asset, checks, stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.stream import Stream
from tests.assets.shop import Shop, broken, event, people
from tests.assets.test_overview import page

TENANTS = dg.StaticPartitionsDefinition(["Ada 1", "Ada 2", "Ada 3", "Ada 4"])
BY_NAME = StreamOptions(partitions_def=TENANTS, partition_by="name", outside_partition="drop")
PLOTTED = {
    "etl_assets/lag_seconds": dg.FloatMetadataValue,
    "etl_assets/records_loaded": dg.IntMetadataValue,
    "etl_assets/bytes": dg.IntMetadataValue,
    "etl_assets/duration_seconds": dg.FloatMetadataValue,
    "dagster/row_count": dg.IntMetadataValue,
}


class Windowed(Shop):
    """A shop that takes a window, and reads everything all the same."""

    streams = (Stream("orders", primary_key=["id"], replication_key="updated_at"),)
    takes_windows = True


@pytest.mark.parametrize("known_by", ["events", "states"])
def test_partitions_are_counted(
    known_by: str, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    shop = Windowed({"orders": people(4)})
    assets = stream_assets(shop, destination=warehouse, defaults=BY_NAME)
    place = warehouse if known_by == "states" else None
    overview = build_overview_asset(assets, destination=place)

    def load(name: str) -> bool:
        done = dg.materialize(assets, partition_key=name, instance=instance, raise_on_error=False)
        return done.success

    assert load("Ada 1")
    assert load("Ada 2")
    shop.failures["orders"] = [broken()]
    assert not load("Ada 3")
    assert dg.materialize([overview], instance=instance).success
    (orders,) = page(instance)
    assert orders["Partitions"] == "2 of 4, 1 failed"
    assert (orders["Rows"], orders["Bookmark"]) == ("2" if place else orders["Rows"], "")
    shown = event(instance, "etl_assets/overview")
    assert shown["etl_assets/partitions_missing"] == 2
    assert shown["etl_assets/partitions_failed"] == 1


@pytest.mark.parametrize("granularity", ["stream", "source"])
@pytest.mark.parametrize(
    "options", [{}, {"checks": [checks.unique_key()]}], ids=["plain", "checked"]
)
def test_what_is_plotted_is_a_number_each_time(
    granularity: Any,
    options: dict[str, Any],
    shop: Shop,
    warehouse: DuckDBDestination,
    instance: dg.DagsterInstance,
) -> None:
    assets = stream_assets(
        shop,
        ["orders"],
        destination=warehouse,
        granularity=granularity,
        options={"orders": StreamOptions(**options)},
    )
    for _ in range(2):  # the second one has nothing new
        (made,) = dg.materialize(assets, instance=instance).get_asset_materialization_events()
        metadata = made.step_materialization_data.materialization.metadata
        found = {name: type(metadata[name]) for name in PLOTTED}
        assert found == PLOTTED
