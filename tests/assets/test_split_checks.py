"""Checks of a stream that is read in ranges: evaluated where the ranges are published, in that transaction."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from etl_assets import checks
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from tests.assets.shop import event, failure_text
from tests.assets.test_checks import found, materialized
from tests.assets.test_split import World, steps
from tests.pairs.places import destination
from tests.sources.sql_databases import database

SPLIT = ["plan", "range_0]", "range_1]", "range_2]", "range_3]", "publish"]
NAMED = checks.sql("SELECT id FROM {table} WHERE name IS NULL", name="named", gate=True)
BROKEN = checks.sql("SELECT id FROM {table} WHERE nowhere > 1", name="broken")
ASSET = "shop/orders"


@pytest.fixture(
    params=[
        "duckdb",
        *(pytest.param(one, marks=pytest.mark.full) for one in ("postgresql", "mysql", "sqlite")),
    ]
)
def world(
    request: pytest.FixtureRequest, tmp_path: Path, instance: dg.DagsterInstance
) -> Iterator[World]:
    with ExitStack() as stack:
        shop = stack.enter_context(database("sqlite", tmp_path))
        yield World(shop, destination(request.param, tmp_path, stack), instance)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return what has a step fail at a place, once."""
    passed = type("Passed", (dict,), {"__missing__": lambda *_: 0})()
    monkeypatch.setattr("etl_assets.faults._passed", passed)
    return lambda at: monkeypatch.setenv("ETL_ASSETS_FAULT", at)


def test_the_last_step_yields_what_they_have_found(world: World) -> None:
    wanted = [checks.unique_key(), checks.not_null("name"), checks.matches_source(), NAMED]
    first = world.run(checks=wanted)
    assert first.success
    assert steps(first) == SPLIT
    names = ("unique_key", "not_null_name", "matches_source", "named")
    assert found(first) == {f"orders:{name}": True for name in names}
    assert all(one.target_materialization_data for one in first.get_asset_check_evaluations())
    told = event(world.instance, ASSET)
    assert told["etl_assets/records_loaded"] == told["dagster/row_count"] == 100
    assert told["etl_assets/bookmark"] == {"updated_at": 100}
    assert world.loaded() == world.given()
    assert world.left() == []

    world.shop.run("INSERT INTO orders VALUES (101, NULL, 101)")
    then = world.run(checks=[checks.not_null("name")])
    assert then.success
    assert steps(then) == ["plan", "publish"], "what is new is read in one step"
    assert found(then) == {"orders:not_null_name": False}
    (evaluation,) = then.get_asset_check_evaluations()
    assert evaluation.metadata["etl_assets/failing_rows"].value == 1


def test_a_gate_that_fails_publishes_no_range(world: World) -> None:
    assert world.run(checks=[NAMED]).success
    before, bookmark = world.loaded(), event(world.instance, ASSET)["etl_assets/bookmark"]
    world.shop.run(
        "UPDATE orders SET name = 'second', updated_at = 300",
        "UPDATE orders SET name = NULL WHERE id = 60",
    )
    policy = dg.RetryPolicy(max_retries=2)
    failed = world.run(full_refresh=True, checks=[NAMED, checks.unique_key()], retry_policy=policy)
    assert not failed.success
    assert steps(failed) == SPLIT[:-1]
    assert found(failed) == {"orders:named": False, "orders:unique_key": True}
    assert materialized(failed) == []
    assert "a gate did not let it pass: named" in failure_text(failed)
    assert not [one for one in failed.all_events if one.is_step_up_for_retry]
    assert world.loaded() == before
    assert [state.bookmark for state in world.warehouse.states()] == [bookmark]

    world.shop.run("UPDATE orders SET name = 'mended' WHERE id = 60")
    assert world.run(full_refresh=True, checks=[NAMED]).success
    assert world.loaded() == world.given() != before
    assert world.left() == []


def test_a_check_that_ends_the_transaction_doubles_no_row(world: World) -> None:
    """The ranges are published a second time, without it."""
    result = world.run(checks=[BROKEN, checks.row_count(min=100, max=100)])
    assert result.success
    assert found(result) == {"orders:broken": False, "orders:row_count": True}
    assert world.loaded() == world.given()


def test_nor_where_the_ranges_have_met_other_types(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    with database("sqlite", tmp_path) as shop:
        world = World(shop, DuckDBDestination(str(tmp_path / "w.duckdb")), instance)
        shop.run(
            "DROP TABLE orders",
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, name, updated_at INTEGER)",
        )
        shop.insert("orders", [(n, n if n < 5 else n / 2, n) for n in range(1, 9)])
        result = world.run(split=2, checks=[BROKEN, checks.unique_key()])
        assert result.success
        assert found(result) == {"orders:broken": False, "orders:unique_key": True}
        assert [row[0] for row in world.loaded()] == list(range(1, 9))


def test_ranges_are_no_loads_of_the_stream_for_what_is_usual(world: World) -> None:
    first = world.run(split=6, checks=[checks.row_count(anomaly=3)])
    (evaluation,) = first.get_asset_check_evaluations()
    assert evaluation.passed
    assert evaluation.metadata["etl_assets/rows_of_load"].value == 100
    assert evaluation.metadata["etl_assets/loads_before"].value == 0


def test_a_publish_whose_event_was_lost_has_its_checks_told(
    world: World, fault: Callable[[str], None]
) -> None:
    fault("last_committed:5:raise")  # four ranges, and then their publication
    result = world.run(checks=[NAMED], retry_policy=dg.RetryPolicy(max_retries=1))
    assert result.success
    assert found(result) == {"orders:named": True}
    assert world.loaded() == world.given()
    assert event(world.instance, ASSET)["dagster/row_count"] == 100
    assert [state.rows_in_table for state in world.warehouse.states()] == [100]


def test_a_blocking_check_holds_back_what_is_downstream(world: World) -> None:
    made: list[int] = []

    @dg.asset(deps=[ASSET.split("/")])
    def report() -> None:
        made.append(1)

    few = checks.row_count(max=10, blocking=True)
    result = world.run(beside=[report], checks=[few])
    assert not result.success
    assert found(result) == {"orders:row_count": False}
    assert made == []
    assert world.loaded() == world.given(), "the rows are loaded all the same"
    assert world.run(beside=[report], checks=[]).success
    assert made == [1]


def test_a_resource_of_another_kind_is_refused_before_anything_is_read(world: World) -> None:
    result = world.run(place=dg.FilesystemIOManager(), checks=[NAMED])
    assert "a split cannot be published by an IO manager that has no" in failure_text(result)
    assert world.source.reads == []
