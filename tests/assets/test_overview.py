"""One asset shows all streams: how far each is, what its last run was, and which checks fail."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from etl_assets import (
    Source,
    SqlSource,
    Stream,
    build_overview_asset,
    build_sync_schedule,
    stream_assets,
)
from etl_assets.assets.overview import HEAD, OVERVIEW, span
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.redaction import remember
from etl_assets.sample import make_shop
from tests.assets.shop import Shop, broken, event, people, person, run

NAME = "etl_assets/overview"
ROOT = Path(__file__).parents[2]
PROJECT = """
import dagster as dg
from etl_assets import DuckDBDestination, build_overview_asset, stream_assets
from tests.assets.shop import Shop, people

warehouse = DuckDBDestination("warehouse.duckdb")
shop = Shop({"customers": people(3), "orders": people(2)})
assets = stream_assets(shop, ["customers", "orders"], destination=warehouse)


@dg.asset_check(asset=["shop", "orders"])
def enough():
    return dg.AssetCheckResult(passed=False)


@dg.asset_check(asset=["shop", "customers"])
def well():
    return dg.AssetCheckResult(passed=True)


overview = build_overview_asset(assets, destination=warehouse)
everything = build_overview_asset(key="everything")
defs = dg.Definitions(assets=[*assets, overview, everything], asset_checks=[enough, well])
"""


def page(instance: dg.DagsterInstance, name: str = NAME) -> list[dict[str, str]]:
    """Return the table of the newest overview, by the heads of its columns."""
    text = str(event(instance, name)[NAME])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split(" |")] for row in rows]
    assert tuple(cells[0]) == HEAD
    return [dict(zip(HEAD, row, strict=True)) for row in cells[2:]]


@pytest.fixture
def project(shop: Shop, warehouse: DuckDBDestination) -> dg.Definitions:
    assets = stream_assets(shop, ["customers", "orders", "countries"], destination=warehouse)
    overview = build_overview_asset(assets, destination=warehouse)
    return dg.Definitions(assets=[*assets, overview])


def test_a_page_of_all_streams(
    project: dg.Definitions, shop: Shop, instance: dg.DagsterInstance
) -> None:
    assert run(project, instance, NAME).success
    assert {row["Status"] for row in page(instance)} == {"never loaded"}
    shop.rows["countries"] = [{"code": "fr"}]
    two_hours_ago = datetime.now(UTC) - timedelta(hours=2, minutes=1)
    shop.rows["orders"].append({**person(6), "updated_at": two_hours_ago.isoformat()})
    loaded = run(project, instance, "shop/customers", "shop/orders", "shop/countries")
    assert loaded.success
    assert run(project, instance, NAME).success
    countries, customers, orders = page(instance)
    assert (customers["Stream"], customers["Rows"]) == ("customers", "3")
    assert (countries["Stream"], countries["Rows"], countries["Lag"]) == ("countries", "1", "")
    assert (orders["Source"], orders["Status"], orders["Rows"]) == ("shop", "loaded", "6")
    assert orders["Lag"] == "2 h"
    assert orders["Bookmark"] == two_hours_ago.isoformat()
    assert orders["Run"] == loaded.run_id[:8]
    assert orders["Failing checks"] == ""
    shown = event(instance, NAME)
    assert (shown["etl_assets/streams"], shown["etl_assets/streams_failed"]) == (3, 0)
    assert shown["etl_assets/checks_failing"] == 0
    assert shown["etl_assets/lag_seconds"] > 7200


def test_a_stream_that_failed_is_the_first(
    project: dg.Definitions, shop: Shop, instance: dg.DagsterInstance
) -> None:
    assert run(project, instance, "shop/orders", "shop/countries").success
    shop.failures["orders"] = [broken()]
    failed = run(project, instance, "shop/orders", "shop/countries")
    assert not failed.success
    assert run(project, instance, NAME).success
    first, *others = page(instance)
    assert (first["Stream"], first["Status"]) == ("orders", "failed")
    assert (first["Rows"], first["Run"]) == ("5", failed.run_id[:8])
    # Of the same run, but loaded by it.
    statuses = {row["Stream"]: row["Status"] for row in others}
    assert statuses == {"countries": "loaded", "customers": "never loaded"}
    assert event(instance, NAME)["etl_assets/streams_failed"] == 1


def test_a_stream_loaded_by_partition_has_no_bookmark_but_its_rows(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    make_shop(tmp_path / "shop.db")
    orders = Stream("orders", primary_key="id", replication_key="updated_at")
    shop = SqlSource("shop", f"sqlite:///{tmp_path}/shop.db", streams=[orders])
    daily = dg.DailyPartitionsDefinition("2026-01-01")
    by_day = {"partitions_def": daily, "partition_by": "updated_at"}
    assets = stream_assets(shop, destination=warehouse, options={"orders": by_day})
    for destination in (None, warehouse):
        one = build_overview_asset(assets, destination=destination)
        assert run([*assets, one], instance, NAME).success
        assert dg.materialize(assets, instance=instance, partition_key="2026-01-02").success
        assert run([*assets, one], instance, NAME).success
        (shown,) = page(instance)
        assert (shown["Status"], shown["Bookmark"], shown["Rows"]) == ("loaded", "", "1")
        assert shown["Run"]
        assert shown["Loaded"]


def test_a_state_row_knows_what_another_instance_has_loaded(
    shop: Shop, warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    assets = stream_assets(shop, ["orders"], destination=warehouse)
    with dg.DagsterInstance.ephemeral() as other:
        assert run(assets, other).success
    assert run([*assets, build_overview_asset(assets)], instance, NAME).success
    assert page(instance)[0]["Status"] == "never loaded"
    with_states = build_overview_asset(assets, destination=warehouse)
    assert run([*assets, with_states], instance, NAME).success
    (orders,) = page(instance)
    assert (orders["Status"], orders["Rows"]) == ("loaded", "5")
    assert orders["Bookmark"] == "2026-01-05T00:00:00Z"


def test_names_of_a_source_are_text(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    shop = Shop({"visits": [{"at": "[a](b)|c"}]})
    assets = stream_assets(shop, ["visits"], destination=warehouse)
    assert run(assets, instance).success
    assert run([*assets, build_overview_asset(assets)], instance, NAME).success
    assert r"\[a\](b)\|c" in str(event(instance, NAME)[NAME])


def test_a_name_is_one_cell_and_a_secret_is_masked_before_it_is_text(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance
) -> None:
    remember("pass*word*of*the*shop")
    source = Source(name="shop")
    source.streams = [Stream("two\nlines | more"), Stream("pass*word*of*the*shop")]
    assets = stream_assets(source, destination=warehouse)
    assert run([*assets, build_overview_asset(assets)], instance, NAME).success
    masked, name = page(instance)
    assert (masked["Stream"], name["Stream"]) == (r"\*" * 4, r"two lines \| more")


def test_a_schedule_makes_it(project: dg.Definitions, instance: dg.DagsterInstance) -> None:
    made = project.resolve_assets_def(OVERVIEW)
    schedule = build_sync_schedule([made], "0 * * * *", name="hourly")
    context = dg.build_schedule_context(instance=instance)
    (request,) = schedule.evaluate_tick(context).run_requests or ()
    assert request.asset_selection == [OVERVIEW]


def test_it_is_selected_on_the_command_line(tmp_path: Path) -> None:
    """There the whole project is known, with its checks."""
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "home").mkdir()
    (tmp_path / "home/dagster.yaml").write_text("telemetry: {enabled: false}\n")
    paths = {"DAGSTER_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    words = ["dagster", "asset", "materialize", "-f", "project.py", "--select"]
    for selected in ("shop/customers,shop/orders", f"{NAME},everything"):
        subprocess.run(
            [sys.executable, "-m", *words, selected],
            cwd=tmp_path,
            env={**os.environ, **paths},
            check=True,
            capture_output=True,
        )
    with dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        orders, customers = page(instance)  # trouble comes first
        assert [row["Stream"] for row in page(instance, "everything")] == ["orders", "customers"]
        assert event(instance, NAME)["etl_assets/checks_failing"] == 1
    assert (orders["Stream"], orders["Status"], orders["Rows"]) == ("orders", "loaded", "2")
    assert (orders["Failing checks"], customers["Failing checks"]) == ("enough", "")


def test_a_project_without_streams_is_an_error(instance: dg.DagsterInstance) -> None:
    defs = dg.Definitions(assets=[build_overview_asset()])
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, raise_on_error=False
    )
    (failure,) = result.get_step_failure_events()
    assert "no streams" in str(failure.step_failure_data.error_display_string)


def test_no_streams_is_an_error(warehouse: DuckDBDestination) -> None:
    with pytest.raises(ConfigError, match="no streams") as caught:
        build_overview_asset([])
    assert "in one list" in str(caught.value.hint)
    shop = Shop({"orders": people(1)})
    one = stream_assets(shop, ["orders"], destination=warehouse)
    other = stream_assets(shop, ["customers"], destination=warehouse)
    assert build_overview_asset([*one, *other]).key == OVERVIEW


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(3, "3 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h"), (172_800, "2 d"), (-300, "-5 min")],
)
def test_a_length_of_time(seconds: float, told: str) -> None:
    assert span(seconds) == told
