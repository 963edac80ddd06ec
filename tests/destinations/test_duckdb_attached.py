"""A small file is attached to an instance that the process keeps; nobody can tell from outside."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets.destinations.duckdb import attached
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import DestinationError
from etl_assets.model.stream import Stream
from etl_assets.own_threads import OwnThread
from etl_assets.sync import sync
from tests.toys import read

STREAM = Stream("users", primary_key=["id"])
ROWS: list[dict[str, Any]] = [{"id": n, "name": f"n{n}", "price": n / 7} for n in range(50)]
READ_ELSEWHERE = """
import duckdb, sys
with duckdb.connect(sys.argv[1]) as connection:
    print(connection.execute("SELECT COUNT(*) FROM shop.users").fetchall()[0][0])
"""


@pytest.fixture(autouse=True)
def attaches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the files that are attached; modules of other tests and pytest's threads do not count."""
    monkeypatch.setattr(attached, "sys", type("sys", (), {"modules": {}}))
    before = set(threading.enumerate())

    def is_only_thread() -> bool:
        return all(one in before or isinstance(one, OwnThread) for one in threading.enumerate())

    monkeypatch.setattr(attached, "is_only_thread", is_only_thread)
    found: list[str] = []
    attach = attached.attach

    def noted(path: str) -> Any:
        found.append(path)
        return attach(path)

    monkeypatch.setattr(attached, "attach", noted)
    attached.discard()
    return found


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "ware'house.v2.duckdb")
    duckdb.connect(path).close()
    return path


def load(file: str, rows: list[dict[str, Any]], **options: Any) -> int:
    destination = DuckDBDestination(file, **options)
    return sync(read(rows, STREAM), destination).records_loaded


def everything(file: str) -> list[Any]:
    with duckdb.connect(file) as connection:
        return connection.execute("SELECT id, name, price FROM shop.users ORDER BY id").fetchall()


def emptied(destination: DuckDBDestination, then: str = "") -> None:
    """Delete the rows, and fail by a statement, or as a cancel does."""
    with destination.short_transaction() as tx:
        tx.execute("DELETE FROM shop.users")
        if not then:
            raise KeyboardInterrupt
        tx.execute(then)


def test_it_loads_what_a_file_by_itself_does(
    file: str, tmp_path: Path, attaches: list[str]
) -> None:
    assert load(file, ROWS) == len(ROWS)
    changed = [{**row, "name": "changed", "more": [1, {"a": None}]} for row in ROWS[:5]]
    assert load(file, changed) == 5
    assert len(attaches) == 4  # to look where to begin and to commit, twice
    other = str(tmp_path / "other.duckdb")
    for rows in (ROWS, changed):
        load(other, rows, settings={"threads": 2})
    assert len(attaches) == 4
    assert everything(file) == everything(other)


def test_other_processes_have_the_file_in_between(file: str, attaches: list[str]) -> None:
    load(file, ROWS)
    assert attaches
    assert not Path(f"{file}.wal").exists()
    command = [sys.executable, "-c", READ_ELSEWHERE, file]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "50\n"
    load(file, ROWS)


def test_a_connection_of_this_process_is_shared(file: str) -> None:
    with duckdb.connect(file) as mine:
        load(file, ROWS)
        assert mine.execute("SELECT COUNT(*) FROM shop.users").fetchall() == [(50,)]
    load(file, ROWS)


def test_a_failed_commit_leaves_nothing_and_lets_go(file: str, attaches: list[str]) -> None:
    load(file, ROWS)
    destination = DuckDBDestination(file)
    with pytest.raises(DestinationError):
        emptied(destination, "SELECT * FROM nowhere")
    assert everything(file) == [tuple(row.values()) for row in ROWS]
    with pytest.raises(KeyboardInterrupt):
        emptied(destination)
    assert len(everything(file)) == len(ROWS)
    before = len(attaches)
    load(file, ROWS)
    assert len(attaches) == before + 2


def test_another_thread_may_want_the_file(file: str, attaches: list[str]) -> None:
    over = threading.Event()
    for kind, expected in ((threading.Thread, 0), (OwnThread, 2)):
        over.clear()
        thread = kind(target=over.wait, daemon=True)
        thread.start()
        attaches.clear()
        load(file, ROWS)
        assert len(attaches) == expected
        over.set()
        thread.join()


def test_two_files_in_turns(file: str, tmp_path: Path) -> None:
    other = str(tmp_path / "other.duckdb")
    duckdb.connect(other).close()
    for _ in range(2):
        load(file, ROWS)
        load(other, ROWS[:7])
    assert (len(everything(file)), len(everything(other))) == (50, 7)


def test_a_name_of_duckdbs_own_is_not_attached(tmp_path: Path, attaches: list[str]) -> None:
    for name in ("memory", "temp", ".hidden"):
        path = str(tmp_path / f"{name}.duckdb")
        duckdb.connect(path).close()
        load(path, ROWS)
    assert attaches == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_makes_its_own(file: str) -> None:
    load(file, ROWS[:10])
    child = os.fork()
    if not child:
        try:
            load(file, ROWS[10:])
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert len(everything(file)) == len(ROWS) - 10
    load(file, ROWS)
