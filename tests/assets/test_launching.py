"""A split stream, an ordinary one and those of one step, in every way that Dagster launches assets."""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import dagster as dg
import pytest

from etl_assets.assets.sensors import STREAM_TAG
from tests.assets.launcher import (
    BACKFILL,
    IN_ONE_PROCESS,
    NO_SCHEDULE,
    NO_SENSOR,
    REEXECUTE,
    REPOSITORY,
    ROWS,
    SCHEDULE,
    SENSOR,
    Project,
    Server,
    path,
    serving,
    wait_for,
)

ALL = list(range(ROWS))
KEYS = ["shop/orders", "shop/customers", "keyed/orders", "crm/orders", "reports/spent"]
"""A split stream, an ordinary one, a split one with `io_manager_key`, one of `granularity="source"`, one downstream."""

STEP = "shop__orders.shop__orders__"
SPLIT = [f"{STEP}plan", f"{STEP}publish", f"{STEP}range_0]", f"{STEP}range_1]"]
DAGSTER = [sys.executable, "-m", "dagster", "asset", "materialize", "--select"]
DG = [str(Path(sys.executable).parent / "dg"), "launch", "--assets"]
ONE_PROCESS = json.dumps(IN_ONE_PROCESS)
REFRESH = {"ops": {"shop__orders": {"config": {"full_refresh": True}}}}


pytestmark = pytest.mark.xdist_group("launching")  # they share the server


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that the ways to launch share, since it takes long to start."""
    with serving(Project(tmp_path_factory.mktemp("launched"))) as running:
        yield running


@pytest.mark.parametrize("key", KEYS)
def test_each_asset_alone_can_be_planned(
    key: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAUNCHED_IN", str(project.folder))
    monkeypatch.delitem(sys.modules, "tests.assets.launched", raising=False)
    defs = import_module("tests.assets.launched").defs
    monkeypatch.delitem(sys.modules, "tests.assets.launched")
    for job in (defs.resolve_implicit_global_asset_job_def(), defs.resolve_job_def("everything")):
        alone = job.get_subset(asset_selection={dg.AssetKey.from_user_string(key)})
        assert dg.validate_run_config(alone, {}), "it may be launched without any run config"


def test_a_split_stream_is_selected_on_the_command_line(project: Project) -> None:
    """In one process, as the steps need not import Dagster anew; each in its own is a long test below."""
    project.command("asset", "materialize", "--select", "shop/orders", "--config-json", ONE_PROCESS)
    assert project.ids("shop/orders") == ALL


def test_the_button_of_one_asset(server: Server) -> None:
    """A run of one asset has no step of another; run config of a split is where any other stream has it."""
    launched = server.launch("shop/orders", config=REFRESH)
    assert server.ended(launched) == "SUCCESS"
    assert server.project.succeeded(launched) == SPLIT
    assert server.project.ids("shop/orders") == ALL


def test_the_launchpad_opens_with_what_may_be_asked(server: Server) -> None:
    stream = {"config": {"full_refresh": False, "keep_bookmark": False}}
    assert server.launchpad("shop/orders")["ops"] == {"shop__orders": stream}
    assert server.launchpad("shop/customers")["ops"] == {"shop__customers": stream}
    assert server.launchpad("crm/orders")["ops"] == {"crm": {"config": {"full_refresh": []}}}


def test_a_job_of_some_assets(server: Server) -> None:
    assert server.ended(server.launch(job="some")) == "SUCCESS"
    for key in ("shop/customers", "crm/customers", "keyed/orders"):
        assert server.project.ids(key) == ALL


def test_one_failing_stream_leaves_the_checks_of_the_others(server: Server) -> None:
    """Each step has a process of its own here."""
    with server.project.cut("orders"):
        failed = server.launch("crm/orders", "crm/customers")
        assert server.ended(failed) == "FAILURE"
    assert server.project.ids("crm/customers") == ALL
    assert server.checks("crm/customers", failed) == {"some": "SUCCEEDED"}
    assert server.project.check_status("crm/orders", "never", failed) == "EXECUTION_FAILED"


@pytest.mark.full
def test_some_assets_of_a_job(server: Server) -> None:
    keys = ("shop/customers", "keyed/orders", "crm/orders")
    launched = server.launch(*keys, job="everything")
    assert server.ended(launched) == "SUCCESS"
    steps = {one.partition(".")[0] for one in server.project.succeeded(launched)}
    assert steps == {"shop__customers", "keyed__orders", "crm", "crm__orders_never"}


@pytest.mark.full
def test_the_button_of_each_asset(server: Server) -> None:
    for key in KEYS:
        assert server.ended(server.launch(key)) == "SUCCESS"
        assert server.project.ids(key) == ALL


@pytest.mark.full
@pytest.mark.parametrize("program", [DAGSTER, DG], ids=["dagster", "dg"])
def test_each_asset_on_the_command_line(program: list[str], project: Project) -> None:
    for key in KEYS:
        project.command(key, program=program)
        assert project.ids(key) == ALL


@pytest.mark.full
@pytest.mark.parametrize("source", ["shop", "crm"])
def test_the_sensor(source: str, server: Server) -> None:
    keys = [f"{source}/orders", f"{source}/customers"]
    assert server.ended(server.launch(*keys)) == "SUCCESS"
    with server.project.new_row() as number:
        asked = {**REPOSITORY, "sensorName": f"{source}_new_data"}
        started = server.ask(SENSOR, selector=asked)
        assert started["__typename"] == "Sensor", started
        for key in keys:
            server.run_of(STREAM_TAG, key)
            assert number in server.project.ids(key)
        server.ask(NO_SENSOR, id=started["sensorState"]["id"])


@pytest.mark.full
def test_the_schedule(server: Server) -> None:
    with server.project.new_row() as number:
        asked = {**REPOSITORY, "scheduleName": "each_minute"}
        started = server.ask(SCHEDULE, selector=asked)
        assert started["__typename"] == "ScheduleStateResult", started
        server.run_of("dagster/schedule_name", "each_minute")
        server.ask(NO_SCHEDULE, id=started["scheduleState"]["id"])
        for key in ("keyed/orders", "keyed/customers", "crm/orders", "crm/customers"):
            assert number in server.project.ids(key)


PAGE = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    groupName kinds pools owners { ... on TeamAssetOwner { team } } tags { key value }
    dependencyKeys { path } automationCondition { label } internalFreshnessPolicy { __typename }
    metadataEntries { label } assetMaterializations(limit: 1) { runId metadataEntries { label } } } } }"""


TICKS = """query ($selector: SensorSelector!) { sensorOrError(sensorSelector: $selector) {
    ... on Sensor { sensorState { ticks(limit: 1, statuses: [SUCCESS, SKIPPED]) { id } } } } }"""


def test_the_page_of_an_asset(server: Server) -> None:
    """Everything that was said of it is shown before its first run."""
    shown = server.ask(PAGE, key=path("keyed/customers"))
    assert shown["groupName"] == "keyed"
    assert sorted(shown["kinds"]) == ["duckdb", "sqlite"]
    assert (shown["pools"], shown["owners"]) == (["shop"], [{"team": "shop"}])
    assert {"key": "layer", "value": "raw"} in shown["tags"]
    assert shown["dependencyKeys"] == [path("beside")]
    assert shown["automationCondition"] == {"label": "any_deps_updated"}
    assert shown["internalFreshnessPolicy"] == {"__typename": "TimeWindowFreshnessPolicy"}
    told = {one["label"] for one in shown["metadataEntries"]}
    assert {"dagster/table_name", "dagster/storage_kind", "etl_assets/stream"} <= told


@pytest.mark.full
def test_the_daemon_launches_a_stream_by_its_condition(server: Server) -> None:
    asked = {**REPOSITORY, "sensorName": "default_automation_condition_sensor"}
    started = server.ask(SENSOR, selector=asked)
    assert started["__typename"] == "Sensor", started
    wait_for(
        lambda: server.ask(TICKS, selector=asked)["sensorState"]["ticks"],
        "a first look, as what was there before it is not new",
    )
    with server.project.new_row() as number:
        assert server.ended(server.launch("beside")) == "SUCCESS"
        launched = server.run_of("dagster/from_automation_condition", "true")
        server.ask(NO_SENSOR, id=started["sensorState"]["id"])
        assert server.project.succeeded(launched) == ["keyed__customers"]
        assert number in server.project.ids("keyed/customers")
    (event,) = server.ask(PAGE, key=path("keyed/customers"))["assetMaterializations"]
    assert event["runId"] == launched
    told = {one["label"] for one in event["metadataEntries"]}
    assert {"etl_assets/bookmark", "etl_assets/records_loaded", "dagster/column_schema"} <= told


@pytest.mark.full
def test_a_backfill_of_each_asset(server: Server) -> None:
    for key in KEYS:
        params = {"assetSelection": [path(key)], "allPartitions": True}
        asked = server.ask(BACKFILL, params=params)
        assert asked["__typename"] == "LaunchBackfillSuccess", asked
        server.run_of("dagster/backfill", asked["backfillId"])


@pytest.mark.full
def test_a_backfill_that_refreshes(server: Server) -> None:
    """By run config or by a tag; a row from before the bookmark shows that all was read anew."""
    project, key = server.project, "keyed/customers"
    assert server.ended(server.launch(key)) == "SUCCESS"
    config = {"ops": {"keyed__customers": {"config": {"full_refresh": True}}}}
    tags = [{"key": "etl_assets/full_refresh", "value": key}]
    old = "INSERT INTO customers VALUES (-1, 0)"
    for change, said, there in (
        (old, {"runConfigData": config}, True),
        ("DELETE FROM customers WHERE id = -1", {"tags": tags}, False),
    ):
        with project.shop() as shop:
            shop.execute(change)
        params = {"assetSelection": [path(key)], "allPartitions": True, **said}
        asked = server.ask(BACKFILL, params=params)
        assert asked["__typename"] == "LaunchBackfillSuccess", asked
        server.run_of("dagster/backfill", asked["backfillId"])
        assert (-1 in project.ids(key)) is there


@pytest.mark.full
def test_a_run_that_failed_goes_on_from_its_failure(server: Server) -> None:
    """Of a split, the range that was loaded is not read again; streams of one step are read by it again."""
    project = server.project
    keys = ("shop/orders", "shop/customers", "crm/orders", "crm/customers")
    with project.cut():
        failed = server.launch(*keys, config=REFRESH)
        assert server.ended(failed) == "FAILURE"
    assert project.succeeded(failed) == [f"{STEP}plan", f"{STEP}range_0]"]
    asked = server.ask(REEXECUTE, params={"parentRunId": failed, "strategy": "FROM_FAILURE"})
    assert asked["__typename"] == "LaunchRunSuccess", asked
    again = asked["run"]["runId"]
    assert server.ended(again) == "SUCCESS"
    checks = ["crm__customers_some", "crm__orders_never"]
    steps = ["crm", *checks, "shop__customers", f"{STEP}publish", f"{STEP}range_1]"]
    assert project.succeeded(again) == steps
    for key in keys:
        assert set(project.ids(key)) >= set(ALL)
