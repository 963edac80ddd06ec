"""A target that is killed anywhere, and its tap started again from the last state that was passed on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mage.test_target import lines, record, rows, schema, state

ROWS = 4
PROGRAM = "from etl_assets import DuckDBDestination; DuckDBDestination.main()"
NO_ANSWER = ("committed", "last_committed", "cleaned", "after_commit")
"""Points between a COMMIT and the state that says so: whoever reads the states does not know of it."""


def tap(passed: list[str]) -> bytes:
    """Return what a tap writes from the last state on: `a` has a key, `b` has none."""
    begins = json.loads(passed[-1])["bookmarks"]["b"]["id"] if passed else 0
    messages: list[Any] = [schema("a"), schema("b", key_properties=[])]
    for n in range(begins + 1, ROWS + 1):
        messages += [
            record(n, "a"),
            record(n, "b"),
            state({"bookmarks": {"a": {"id": n}, "b": {"id": n}}}),
        ]
    return lines(*messages).getvalue()


def run(folder: Path, passed: list[str], fault: str = "") -> int:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "--config", "c.json"],
        cwd=folder,
        env={**os.environ, "ETL_ASSETS_FAULT": fault},
        input=tap(passed),
        capture_output=True,
        check=False,
    )
    passed += done.stdout.decode().splitlines()
    return done.returncode


@pytest.mark.parametrize(
    "fault",
    [
        "opened:1",
        "batch:2",
        "staged:3",
        "before_commit:3",
        "rows:4",
        "state:4",
        *(f"{point}:1" for point in NO_ANSWER),
    ],
)
def test_a_killed_target_loses_nothing_and_no_state_is_ahead_of_its_rows(
    tmp_path: Path, fault: str
) -> None:
    (tmp_path / "c.json").write_text('{"path": "w.duckdb", "state_seconds": 0}')
    passed: list[str] = []
    assert run(tmp_path, passed, f"{fault}:exit") == 137
    reached = json.loads(passed[-1])["bookmarks"] if passed else {}
    for stream, bookmark in reached.items():
        found = [
            row[0]
            for row in rows(tmp_path / "w.duckdb", f"SELECT id FROM tap.{stream} ORDER BY id")
        ]
        assert found[: bookmark["id"]] == list(range(1, bookmark["id"] + 1))
    assert run(tmp_path, passed) == 0
    assert [json.loads(one)["bookmarks"]["a"]["id"] for one in passed] == list(range(1, ROWS + 1))
    assert rows(tmp_path / "w.duckdb", "SELECT id FROM tap.a ORDER BY id") == [
        (n,) for n in range(1, ROWS + 1)
    ]
    appended = [row[0] for row in rows(tmp_path / "w.duckdb", "SELECT id FROM tap.b ORDER BY id")]
    assert sorted(set(appended)) == list(range(1, ROWS + 1))
    if fault.partition(":")[0] not in NO_ANSWER:
        assert len(appended) == ROWS
