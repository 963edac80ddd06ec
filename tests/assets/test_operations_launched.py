"""What people do to runs: cancel them, limit them, have them go on; by the buttons of a running `dagster dev`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from etl_assets.assets.run_summary import SUMMARY_TAG
from etl_assets.assets.sensors import TICK_TAG
from tests.assets import launcher
from tests.assets.launcher import (
    NO_SENSOR,
    REEXECUTE,
    ROWS,
    SENSOR,
    Project,
    Server,
    launched,
    serving,
    wait_for,
)

OPERATED = Path(__file__).parent / "operated.py"
ALL = list(range(ROWS))
TERMINATE = """mutation ($run: String!) { terminateRun(runId: $run) { __typename
    ... on TerminateRunFailure { message } ... on PythonError { message } } }"""
LIMIT = """mutation ($pool: String!, $limit: Int!) {
    setConcurrencyLimit(concurrencyKey: $pool, limit: $limit) }"""
KEYS = ("shop/orders", "shop/customers")

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("operated")]  # they share the server


class Operated(Project):
    file = OPERATED

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have reads wait before they end."""
        held = self.folder / "held"
        held.touch()
        try:
            yield
        finally:
            held.unlink(missing_ok=True)

    def reading(self) -> list[str]:
        """Return the reads that go on."""
        return sorted(one.name for one in (self.folder / "reading").glob("*"))

    def tables(self) -> list[str]:
        """Return what there is of tables and staging beside the databases of source and instance."""
        return sorted(one.name for one in self.folder.rglob("*.arrow*"))


def summary(server: Server, run: str) -> str:
    """Wait for the summary of a run that has ended."""
    query = (
        """query ($run: ID!) { runOrError(runId: $run) { ... on Run { tags { key value } } } }"""
    )

    def told() -> str:
        tags = {one["key"]: one["value"] for one in server.ask(query, run=run)["tags"]}
        return str(tags.get(SUMMARY_TAG, ""))

    return str(wait_for(told, f"the summary of run {run}"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        repository = {**launcher.REPOSITORY, "repositoryLocationName": OPERATED.name}
        patch.setattr(launcher, "REPOSITORY", repository)
        with serving(Operated(tmp_path_factory.mktemp("operated"))) as running:
            yield running


@pytest.fixture
def project(server: Server) -> Operated:
    assert isinstance(server.project, Operated)
    return server.project


@pytest.mark.parametrize("key", ["shop/orders", "crm/orders"])
def test_a_run_that_is_canceled_in_the_midst_of_a_load(
    key: str, server: Server, project: Operated
) -> None:
    assert server.ended(server.launch(key)) == "SUCCESS"
    before = project.ids(key)
    with project.new_row() as number, project.held():
        run = server.launch(key)
        wait_for(project.reading, "a read that goes on")
        stopped = server.ask(TERMINATE, run=run)
        assert stopped["__typename"] == "TerminateRunSuccess", stopped
        assert server.ended(run) == "CANCELED"
        wait_for(lambda: not project.reading(), "the end of the read")
        assert project.ids(key) == before, "nothing of what was read"
    assert project.tables() == []
    assert server.ended(server.launch(key)) == "SUCCESS"
    assert project.ids(key) == [*before, number]


def test_the_next_attempt_is_about_the_assets_that_failed(
    server: Server, project: Operated
) -> None:
    with project.cut("orders"):
        failed = server.launch(*KEYS, "crm/orders", "crm/customers")
        assert server.ended(failed) == "FAILURE"
    assert summary(server, failed) == (
        "2 of 4 streams loaded (0 rows), 2 failed: crm/orders, shop/orders"
    )
    params = {"parentRunId": failed, "strategy": "FROM_ASSET_FAILURE"}
    again = launched(server.ask(REEXECUTE, params=params))
    assert server.ended(again) == "SUCCESS"
    assert project.succeeded(again) == ["crm", "shop__orders"]
    with project.instance() as instance:
        run = instance.get_run_by_id(again)
        assert run is not None
        selected = {key.to_user_string() for key in run.asset_selection or ()}
    assert selected == {"shop/orders", "crm/orders"}
    for key in (*KEYS, "crm/orders", "crm/customers"):
        assert set(project.ids(key)) >= set(ALL)


def test_a_sensor_launches_one_run_for_all_that_a_tick_has_found(
    server: Server, project: Operated
) -> None:
    assert server.ended(server.launch(*KEYS)) == "SUCCESS"
    with project.new_row() as number:
        asked = {**launcher.REPOSITORY, "sensorName": "shop_new_data"}
        started = server.ask(SENSOR, selector=asked)
        assert started["__typename"] == "Sensor", started
        run = server.run_of(TICK_TAG, "shop")
        server.ask(NO_SENSOR, id=started["sensorState"]["id"])
    assert project.succeeded(run) == ["shop__customers", "shop__orders"]
    assert server.runs(TICK_TAG, "shop") == [run], "a tick with nothing new launches none"
    for key in KEYS:
        assert number in project.ids(key)


def test_a_pool_limits_the_reads_of_a_source_over_all_runs(
    server: Server, project: Operated
) -> None:
    assert server.ask(LIMIT, pool="shop_db", limit=1) is True
    noted = project.folder / "at_once"
    noted.unlink(missing_ok=True)
    with project.held():
        runs = [server.launch(key) for key in (*KEYS, "crm/orders")]
        wait_for(project.reading, "a read that goes on")
    assert [server.ended(run) for run in runs] == ["SUCCESS"] * len(runs)
    assert noted.read_text().split() == ["1"] * len(runs)
