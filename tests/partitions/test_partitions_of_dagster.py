"""What Dagster calls a partition, as what its rows have."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from etl_assets.assets.partitions import PartitionFields
from etl_assets.exceptions import ConfigError
from etl_assets.model.partitions import TimeWindow

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = dg.DailyPartitionsDefinition("2026-03-01", timezone="Europe/Berlin")
TENANTS = dg.StaticPartitionsDefinition(["a", "b"])


def test_a_day_is_as_long_as_it_is_where_it_is() -> None:
    (one,) = PartitionFields(DAYS, "at", "orders").of(["2026-03-29"]).each
    window = one.rows["at"]
    assert isinstance(window, TimeWindow)
    assert window.start == dt.datetime(2026, 3, 29, tzinfo=BERLIN)
    assert window.end.timestamp() - window.start.timestamp() == 23 * 3600
    assert one.name == "2026-03-29"


def test_hours_that_come_twice_are_two_partitions() -> None:
    hours = dg.HourlyPartitionsDefinition("2026-10-25-00:00", timezone="Europe/Berlin")
    end = dt.datetime(2026, 10, 25, 5, tzinfo=BERLIN)
    keys = [key for key in hours.get_partition_keys(current_time=end) if "2026-10-25" in key]
    found = PartitionFields(hours, "at", "orders").of(keys)
    assert len(set(found.names)) == len(keys) == 6
    assert len(found.joined) == 1
    window = found.joined[0]["at"]
    assert isinstance(window, TimeWindow)
    assert window.end.timestamp() - window.start.timestamp() == 6 * 3600


def test_two_dimensions_are_two_fields() -> None:
    both = dg.MultiPartitionsDefinition({"day": DAYS, "tenant": TENANTS})
    fields = PartitionFields(both, {"day": "at", "tenant": "tenant_id"}, "orders")
    keys = [f"2026-03-{day:02}|{tenant}" for day in (1, 2) for tenant in "ab"]
    found = fields.of(keys)
    assert found.fields == ("at", "tenant_id")
    assert found.names == tuple(keys)
    (joined,) = found.joined  # both days of both tenants follow each other
    assert joined["tenant_id"] == frozenset({"a", "b"})
    assert len(fields.of([keys[0], keys[3]]).joined) == 2


@pytest.mark.parametrize(
    ("definition", "partition_by", "told"),
    [
        (
            dg.MultiPartitionsDefinition({"day": DAYS, "tenant": TENANTS}),
            "at",
            "several dimensions",
        ),
        (DAYS, {"day": "at"}, "one dimension"),
        (
            dg.MultiPartitionsDefinition({"day": DAYS, "tenant": TENANTS}),
            {"day": "at", "tenants": "x"},
            "the dimension 'tenants', which there is not. Did you mean 'tenant'",
        ),
        (
            dg.MultiPartitionsDefinition({"day": DAYS, "tenant": TENANTS}),
            {"day": "at"},
            "no field for the dimension 'tenant'",
        ),
        (
            dg.MultiPartitionsDefinition({"day": DAYS, "tenant": TENANTS}),
            {"day": "at", "tenant": "at"},
            "one field for two dimensions",
        ),
    ],
)
def test_fields_that_do_not_fit_are_refused(definition: Any, partition_by: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=r"stream 'orders': .*" + told):
        PartitionFields(definition, partition_by, "orders")


def test_a_key_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConfigError, match="300 characters; at most 200"):
        PartitionFields(TENANTS, "tenant", "orders").of(["x" * 300])
