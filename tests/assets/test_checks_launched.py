"""Streams with checks, launched from the command line and by the buttons of the web interface."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.assets import launcher
from tests.assets.launcher import IN_ONE_PROCESS, ROWS, Project, Server, path, serving

CHECKED = Path(__file__).parent / "checked.py"
ALL = list(range(ROWS))
ONE_PROCESS = json.dumps(IN_ONE_PROCESS)
LISTED = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetChecksOrError { ... on AssetChecks { checks {
        name blocking canExecuteIndividually executionForLatestMaterialization { status runId evaluation {
            success severity description metadataEntries { label } } } } } } } } }"""

pytestmark = pytest.mark.xdist_group("checks_launched")  # they share the server


class Checked(Project):
    file = CHECKED
    run_config = IN_ONE_PROCESS


@pytest.fixture(scope="module")
def _project_of_checks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        repository = {**launcher.REPOSITORY, "repositoryLocationName": CHECKED.name}
        patch.setattr(launcher, "REPOSITORY", repository)
        yield


@pytest.fixture(scope="module")
def server(_project_of_checks: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(Checked(tmp_path_factory.mktemp("checked"))) as running:
        yield running


@pytest.fixture
def project(_project_of_checks: None, tmp_path: Path) -> Project:
    return Checked(tmp_path)


def wrong_row(project: Project, table: str) -> None:
    """Have a row that the gate does not let pass."""
    with project.shop() as shop:
        shop.execute(f"INSERT INTO {table} VALUES (-1, 1000)")


def right_again(project: Project, table: str) -> None:
    with project.shop() as shop:
        shop.execute(f"DELETE FROM {table} WHERE id = -1")


def test_the_command_line(project: Project) -> None:
    materialize = ("asset", "materialize", "--select", "shop/orders", "--config-json", ONE_PROCESS)
    project.command(*materialize)
    assert project.ids("shop/orders") == ALL
    wrong_row(project, "orders")
    with pytest.raises(AssertionError, match="a gate did not let it pass: positive: the query"):
        project.command(*materialize)
    assert project.ids("shop/orders") == ALL
    right_again(project, "orders")
    with project.new_row() as number:
        project.command(*materialize)
        assert project.ids("shop/orders") == [*ALL, number]


def test_the_checks_are_listed_before_the_first_run_and_told_after_it(server: Server) -> None:
    shown = listed(server, "shop/orders")
    unique, positive = shown["unique_key"], shown["positive"]
    assert unique["executionForLatestMaterialization"] is None
    assert (unique["blocking"], positive["blocking"]) == (False, True)
    launched = server.launch("shop/orders")
    assert server.ended(launched) == "SUCCESS"
    assert server.checks("shop/orders", launched) == {
        "unique_key": "SUCCEEDED",
        "positive": "SUCCEEDED",
    }


def test_a_gate_that_fails(server: Server) -> None:
    assert server.ended(server.launch("shop/orders")) == "SUCCESS"
    wrong_row(server.project, "orders")
    launched = server.launch("shop/orders")
    assert server.ended(launched) == "FAILURE", "at once, whatever the retry policy says"
    assert server.project.check_status("shop/orders", "positive", launched) == "FAILED"
    assert server.project.ids("shop/orders") == ALL
    right_again(server.project, "orders")
    assert server.ended(server.launch("shop/orders")) == "SUCCESS"


def test_a_blocking_check_holds_back_the_report(server: Server) -> None:
    report = server.project.folder / "report"
    assert server.ended(server.launch("shop/customers", "report")) == "SUCCESS"
    assert report.exists()
    report.unlink()
    wrong_row(server.project, "customers")
    launched = server.launch("shop/customers", "report")
    assert server.ended(launched) == "FAILURE"
    assert not report.exists()
    assert server.checks("shop/customers", launched) == {
        "row_count": "FAILED",
        "matches_source": "SUCCEEDED",
    }
    row_count = listed(server, "shop/customers")["row_count"]
    told = row_count["executionForLatestMaterialization"]["evaluation"]
    assert told["description"] == "the table has 11 rows; at most 10 may be there"
    assert "etl_assets/query" in {one["label"] for one in told["metadataEntries"]}
    right_again(server.project, "customers")


def test_a_split_stream_is_published_where_its_gate_passes(server: Server) -> None:
    """Each of its steps has a process of its own here."""
    wrong_row(server.project, "orders")
    launched = server.launch("parts/orders", config={})
    assert server.ended(launched) == "FAILURE"
    assert server.project.check_status("parts/orders", "positive", launched) == "FAILED"
    right_again(server.project, "orders")
    again = server.launch("parts/orders", config={})
    assert server.ended(again) == "SUCCESS"
    assert server.checks("parts/orders", again) == {
        "unique_key": "SUCCEEDED",
        "positive": "SUCCEEDED",
    }
    assert server.project.ids("parts/orders") == ALL


@pytest.mark.parametrize("key", ["shop/orders", pytest.param("crm/orders", marks=pytest.mark.full)])
def test_the_button_of_a_check(key: str, server: Server) -> None:
    """It is there, and evaluates the check on the table as it is."""
    assert server.ended(server.launch(key)) == "SUCCESS"
    assert listed(server, key)["positive"]["canExecuteIndividually"] == "CAN_EXECUTE"
    wrong_row(server.project, "orders")
    pressed = server.press(key, "positive")
    assert server.ended(pressed) == "SUCCESS"
    assert server.checks(key, pressed)["positive"] == "SUCCEEDED"
    assert server.project.ids(key) == ALL, "nothing was loaded"
    right_again(server.project, "orders")


@pytest.mark.full
def test_one_stream_of_a_step_fails_its_gate(server: Server) -> None:
    wrong_row(server.project, "orders")
    launched = server.launch("crm/orders", "crm/customers")
    assert server.ended(launched) == "FAILURE"
    assert server.project.check_status("crm/orders", "positive", launched) == "FAILED"
    assert server.project.check_status("crm/customers", "positive", launched) == "SUCCEEDED"
    assert server.project.ids("crm/customers") == ALL
    right_again(server.project, "orders")
    again = server.launch("crm/orders")
    assert server.ended(again) == "SUCCESS"
    assert server.checks("crm/orders", again) == {"positive": "SUCCEEDED"}


def listed(server: Server, key: str) -> dict[str, dict[str, Any]]:
    """Return what the page of an asset shows of its checks."""
    answer = server.ask(LISTED, key=path(key))
    return {one["name"]: one for one in answer["assetChecksOrError"]["checks"]}
