"""A materialization says how old the newest loaded row is, as a number that Dagster plots."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.factory import stream_assets
from etl_assets.assets.lag import lag_seconds
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.stream import Stream
from tests.assets.shop import Shop, person, run

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ORDERS = Stream("orders", replication_key="at")


@pytest.mark.parametrize(
    ("value", "lag"),
    [
        ("2026-01-05T11:00:00Z", 3600.0),
        ("2026-01-05 11:00:00", 3600.0),
        ("2026-01-05T12:00:00+02:00", 7200.0),
        ("2026-01-05T11:59:59.500000000Z", 0.5),
        ("2026-01-05T11:59:59.123456789Z", 0.877),
        ("2026-01-05T12:00:10Z", -10.0),
        (datetime(2026, 1, 5, 13, tzinfo=timezone(timedelta(hours=2))), 3600.0),
        ("2026-01-05", None),
        (date(2026, 1, 5), None),
        (1_767_610_800, None),
        ("1767610800", None),
        ("page 7", None),
        ("", None),
        (None, None),
    ],
)
def test_the_age_of_a_moment(value: Any, lag: float | None) -> None:
    assert lag_seconds({"at": value}, ORDERS, NOW) == lag


def test_what_has_no_replication_key_has_no_lag() -> None:
    assert lag_seconds({"token": "2026-01-05T11:00:00Z"}, ORDERS, NOW) is None
    assert lag_seconds({"at": "2026-01-05T11:00:00Z"}, Stream("orders"), NOW) is None
    assert lag_seconds(None, ORDERS, NOW) is None


@pytest.mark.parametrize("granularity", ["stream", "source"])
def test_each_event_has_the_numbers_that_are_plotted(
    granularity: Any, shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    shop.rows["orders"] = [{**person(1), "updated_at": hour_ago.isoformat()}]
    shop.rows["countries"] = [{"code": "fr"}]
    names = ["orders", "countries"]
    assets = stream_assets(shop, names, destination=warehouse, granularity=granularity)
    assert run(assets, instance).success
    entry = instance.get_latest_materialization_event(dg.AssetKey(["shop", "orders"]))
    assert entry is not None
    assert entry.asset_materialization is not None
    shown = entry.asset_materialization.metadata
    assert 3600 <= shown["etl_assets/lag_seconds"].value < 3700  # type: ignore[operator]
    assert isinstance(shown["etl_assets/lag_seconds"], dg.FloatMetadataValue)
    assert isinstance(shown["etl_assets/duration_seconds"], dg.FloatMetadataValue)
    for key in ("etl_assets/records_loaded", "etl_assets/bytes", "dagster/row_count"):
        assert isinstance(shown[key], dg.IntMetadataValue)
    entry = instance.get_latest_materialization_event(dg.AssetKey(["shop", "countries"]))
    assert entry is not None
    assert entry.asset_materialization is not None
    assert "etl_assets/lag_seconds" not in entry.asset_materialization.metadata
