"""Pipes with taps and targets of others, each in an environment of its own."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.mage import pipe_destination, pipe_source

pytestmark = pytest.mark.full
ROOT = Path(__file__).parents[2]


def installed(folder: Path, *packages: str) -> Path:
    """Give the folder with the programs of packages, in an environment made for them."""
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    done = subprocess.run(
        [str(scripts / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        if os.environ.get("ETL_ASSETS_REQUIRE_SERVICES"):
            raise AssertionError(done.stderr)
        pytest.skip(f"{packages} cannot be installed here: {done.stderr[-200:]}")
    return scripts


def piped(folder: Path, *commands: list[str]) -> str:
    """Run commands as a pipe, check that each succeeds, and give the last one's output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    output = b""
    for command in commands:
        done = subprocess.run(command, cwd=folder, env=environment, input=output, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        output = done.stdout
    return output.decode()


def test_our_source_into_target_jsonl(tmp_path: Path) -> None:
    programs = installed(tmp_path / "target", "target-jsonl")
    (tmp_path / "target.json").write_text(json.dumps({"destination_path": str(tmp_path), "do_timestamp_file": False}))
    source = [sys.executable, str(pipe_source.__file__)]
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "catalog.json").write_text(piped(tmp_path, [*source, "-c", "config.json", "-d"]))
    state = piped(
        tmp_path,
        [*source, "-c", "config.json", "--catalog", "catalog.json"],
        [str(programs / "target-jsonl"), "--config", "target.json"],
    )
    written = [json.loads(line) for line in (tmp_path / "orders.jsonl").read_text().splitlines()]
    assert [row["id"] for row in written] == list(range(1, pipe_source.ROWS + 1))
    assert written[0] == {"id": 1, "note": "Größe 1 \u2028", "at": "2026-01-01T00:00:00+00:00"}
    assert json.loads(state.splitlines()[-1]) == {"bookmarks": {"orders": {"id": pipe_source.ROWS}}}


@pytest.fixture(scope="module")
def tap(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Give a folder with input for `tap-jsonl`, and the command that reads it."""
    folder = tmp_path_factory.mktemp("tap")
    programs = installed(folder / "tap", "tap-jsonl")
    lines = [{"id": n, "name": f"Größe {n}", "big": 2**53 + n} for n in range(1, 501)]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config: dict[str, Any] = {"path": str(folder / "items.jsonl"), "stream_name": "items", "primary_keys": ["id"]}
    (folder / "tap.json").write_text(json.dumps({**config, "emit_state_every": 100}))
    return folder, [str(programs / "tap-jsonl"), "--config", "tap.json"]


def test_tap_jsonl_into_duckdb_twice(tap: tuple[Path, list[str]]) -> None:
    folder, command = tap
    (folder / "duckdb.json").write_text(json.dumps({"path": "w.duckdb", "source": "files"}))
    target = [sys.executable, "-c", "from etl_assets import DuckDBDestination; DuckDBDestination.main()"]
    for _ in range(2):
        state = piped(folder, command, [*target, "--config", "duckdb.json"])
        assert list(json.loads(state)["bookmarks"]) == ["items"]
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        found = connection.sql("SELECT id, name, big FROM files.items ORDER BY id").fetchall()
    assert found == [(n, f"Größe {n}", 2**53 + n) for n in range(1, 501)]


def test_tap_jsonl_into_a_destination_in_mages_style(tap: tuple[Path, list[str]]) -> None:
    folder, command = tap
    (folder / "appender.json").write_text(json.dumps({"file": "out.jsonl"}))
    target = [sys.executable, str(pipe_destination.__file__), "--config", "appender.json", "--state", "state.json"]
    assert piped(folder, command, target) == ""
    written = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [(row["stream"], row["id"], row["big"]) for row in written] == [
        ("items", n, 2**53 + n) for n in range(1, 501)
    ]
    assert list(json.loads((folder / "state.json").read_text())["bookmarks"]) == ["items"]
