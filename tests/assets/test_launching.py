"""A split stream, an ordinary one and those of one step, in every way that Dagster launches assets."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.sensors import STREAM_TAG
from tests.assets.launcher import (
    BACKFILL,
    NO_SCHEDULE,
    REEXECUTE,
    REPOSITORY,
    ROWS,
    SCHEDULE,
    SENSOR,
    Project,
    Server,
    path,
    serving,
)

ALL = list(range(ROWS))
KEYS = ["shop/orders", "shop/customers", "keyed/orders", "crm/orders", "reports/spent"]
"""A split stream, an ordinary one, a split one with `io_manager_key`, one of `granularity="source"`, one downstream."""

STEP = "shop__orders.shop__orders__"
SPLIT = [f"{STEP}plan", f"{STEP}publish", f"{STEP}range_0]", f"{STEP}range_1]"]
DAGSTER = [sys.executable, "-m", "dagster", "asset", "materialize", "--select"]
DG = [str(Path(sys.executable).parent / "dg"), "launch", "--assets"]
ONE_PROCESS = '{"execution": {"config": {"in_process": {}}}}'
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


@pytest.mark.parametrize("config", [REFRESH, pytest.param({}, marks=pytest.mark.full)])
def test_the_button_of_one_asset(config: dict[str, Any], server: Server) -> None:
    """A run of one asset has no step of another; run config of a split is where any other stream has it."""
    launched = server.launch("shop/orders", config=config)
    assert server.ended(launched) == "SUCCESS"
    assert server.project.succeeded(launched) == SPLIT
    assert server.project.ids("shop/orders") == ALL


def test_a_job_of_some_assets(server: Server) -> None:
    assert server.ended(server.launch(job="two")) == "SUCCESS"
    assert server.project.ids("crm/customers") == server.project.ids("keyed/orders") == ALL


@pytest.mark.full
def test_some_assets_of_a_job(server: Server) -> None:
    launched = server.launch("keyed/orders", job="everything")
    assert server.ended(launched) == "SUCCESS"
    assert {one.partition(".")[0] for one in server.project.succeeded(launched)} == {
        "keyed__orders"
    }


@pytest.mark.full
def test_the_button_of_each_asset(server: Server) -> None:
    for key in KEYS:
        assert server.ended(server.launch(key)) == "SUCCESS"
        assert server.project.ids(key) == ALL


@pytest.mark.full
@pytest.mark.parametrize(
    ("program", "keys"), [(DAGSTER, KEYS), (DG, ["shop/orders", "crm/orders"])]
)
def test_each_asset_on_the_command_line(
    program: list[str], keys: list[str], project: Project
) -> None:
    for key in keys:
        project.command(key, program=program)
        assert project.ids(key) == ALL


@pytest.mark.full
def test_the_sensor_and_the_schedule(server: Server) -> None:
    started = server.ask(SENSOR, selector={**REPOSITORY, "sensorName": "shop_new_data"})
    assert started["__typename"] == "Sensor", started
    with server.project.shop() as shop:
        shop.execute("INSERT INTO orders VALUES (100, 100)")
        shop.execute("INSERT INTO customers VALUES (100, 100)")
    for key in ("shop/orders", "shop/customers"):
        server.run_of(STREAM_TAG, key)
        assert server.project.ids(key) == [*ALL, 100]
    started = server.ask(SCHEDULE, selector={**REPOSITORY, "scheduleName": "each_minute"})
    assert started["__typename"] == "ScheduleStateResult", started
    server.run_of("dagster/schedule_name", "each_minute")
    server.ask(NO_SCHEDULE, id=started["scheduleState"]["id"])
    for key in ("keyed/orders", "crm/orders", "crm/customers"):
        assert server.project.ids(key) == [*ALL, 100]


@pytest.mark.full
def test_a_backfill_of_each_asset(server: Server) -> None:
    for key in KEYS:
        params = {"assetSelection": [path(key)], "allPartitions": True}
        asked = server.ask(BACKFILL, params=params)
        assert asked["__typename"] == "LaunchBackfillSuccess", asked
        server.run_of("dagster/backfill", asked["backfillId"])


@pytest.mark.full
def test_a_run_that_failed_goes_on_from_its_failure(server: Server) -> None:
    """Of a split, the range that was loaded is not read again; streams of one step are read by it again."""
    project = server.project
    project.cut(cut=True)
    failed = server.launch("shop/orders", "shop/customers", config=REFRESH)
    assert server.ended(failed) == "FAILURE"
    assert project.succeeded(failed) == [f"{STEP}plan", f"{STEP}range_0]"]
    project.cut(cut=False)
    asked = server.ask(REEXECUTE, params={"parentRunId": failed, "strategy": "FROM_FAILURE"})
    assert asked["__typename"] == "LaunchRunSuccess", asked
    again = asked["run"]["runId"]
    assert server.ended(again) == "SUCCESS"
    assert project.succeeded(again) == ["shop__customers", f"{STEP}publish", f"{STEP}range_1]"]
