"""examples/scaling/ on machines of its own: Celery on RabbitMQ, two workers, everything shared is in PostgreSQL.

The machines are mount namespaces on one computer. Their processes, folders and connections are apart as those of pods
are; the network between them is not, and neither is the clock.
"""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.scaling.conftest import (
    SPLIT,
    STREAMS,
    add_rows,
    assert_every_row_is_there_once,
    change_rows,
    rows_of,
)
from tests.scaling.machines import TIMEOUT, Cluster, Machine, Worker, wait_for

pytestmark = [
    pytest.mark.full,
    pytest.mark.xdist_group("scaling"),  # they share the cluster
    pytest.mark.timeout(900),
]
JOB = ("dagster", "job", "execute", "-f", "definitions.py", "-j", "everything")
CHANGED = [*STREAMS[5:10], SPLIT]
HELD = 7201
"""The advisory lock at which a load is held."""

HOLD = f"""
CREATE OR REPLACE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared({HELD}); RETURN NULL; END';
CREATE OR REPLACE TRIGGER held AFTER INSERT OR UPDATE ON shop.t07 FOR EACH STATEMENT EXECUTE FUNCTION held();
"""
AT_THE_LOCK = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'
"""
EVENTS = """
SELECT dagster_event_type, count(*) FROM event_logs
WHERE step_key = %s AND run_id = (SELECT run_id FROM runs ORDER BY id DESC LIMIT 1) GROUP BY 1
"""


def run(launcher: Machine) -> None:
    assert launcher.run(*JOB) == 0, launcher.log


def ledger(cluster: Cluster) -> dict[str, int]:
    """Return how many rows were loaded into each table in all loads."""
    with cluster.connect("warehouse") as warehouse:
        asked = warehouse.execute(
            # The ranges of a split have rows of their own, with their place as the partition.
            "SELECT stream, sum(rows_in) FROM _etl_assets_loads WHERE partition = '' GROUP BY 1"
        )
        return {stream: int(rows) for stream, rows in asked.fetchall()}


def events(cluster: Cluster, step: str) -> dict[str, int]:
    """Return how often each event of a step was stored in the last run."""
    with cluster.connect("dagster") as dagster:
        return dict(dagster.execute(EVENTS, (step,)).fetchall())


def change_the_shop(cluster: Cluster) -> None:
    """Have new and changed rows in some of the tables."""
    for table in CHANGED:
        last = len(rows_of(cluster, "shop", table))
        add_rows(cluster, table, last + 1, last + 30)
        change_rows(cluster, table, 5)


@contextmanager
def held_load(cluster: Cluster) -> Iterator[psycopg.Connection]:
    """Hold the load of t07 when it has written its rows and not committed them, until the block ends."""
    with cluster.connect("warehouse") as warehouse:
        warehouse.execute(HOLD.encode())
        warehouse.execute("SELECT pg_advisory_lock(%s)", (HELD,))
        yield warehouse


def step_of(worker: Worker, since: int) -> int:
    """Return the process of a worker that has begun to load t07, or 0."""
    begun = re.findall(r" - (\d+) - shop__t07 - STEP_START", worker.log[since:])
    return int(begun[-1]) if begun else 0


def test_two_workers_load_each_row_once(
    cluster: Cluster, launcher: Machine, workers: list[Worker]
) -> None:
    run(launcher)
    assert_every_row_is_there_once(cluster)
    loaded = ledger(cluster)
    assert loaded == {table: len(rows_of(cluster, "shop", table)) for table in [*STREAMS, SPLIT]}
    for worker in workers:
        assert "STEP_SUCCESS" in worker.log, worker.name
    run(launcher)  # nothing is new
    assert ledger(cluster) == loaded
    change_the_shop(cluster)
    run(launcher)
    assert_every_row_is_there_once(cluster)
    assert ledger(cluster) == {
        table: rows + (35 if table in CHANGED else 0) for table, rows in loaded.items()
    }


def test_no_machine_sees_the_files_of_another(cluster: Cluster, launcher: Machine) -> None:
    other = Machine(cluster, "other")
    for machine in (launcher, other):
        (machine.project / f"of_{machine.name}").touch()
    assert launcher.run("test", "-e", "of_launcher") == 0
    assert launcher.run("test", "-e", "of_other") == 1
    assert launcher.run("test", "-e", str(other.folder)) == 1


def test_with_psycopg_3_no_event_is_written_and_the_check_says_what_to_do(cluster: Cluster) -> None:
    machine = Machine(cluster, "misled")
    settings = machine.folder / "home/dagster.yaml"
    told = settings.read_text(encoding="utf-8")
    assert "{env: DAGSTER_POSTGRES_URL}" in told
    # As it is often written, and as SQLAlchemy reads it where psycopg 3 is installed.
    address = cluster.url("dagster", "postgresql")
    settings.write_text(told.replace("{env: DAGSTER_POSTGRES_URL}", f"'{address}'"))
    assert machine.run(*JOB) != 0
    assert "NOTIFY run_events, $1" in machine.log
    assert machine.run("etl-assets", "check", "definitions.py") == 1
    assert "Name the driver: `postgresql+psycopg2://`" in machine.log
    settings.write_text(told)
    assert machine.run("etl-assets", "check", "definitions.py") == 0, machine.log


@pytest.mark.parametrize("lost", ["the process of the step", "the whole machine"])
def test_a_load_whose_worker_is_killed_is_finished_by_another_and_its_rows_are_there_once(
    lost: str, cluster: Cluster, launcher: Machine, workers: list[Worker]
) -> None:
    run(launcher)  # also where this test runs alone
    loaded = ledger(cluster)
    change_the_shop(cluster)
    begun = {worker.name: len(worker.log) for worker in workers}
    with held_load(cluster) as warehouse:
        job = launcher.start(*JOB)
        wait_for(
            lambda: warehouse.execute(AT_THE_LOCK).fetchall() == [(1,)] or job.poll() is not None,
            "the load to have written its rows",
        )
        assert job.poll() is None, launcher.log
        (killed,) = wait_for(
            lambda: [one for one in workers if step_of(one, begun[one.name])],
            "the log to say where",
        )
        if lost == "the whole machine":
            assert killed.kill() == -9
        else:
            os.kill(step_of(killed, begun[killed.name]), signal.SIGKILL)
            wait_for(
                lambda: "signal 9 (SIGKILL)" in killed.log, "Celery to see the end of the process"
            )
    assert job.wait(TIMEOUT) == 0, launcher.log
    assert_every_row_is_there_once(cluster)
    assert ledger(cluster) == {
        table: rows + (35 if table in CHANGED else 0) for table, rows in loaded.items()
    }
    told = events(cluster, "shop__t07")
    assert (told["STEP_START"], told["STEP_SUCCESS"], told["ASSET_MATERIALIZATION"]) == (2, 1, 1)
