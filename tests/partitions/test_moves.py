"""A stream that is loaded by partition from now on, or no longer: nothing is loaded twice, and nothing is lost."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import DuckDBDestination, Stream, stream_assets
from tests.assets.shop import event, failure_text, logged
from tests.partitions.orders import BY_DAY, TENANTS, Shop, ids, of_days, run

LATE = (900, "2026-01-11 08:00:00+00:00", "a")
BY_TENANT = {"partitions_def": TENANTS, "partition_by": "tenant"}


@pytest.fixture(params=["stream", "source"])
def granularity(request: pytest.FixtureRequest) -> Any:
    return request.param


def read(result: dg.ExecuteInProcessResult) -> int:
    (one,) = result.get_asset_materialization_events()
    return int(str(one.materialization.metadata["etl_assets/records_loaded"].value))


def test_it_goes_on_from_the_newest_partition(
    shop: Shop,
    warehouse: DuckDBDestination,
    instance: dg.DagsterInstance,
    path: Path,
    granularity: Any,
) -> None:
    source = shop.source()
    kind = {"destination": warehouse, "granularity": granularity}
    by_day = stream_assets(source, options={"orders": BY_DAY}, **kind)
    whole = stream_assets(source, **kind)
    assert run(by_day, instance, "2026-01-06", "2026-01-08").success
    assert run(by_day, instance, "2026-01-03").success
    shop.put(LATE)
    result = run(whole, instance)
    assert result.success
    told = logged(result, instance)
    assert "the largest replication key of its partitions" in told
    assert "never loaded, stay out" in told
    expected = [*of_days([3, 6, 7, 8, 9, 10]), 900]
    assert ids(path) == expected
    assert read(result) == 5  # the row at the bookmark came again as it was
    assert event(instance, "shop/orders")["etl_assets/bookmark"] == {
        "at": "2026-01-11T08:00:00+00:00"
    }
    again = run(whole, instance)
    assert (read(again), ids(path)) == (0, expected)


def test_and_back_the_partitions_replace_their_rows(
    shop: Shop,
    warehouse: DuckDBDestination,
    instance: dg.DagsterInstance,
    path: Path,
    granularity: Any,
) -> None:
    source = shop.source()
    kind = {"destination": warehouse, "granularity": granularity}
    by_day = stream_assets(source, options={"orders": BY_DAY}, **kind)
    whole = stream_assets(source, **kind)
    assert run(whole, instance).success
    shop.run("DELETE FROM orders WHERE id = 8")
    shop.put((901, "2026-01-04 08:00:00+00:00", "b"))
    assert run(by_day, instance, "2026-01-04").success
    expected = sorted([*of_days(range(1, 11)), 901])
    expected.remove(8)
    assert ids(path) == expected
    shop.put(LATE)
    assert read(run(whole, instance)) == 1
    assert ids(path) == [*expected[:-1], 900, 901]
    assert run(by_day, instance, "2026-01-01", "2026-01-10").success
    assert ids(path) == [*expected[:-1], 900, 901]


def test_partitions_by_another_field_do_not_tell_how_far_it_is_read(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    """Tenant a was loaded before tenant b: what has changed of it since is not left out."""
    source = shop.source()
    by_tenant = stream_assets(source, destination=warehouse, options={"orders": BY_TENANT})
    whole = stream_assets(source, destination=warehouse)
    assert run(by_tenant, instance, "a").success
    shop.put((4, "2026-01-05 08:00:00+00:00", "a"), (900, "2026-01-09 08:00:00+00:00", "a"))
    assert run(by_tenant, instance, "b").success
    result = run(whole, instance)
    assert result.success
    assert "does not tell how far it is read" in logged(result, instance)
    assert ids(path) == [*of_days(range(1, 11)), 900]
    assert read(result) == 2


KEYLESS = Stream("orders", replication_key="at")


def test_rows_without_a_key_are_never_appended_to_those_of_partitions(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    source = shop.source()
    source.streams = [KEYLESS]
    by_day = stream_assets(source, destination=warehouse, options={"orders": BY_DAY})
    whole = stream_assets(source, destination=warehouse)
    assert run(by_day, instance, "2026-01-02", "2026-01-03").success
    told = failure_text(run(whole, instance))
    assert "was loaded by partition, so which rows it holds already cannot be told" in told
    assert ids(path) == of_days([2, 3])
    # The hint.
    assert run(whole, instance, config={"full_refresh": True}).success
    assert ids(path) == of_days(range(1, 11))
    shop.put(LATE)
    assert run(whole, instance).success
    assert ids(path) == [*of_days(range(1, 11)), 900]
    # Partitions that are loaded after that are what the next append cannot tell again.
    assert run(by_day, instance, "2026-01-10").success
    assert "cannot be told" in failure_text(run(whole, instance))
    assert ids(path) == [*of_days(range(1, 11)), 900]


def test_an_explicit_append_does_not_double_them_either(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance, path: Path
) -> None:
    source = shop.source()
    by_day = stream_assets(source, destination=warehouse, options={"orders": BY_DAY})
    appended = stream_assets(source, destination=warehouse, write_strategy="append")
    assert run(by_day, instance, "2026-01-02", "2026-01-03").success
    assert "cannot be told" in failure_text(run(appended, instance))
    refreshed = run(appended, instance, config={"full_refresh": True})
    assert "cannot be told" in failure_text(refreshed)
    assert ids(path) == of_days([2, 3])


def test_a_table_that_somebody_dropped_is_told_of(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    source = shop.source()
    by_day = stream_assets(source, destination=warehouse, options={"orders": BY_DAY})
    assert run(by_day, instance, "2026-01-02").success
    with warehouse.transaction() as tx:
        tx.execute("DROP TABLE shop.orders")
    whole = stream_assets(source, destination=warehouse)
    assert "is gone" in failure_text(run(whole, instance))
    assert "is gone" in failure_text(run(by_day, instance, "2026-01-03"))
    assert run(whole, instance, config={"full_refresh": True}).success
