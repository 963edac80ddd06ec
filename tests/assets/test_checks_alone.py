"""The button "Execute" of a check: it is evaluated on the table as it is, and nothing is loaded."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pytest

from etl_assets import checks
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.load import Capabilities
from tests.assets.shop import Shop, event, failure_text, people, person
from tests.assets.test_checks import Counting, found, materialized

ORDERS = dg.AssetKey(["shop", "orders"])
CHECKS = [
    checks.not_null("name", gate=True),
    checks.row_count(min=1, anomaly=3),
    checks.sql("SELECT nowhere FROM {table}", name="broken"),
    checks.schema_unchanged(),
    checks.no_rejected(),
    checks.matches_source(),
]
TABLE = '"warehouse"."shop"."orders"'


@pytest.fixture
def shop() -> Shop:
    return Counting({"customers": people(3), "orders": people(5)})


@pytest.fixture(params=["stream", "source"])
def assets(
    request: pytest.FixtureRequest, shop: Shop, warehouse: DuckDBDestination
) -> list[dg.AssetsDefinition]:
    return stream_assets(
        shop,
        ["orders", "customers"],
        destination=warehouse,
        granularity=request.param,
        options={"orders": StreamOptions(checks=CHECKS)},
    )


def press(
    assets: Sequence[Any], instance: dg.DagsterInstance, *names: str
) -> dg.ExecuteInProcessResult:
    """Execute some checks of the orders by themselves, as the UI does."""
    keys = {dg.AssetCheckKey(ORDERS, name) for name in names}
    job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
    only = job.get_subset(asset_selection=set(), asset_check_selection=keys)
    return only.execute_in_process(instance=instance, raise_on_error=False)


def load(assets: Sequence[Any], instance: dg.DagsterInstance) -> None:
    assert dg.materialize(list(assets), instance=instance, raise_on_error=False).success


def test_it_looks_at_the_table_and_loads_nothing(
    assets: list[dg.AssetsDefinition],
    shop: Shop,
    warehouse: DuckDBDestination,
    instance: dg.DagsterInstance,
) -> None:
    load(assets, instance)
    reads, before = list(shop.reads), event(instance, "shop/orders")
    first = press(assets, instance, "not_null_name", "matches_source")
    assert first.success
    assert found(first) == {"orders:not_null_name": True, "orders:matches_source": True}
    with warehouse.transaction() as tx:
        tx.execute(f"UPDATE {TABLE} SET name = NULL WHERE id = 2")
    shop.rows["orders"].append(person(6))
    result = press(assets, instance, "not_null_name", "row_count", "matches_source")
    assert not result.success, "Dagster fails a run whose blocking check fails"
    assert found(result) == {
        "orders:not_null_name": False,
        "orders:row_count": True,
        "orders:matches_source": False,
    }
    told = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert told["not_null_name"].metadata["etl_assets/failing_keys"].value == [{"id": 2}]
    assert told["row_count"].metadata["etl_assets/rows_of_load"].value == 5
    assert shop.reads == reads
    assert materialized(result) == []
    assert event(instance, "shop/orders") == before
    assert [state.load_id for state in warehouse.states() if state.stream == "orders"] == [
        before["etl_assets/load_id"]
    ]


def test_what_only_a_load_can_tell_is_said(
    assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance
) -> None:
    load(assets, instance)
    result = press(assets, instance, "schema_unchanged", "no_rejected", "broken")
    told = {one.check_name: str(one.description) for one in result.get_asset_check_evaluations()}
    for name in ("schema_unchanged", "no_rejected"):
        assert told[name] == (
            f"stream 'orders': the check '{name}' could not be evaluated: only a load can tell. "
            "Materialize the stream."
        )
    assert "nowhere" in told["broken"]
    severities = {
        one.check_name: one.severity.value for one in result.get_asset_check_evaluations()
    }
    assert severities == {"schema_unchanged": "WARN", "no_rejected": "WARN", "broken": "ERROR"}
    assert not any(one.passed for one in result.get_asset_check_evaluations())


def test_a_stream_that_was_never_loaded(
    assets: list[dg.AssetsDefinition], instance: dg.DagsterInstance, shop: Shop
) -> None:
    result = press(assets, instance, "row_count", "matches_source")
    assert found(result) == {"orders:row_count": False, "orders:matches_source": False}
    told = [str(one.description) for one in result.get_asset_check_evaluations()]
    assert "the stream was never loaded. Materialize it." in told[0]
    assert shop.reads == []


def test_a_resource_that_is_none_of_ours(shop: Shop, instance: dg.DagsterInstance) -> None:
    options = {"orders": StreamOptions(checks=[checks.row_count(min=1)])}
    assets = stream_assets(shop, ["orders"], io_manager_key="files", options=options)
    job = dg.Definitions(
        assets=assets, resources={"files": dg.FilesystemIOManager()}
    ).resolve_implicit_global_asset_job_def()
    keys = {dg.AssetCheckKey(ORDERS, "row_count")}
    only = job.get_subset(asset_selection=set(), asset_check_selection=keys)
    result = only.execute_in_process(instance=instance, raise_on_error=False)
    assert "needs an IO manager of this library" in failure_text(result)


def test_a_destination_of_ones_own_evaluates_them_when_it_loads(
    shop: Shop, instance: dg.DagsterInstance
) -> None:
    class Own(Destination):
        capabilities = Capabilities(checks=True)

    options = {"orders": StreamOptions(checks=[checks.row_count(min=1)])}
    assets = stream_assets(shop, ["orders"], destination=Own(), options=options)
    told = failure_text(press(assets, instance, "row_count"))
    assert "evaluates the check 'row_count' when it loads, and not by itself" in told
    assert "Materialize the stream." in told


def test_some_of_the_checks_of_a_load(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    options = {"orders": StreamOptions(checks=CHECKS)}
    assets = stream_assets(shop, ["orders"], destination=warehouse, options=options)
    job = dg.Definitions(assets=assets).resolve_implicit_global_asset_job_def()
    keys = {dg.AssetCheckKey(ORDERS, "not_null_name")}
    some = job.get_subset(asset_selection={ORDERS}, asset_check_selection=keys)
    result = some.execute_in_process(instance=instance, raise_on_error=False)
    assert found(result) == {"orders:not_null_name": True}
    assert materialized(result) == ["orders"]
