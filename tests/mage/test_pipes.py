"""Pipes with taps and targets of others, each in an environment of its own (`make .venv-pipes`)."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.mage import pipe_destination, pipe_source

ROOT = Path(__file__).parents[2]
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def program(name: str) -> str:
    """Return a tap or target of others, as `make .venv-pipes` has installed it; nothing is installed here."""
    found = ROOT / ".venv-pipes" / name / SCRIPTS / name
    if not found.exists():
        if os.environ.get("ETL_ASSETS_REQUIRE_SERVICES"):
            raise AssertionError(f"{found} is missing: run `make .venv-pipes`")
        pytest.skip(f"{name} is not installed: run `make .venv-pipes`")
    return str(found)


def piped(folder: Path, *commands: list[str]) -> str:
    """Run commands as a pipe, check that each succeeds, and give the last one's output."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    output = b""
    for command in commands:
        done = subprocess.run(
            command, cwd=folder, env=environment, input=output, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        output = done.stdout
    return output.decode()


@pytest.fixture
def target_jsonl(tmp_path: Path) -> list[str]:
    config = {"destination_path": str(tmp_path), "do_timestamp_file": False}
    (tmp_path / "target.json").write_text(json.dumps(config))
    return [program("target-jsonl"), "--config", "target.json"]


def test_our_source_into_target_jsonl(tmp_path: Path, target_jsonl: list[str]) -> None:
    source = [sys.executable, str(pipe_source.__file__)]
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "catalog.json").write_text(piped(tmp_path, [*source, "-c", "config.json", "-d"]))
    state = piped(
        tmp_path, [*source, "-c", "config.json", "--catalog", "catalog.json"], target_jsonl
    )
    written = [json.loads(line) for line in (tmp_path / "orders.jsonl").read_text().splitlines()]
    assert [row["id"] for row in written] == list(range(1, pipe_source.ROWS + 1))
    assert written[0] == {"id": 1, "note": "Größe 1 \u2028", "at": "2026-01-01T00:00:00+00:00"}
    assert json.loads(state.splitlines()[-1]) == {"bookmarks": {"orders": {"id": pipe_source.ROWS}}}


FULL_TABLE = """
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source, main

class Countries(Source):
    streams = [Stream("countries", schema={"properties": {"code": {"type": "string"}}})]
    emit_activate_version_messages = True

    def load_data(self, stream, bookmarks=None, query=None, **kwargs):
        yield [{"code": "DE"}]
        yield [{"code": "FR", "undeclared": 1}]

main(Countries)
"""


def test_a_full_table_with_its_version_into_target_jsonl(
    tmp_path: Path, target_jsonl: list[str]
) -> None:
    (tmp_path / "countries.py").write_text(FULL_TABLE)
    assert piped(tmp_path, [sys.executable, "countries.py"], target_jsonl) == ""
    written = [json.loads(line) for line in (tmp_path / "countries.jsonl").read_text().splitlines()]
    assert written == [{"code": "DE"}, {"code": "FR", "undeclared": 1}]


def test_a_full_table_into_duckdb_is_that_of_the_last_run(tmp_path: Path) -> None:
    (tmp_path / "duckdb.json").write_text(json.dumps({"path": "w.duckdb"}))
    target = [
        sys.executable,
        "-c",
        "from etl_assets import DuckDBDestination; DuckDBDestination.main()",
    ]
    for text in (FULL_TABLE, FULL_TABLE.replace('"DE"', '"SE"')):
        (tmp_path / "countries.py").write_text(text)
        piped(tmp_path, [sys.executable, "countries.py"], [*target, "--config", "duckdb.json"])
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        found = connection.sql(
            "SELECT code, undeclared FROM tap.countries ORDER BY code"
        ).fetchall()
    assert found == [("FR", 1), ("SE", None)]


def test_tap_dimdate_into_duckdb(tmp_path: Path) -> None:
    (tmp_path / "tap.json").write_text(
        json.dumps({"start_date": "2024-02-01", "end_date": "2024-03-01"})
    )
    (tmp_path / "duckdb.json").write_text(json.dumps({"path": "w.duckdb", "source": "dim"}))
    target = [
        sys.executable,
        "-c",
        "from etl_assets import DuckDBDestination; DuckDBDestination.main()",
    ]
    for _ in range(2):
        state = piped(
            tmp_path,
            [program("tap-dimdate"), "--config", "tap.json"],
            [*target, "--config", "duckdb.json"],
        )
        assert list(json.loads(state.splitlines()[-1])["bookmarks"]) == ["calendar"]
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        found = connection.sql("SELECT count(*), min(date), max(date) FROM dim.calendar").fetchall()
        leap = connection.sql(
            "SELECT weekday_name FROM dim.calendar WHERE date = '2024-02-29'"
        ).fetchall()
    assert found == [(30, date(2024, 2, 1), date(2024, 3, 1))]
    assert leap == [("Thursday",)]


@pytest.fixture(scope="module")
def tap(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a folder with input for `tap-jsonl`, and the command that reads it."""
    folder = tmp_path_factory.mktemp("tap")
    lines = [{"id": n, "name": f"Größe {n}", "big": 2**53 + n} for n in range(1, 501)]
    (folder / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    config: dict[str, Any] = {
        "path": str(folder / "items.jsonl"),
        "stream_name": "items",
        "primary_keys": ["id"],
    }
    (folder / "tap.json").write_text(json.dumps({**config, "emit_state_every": 100}))
    return folder, [program("tap-jsonl"), "--config", "tap.json"]


def test_tap_jsonl_into_duckdb_twice(tap: tuple[Path, list[str]]) -> None:
    folder, command = tap
    (folder / "duckdb.json").write_text(json.dumps({"path": "w.duckdb", "source": "files"}))
    target = [
        sys.executable,
        "-c",
        "from etl_assets import DuckDBDestination; DuckDBDestination.main()",
    ]
    for _ in range(2):
        state = piped(folder, command, [*target, "--config", "duckdb.json"])
        assert list(json.loads(state)["bookmarks"]) == ["items"]
    with duckdb.connect(str(folder / "w.duckdb")) as connection:
        found = connection.sql("SELECT id, name, big FROM files.items ORDER BY id").fetchall()
    assert found == [(n, f"Größe {n}", 2**53 + n) for n in range(1, 501)]


def test_tap_jsonl_into_a_destination_in_mages_style(tap: tuple[Path, list[str]]) -> None:
    folder, command = tap
    (folder / "appender.json").write_text(json.dumps({"file": "out.jsonl"}))
    target = [
        sys.executable,
        str(pipe_destination.__file__),
        "--config",
        "appender.json",
        "--state",
        "state.json",
    ]
    assert piped(folder, command, target) == ""
    written = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [(row["stream"], row["id"], row["big"]) for row in written] == [
        ("items", n, 2**53 + n) for n in range(1, 501)
    ]
    assert list(json.loads((folder / "state.json").read_text())["bookmarks"]) == ["items"]
