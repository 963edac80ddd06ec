"""Partitioned assets in every way that Dagster launches them, and killed while they are loaded."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets.faults import VARIABLE
from tests.assets.launcher import (
    BACKFILL,
    IN_ONE_PROCESS,
    ROOT,
    TIMEOUT,
    Project,
    Server,
    path,
    serving,
    wait_for,
)
from tests.partitions.orders import RANGE_END, RANGE_START, Shop, ids, of_days
from tests.servers import postgres_schema, query

pytestmark = pytest.mark.xdist_group("partitions launched")  # they share the server


OTHER_KILLS = [
    ("lake/orders", "staged"),
    ("lake/orders", "rows"),
    ("lake/orders", "committed"),
    ("server/orders", "rows"),
    ("server/orders", "committed"),
    ("single/orders", "state"),
]


class Partitioned(Project):
    """A folder with a shop of orders, and the project that loads them by day."""

    file = ROOT / "tests/partitions/launched.py"
    run_config = IN_ONE_PROCESS

    def __init__(self, folder: Path, schema: str) -> None:
        super().__init__(folder)
        self.schema = schema

    def open_shop(self) -> None:
        self.orders = Shop(self.folder)

    @property
    def env(self) -> dict[str, str]:
        return {**super().env, "LAUNCHED_SCHEMA": self.schema}

    def loaded(self, key: str) -> list[int]:
        """Return the ids in the table of an asset."""
        if key == "server/orders":
            return [id_ for (id_,) in query(f"SELECT id FROM {self.schema}.orders ORDER BY id")]
        return ids(self.folder / "warehouse.duckdb", key.replace("/", "."))

    def rows_of_events(self, key: str) -> dict[str, int]:
        """Return what the newest event of each partition says that it has."""
        asset = dg.AssetKey(key.split("/"))
        found: dict[str, int] = {}
        with self.instance() as instance:
            events = instance.fetch_materializations(asset, limit=100).records
        for record in reversed(events):
            materialization = record.asset_materialization
            assert materialization is not None
            count = materialization.metadata["dagster/partition_row_count"].value
            found[str(materialization.partition)] = int(str(count))
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a server that the ways to launch share, since it takes long to start."""
    with postgres_schema() as schema:
        project = Partitioned(tmp_path_factory.mktemp("launched"), schema)
        with serving(project) as running:
            yield running


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Partitioned]:
    with postgres_schema() as schema:
        yield Partitioned(tmp_path, schema)


def backfill(server: Server, key: str, *names: str) -> list[str]:
    """Launch a backfill of some partitions, and return its runs when all of them succeeded."""
    params = {
        "assetSelection": [path(key)],
        "partitionNames": list(names),
        "runConfigData": server.project.run_config,
    }
    asked = server.ask(BACKFILL, params=params)
    assert asked["__typename"] == "LaunchBackfillSuccess", asked
    backfill_id = asked["backfillId"]
    status = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
        ... on PartitionBackfill { status } } }"""

    def ended() -> bool:
        found: Any = server.ask(status, id=backfill_id)["status"]
        return found in {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED"}

    wait_for(ended, f"the end of backfill {backfill_id}")
    runs = server.runs("dagster/backfill", backfill_id)
    assert {server.ended(run) for run in runs} == {"SUCCESS"}
    return runs


def day(number: int) -> str:
    return f"2026-01-{number:02}"


def test_the_button_of_one_partition(server: Server) -> None:
    project: Any = server.project
    tags = {"dagster/partition": day(1)}
    run = server.launch("lake/orders", "reports/tenants", tags=tags)
    assert server.ended(run) == "SUCCESS"
    assert set(of_days([1])) <= set(project.loaded("lake/orders"))
    assert project.loaded("reports/tenants") == of_days([1])
    assert project.rows_of_events("reports/tenants") == {day(1): 2}


def test_a_backfill_in_one_run(server: Server) -> None:
    """Partitions that do not follow each other are a run for each that do."""
    project: Any = server.project
    runs = backfill(server, "single/orders", *(day(n) for n in (2, 3, 4, 8)))
    assert len(runs) == 2
    assert project.loaded("single/orders") == of_days([2, 3, 4, 8])
    assert project.rows_of_events("single/orders") == dict.fromkeys(map(day, (2, 3, 4, 8)), 2)


@pytest.mark.parametrize(
    "key", ["lake/orders", pytest.param("server/orders", marks=pytest.mark.full)]
)
def test_a_backfill_of_many_runs_at_once(key: str, server: Server) -> None:
    """They load into one table at the same time, and no partition is lost or doubled."""
    project: Any = server.project
    names = [day(number) for number in range(2, 5)]
    runs = backfill(server, key, *names)
    assert len(runs) == len(names)
    assert set(of_days(range(2, 5))) <= set(project.loaded(key))
    assert len(project.loaded(key)) == len(set(project.loaded(key)))
    rows = project.rows_of_events(key)
    assert {name: rows[name] for name in names} == dict.fromkeys(names, 2)


def test_a_partition_on_the_command_line(project: Partitioned) -> None:
    one = ("--config-json", json.dumps(IN_ONE_PROCESS))
    project.command(
        "asset", "materialize", "--select", "server/orders", "--partition", day(5), *one
    )
    days = f"{day(2)}...{day(3)}"
    project.command(
        "asset", "materialize", "--select", "single/orders", "--partition-range", days, *one
    )
    assert project.loaded("server/orders") == of_days([5])
    assert project.loaded("single/orders") == of_days([2, 3])


@pytest.mark.parametrize(
    ("key", "point"),
    [
        ("lake/orders", "state"),
        ("server/orders", "state"),
        ("single/orders", "committed"),
        *(pytest.param(*one, marks=pytest.mark.full) for one in OTHER_KILLS),
    ],
)
def test_a_killed_run_is_tried_again(key: str, point: str, project: Partitioned) -> None:
    """Whatever it was at, each partition has its rows once, and the others are left alone."""
    load(project, key, 1, 6)
    project.orders.put((101, f"{day(3)} 12:00:00+00:00", "a"))
    project.orders.run("DELETE FROM orders WHERE id = 8")
    killed = load(project, key, 3, 5, **{VARIABLE: f"{point}:1:kill"})
    assert killed == -9
    there = project.loaded(key)
    before, after = of_days(range(1, 7)), sorted({*of_days(range(1, 7)), 101} - {8})
    assert there == (after if point == "committed" else before)
    assert load(project, key, 3, 5) == 0
    assert project.loaded(key) == after
    assert {name: project.rows_of_events(key)[name] for name in map(day, (3, 4, 5))} == {
        day(3): 3,
        day(4): 1,
        day(5): 2,
    }


def load(project: Partitioned, key: str, first: int, last: int, **env: str) -> int:
    """Load some days in a process of its own; gives its exit code."""
    program = (
        "import sys, dagster as dg; from tests.partitions.launched import assets; "
        "key, first, last = sys.argv[1:]; "
        "done = dg.materialize(assets, selection=[dg.AssetKey(key.split('/'))], "
        "instance=dg.DagsterInstance.get(), "
        f"tags={{'{RANGE_START}': first, '{RANGE_END}': last}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, key, day(first), day(last)],
        cwd=project.folder,
        env={**project.env, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode in {0, -9}, done.stderr
    return done.returncode
