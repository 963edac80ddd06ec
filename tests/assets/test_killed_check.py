"""A process that is killed within a check has loaded nothing, and the next run goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.assets.killed_check import warehouse
from tests.servers import postgres_schema

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["duckdb", pytest.param("postgresql", marks=pytest.mark.full)])
def place(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "duckdb":
        yield "duckdb"
        return
    with postgres_schema() as schema:
        yield schema


def load(folder: Path, place: str, rows: int, how: str) -> int:
    """Return the exit status of a process that loads."""
    script = [sys.executable, str(ROOT / "tests/assets/killed_check.py")]
    done = subprocess.run(
        [*script, str(folder), place, str(rows), how],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    return done.returncode


def stored(folder: Path, place: str) -> tuple[int, str]:
    """Return the rows of the table, and the load id of its state row."""
    database = warehouse(folder, place)
    (state,) = database.states()
    return database.count(state.table), state.load_id


def test_rows_and_state_are_whole_and_the_next_run_goes_on(tmp_path: Path, place: str) -> None:
    assert load(tmp_path, place, 5, "live") == 0
    before = stored(tmp_path, place)
    assert before[0] == 5
    assert load(tmp_path, place, 7, "kill") == -signal.SIGKILL
    assert stored(tmp_path, place) == before
    assert load(tmp_path, place, 7, "live") == 0
    rows, load_id = stored(tmp_path, place)
    assert (rows, load_id != before[1]) == (7, True)
