"""`dagster dev` over a project in a folder, and its GraphQL: what the buttons of the web interface send."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests/assets/launched.py"
HOME = "telemetry: {enabled: false}\n"
ROWS = 10
TIMEOUT = 240.0
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
REPOSITORY = {"repositoryLocationName": PROJECT.name, "repositoryName": "__repository__"}
WHOLE_PROJECT = "__ASSET_JOB"
IN_ONE_PROCESS: dict[str, Any] = {"execution": {"config": {"in_process": {}}}}
"""Run config by which the steps of a run need not load the project anew, each in a process of its own."""

LOADED = """{ repositoriesOrError { ... on RepositoryConnection { nodes { name } } ... on PythonError { message } } }"""
LAUNCH = """mutation ($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""
REEXECUTE = """mutation ($params: ReexecutionParams!) { launchPipelineReexecution(reexecutionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
BACKFILL = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
SENSOR = """mutation ($selector: SensorSelector!) { startSensor(sensorSelector: $selector) {
    __typename ... on Sensor { sensorState { id } } ... on PythonError { message } } }"""
SCHEDULE = """mutation ($selector: ScheduleSelector!) { startSchedule(scheduleSelector: $selector) {
    __typename ... on ScheduleStateResult { scheduleState { id } } ... on PythonError { message } } }"""
LAUNCHPAD = """query ($selector: PipelineSelector!) { runConfigSchemaOrError(selector: $selector) {
    __typename ... on RunConfigSchema { rootDefaultYaml } } }"""
CHECKS = """query ($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
    assetChecksOrError { ... on AssetChecks { checks {
        name executionForLatestMaterialization { status runId } } } } } } }"""
NO_SENSOR = """mutation ($id: String!) { stopSensor(id: $id) { __typename } }"""
NO_SCHEDULE = """mutation ($id: String!) { stopRunningSchedule(id: $id) { __typename } }"""


class Project:
    """A folder with the project's shop, its instance and what its runs load."""

    file = PROJECT
    run_config: Mapping[str, Any] = {}
    """What runs are launched with when a test says nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        (self.home / "dagster.yaml").write_text(HOME)
        self.open_shop()

    def open_shop(self) -> None:
        """Make the database of the source."""
        with self.shop() as shop:
            for table in ("orders", "customers"):
                shop.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, updated_at INTEGER)")
                shop.executemany(
                    f"INSERT INTO {table} VALUES (?, ?)", [(n, n) for n in range(ROWS)]
                )

    @contextmanager
    def shop(self) -> Iterator[sqlite3.Connection]:
        """Return the database of the source; what is written into it is committed at the end."""
        with closing(sqlite3.connect(self.folder / "shop.db")) as connection, connection:
            yield connection

    @property
    def env(self) -> dict[str, str]:
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        return {
            **os.environ,
            "PYTHONPATH": paths,
            "DAGSTER_HOME": str(self.home),
            "LAUNCHED_IN": str(self.folder),
        }

    def command(
        self, *words: str, program: Sequence[str] = (sys.executable, "-m", "dagster")
    ) -> None:
        """Run a command of Dagster's on the project; it must succeed."""
        done = subprocess.run(
            [*program, *words, "-f", str(self.file)],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    @contextmanager
    def cut(self, stream: str = "") -> Iterator[None]:
        """Cut the line to the shop, for one stream or for all, and mend it at the end."""
        (self.folder / "cut").write_text(stream)
        try:
            yield
        finally:
            (self.folder / "cut").unlink()

    def ids(self, key: str) -> list[int]:
        """Return the ids that the table of an asset holds; those of `shop` are in a file of their own."""
        table = key.replace("/", ".")
        file = self.folder / ("lake.duckdb" if table.startswith("shop.") else "warehouse.duckdb")
        with duckdb.connect(str(file), read_only=True) as connection:
            return [
                id_
                for (id_,) in connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()
            ]

    @contextmanager
    def new_row(self) -> Iterator[int]:
        """Have a new order and a new customer, of which the block gets the id."""
        with self.shop() as shop:
            ((last,),) = shop.execute("SELECT MAX(id) FROM orders").fetchall()
            for table in ("orders", "customers"):
                shop.execute(f"INSERT INTO {table} VALUES (?, ?)", (last + 1, last + 1))
        yield last + 1

    def check_status(self, key: str, name: str, run_id: str) -> str:
        """Return what the UI shows of a check of a run that has ended."""
        check = dg.AssetCheckKey(dg.AssetKey(key.split("/")), name)
        with self.instance() as instance:
            storage = instance.event_log_storage
            record = storage.get_latest_asset_check_execution_by_key([check])[check]
        assert record.run_id == run_id
        return "EXECUTION_FAILED" if record.status.value == "PLANNED" else record.status.value

    def instance(self) -> dg.DagsterInstance:
        """Return the project's instance."""
        return dg.DagsterInstance.from_config(str(self.home))

    def succeeded(self, run_id: str) -> list[str]:
        """Return the steps of a run that succeeded, without load ids."""
        with self.instance() as instance:
            records = instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_SUCCESS)
        keys = [str(one.step_key) for one in records]
        return sorted(
            f"{key.partition('[')[0]}{key[-3:] if key.endswith(']') else ''}" for key in keys
        )


class Server:
    """A running `dagster dev`."""

    def __init__(self, project: Project, port: int) -> None:
        self.project = project
        self.port = port

    def ask(self, query: str, **variables: Any) -> Any:
        """Return the answer's only field."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)) as connection:
            connection.request("POST", "/graphql", body, {"Content-Type": "application/json"})
            told = json.load(connection.getresponse())
        assert "errors" not in told, told
        (answer,) = told["data"].values()
        return answer

    def launch(
        self,
        *keys: str,
        job: str = WHOLE_PROJECT,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Press the button of some assets, or of a job; gives the run's id."""
        return self._launch(selector(*keys, job=job), config, tags)

    def press(self, key: str, check: str) -> str:
        """Press the button of one check of an asset; gives the run's id."""
        one = {"assetKey": path(key), "name": check}
        wanted = {**selector(), "assetSelection": [], "assetCheckSelection": [one]}
        return self._launch(wanted)

    def _launch(
        self,
        wanted: Mapping[str, Any],
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        tagged = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        chosen = self.project.run_config if config is None else config
        answer = self.ask(
            LAUNCH,
            params={
                "selector": wanted,
                "runConfigData": dict(chosen),
                "mode": "default",
                "executionMetadata": {"tags": tagged},
            },
        )
        return launched(answer)

    def launchpad(self, *keys: str) -> Any:
        """Return the run config that the launchpad of some assets opens with."""
        answer = self.ask(LAUNCHPAD, selector=selector(*keys))
        assert answer["__typename"] == "RunConfigSchema", answer
        return yaml.safe_load(answer["rootDefaultYaml"])

    def checks(self, key: str, run_id: str) -> dict[str, str | None]:
        """Return the state of each check of an asset after a run, as the asset's page shows it."""
        answer = self.ask(CHECKS, key=path(key))
        shown = {}
        for one in answer["assetChecksOrError"]["checks"]:
            run = one["executionForLatestMaterialization"]
            shown[one["name"]] = run["status"] if run and run["runId"] == run_id else None
        return shown

    def ended(self, run_id: str) -> str:
        """Wait until a run has ended; gives its status."""
        return str(
            wait_for(
                lambda: (status := self._status(run_id)) in ENDED and status,
                f"the end of run {run_id}",
            )
        )

    def _status(self, run_id: str) -> str:
        query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        return str(self.ask(query, id=run_id)["status"])

    def runs(self, tag: str, value: str) -> list[str]:
        """Return the runs that carry a tag."""
        query = "query ($filter: RunsFilter!) { runsOrError(filter: $filter) { ... on Runs { results { runId } } } }"
        found = self.ask(query, filter={"tags": [{"key": tag, "value": value}]})
        return [one["runId"] for one in found["results"]]

    def run_of(self, tag: str, value: str) -> str:
        """Wait for the first run that carries a tag, and for its end; gives its id when it succeeded."""
        (run_id, *_) = wait_for(lambda: self.runs(tag, value), f"a run with the tag {tag}={value}")
        assert self.ended(run_id) == "SUCCESS"
        return str(run_id)


def launched(answer: Mapping[str, Any]) -> str:
    """Return the id of a run that was to be launched."""
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def wait_for(found: Any, what: str) -> Any:
    """Ask until there is an answer."""
    ends = time.monotonic() + TIMEOUT
    while time.monotonic() < ends:
        if answer := found():
            return answer
        time.sleep(0.5)
    raise AssertionError(f"Waited {TIMEOUT:.0f} s for {what}.")


def selector(*keys: str, job: str = WHOLE_PROJECT) -> dict[str, Any]:
    """Return what GraphQL calls the selection of some assets of a job, or of the whole job."""
    selected: dict[str, Any] = {**REPOSITORY, "pipelineName": job}
    if keys:
        selected["assetSelection"] = [path(key) for key in keys]
    return selected


def path(key: str) -> dict[str, list[str]]:
    """Return a key as GraphQL has it."""
    return {"path": key.split("/")}


@contextmanager
def serving(project: Project) -> Iterator[Server]:
    """Return a `dagster dev` of the project; it and all that it started end with the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = project.folder / "dagster-dev.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-f", str(project.file), "-p", str(port)],
            cwd=project.folder,
            env=project.env,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(project, port)

    def ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            found = server.ask(LOADED)
        except OSError:
            return False
        assert "message" not in found, found
        return bool(found.get("nodes"))

    try:
        wait_for(ready, "dagster dev")
        yield server
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server as Ctrl-C does, and then whatever is left of its process group."""
    os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
