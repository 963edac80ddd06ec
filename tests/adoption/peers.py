"""Tools of others from PyPI, each in an environment of its own, made once, and a project that goes on where they ended."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.servers import REQUIRED

ROOT = Path(__file__).parents[2]
WHERE = Path(os.environ.get("ETL_ASSETS_TEST_PEERS", str(ROOT / ".etl_assets" / "test-peers")))
QUIET = {
    "DO_NOT_TRACK": "1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "AIRBYTE_OFFLINE_MODE": "1",
    "MELTANO_SEND_ANONYMOUS_USAGE_STATS": "false",
}
DLT = ("dlt[duckdb]==1.31.0", "sqlalchemy<2.1")
MELTANO = ("meltano==4.4.1",)
PYAIRBYTE = ("airbyte==0.71.3",)


def peer(name: str, requirements: Iterable[str]) -> Path:
    """Return the programs of a tool; where it cannot be installed, the test is skipped, unless services are required."""
    folder = WHERE / name
    mark, wanted = folder / ".made", "\n".join(requirements)
    if not mark.is_file() or mark.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *wanted.split("\n")]):
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode:
                if os.environ.get(REQUIRED):
                    pytest.fail(made.stderr[-500:])
                pytest.skip(f"{name} cannot be installed here: {made.stderr[-300:]}")
        mark.write_text(wanted)
    return folder / "bin"


def run(*command: object, folder: Path, **environment: str) -> str:
    """Run a program in a folder, and give what it prints."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, **QUIET, "HOME": str(folder), "DAGSTER_HOME": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def etl_assets(*arguments: object, folder: Path) -> str:
    """Run our own command."""
    return run(Path(sys.executable).parent / "etl-assets", *arguments, folder=folder)


def materialize(folder: Path) -> None:
    """Materialize all assets of a project, as its user does."""
    (folder / "home").mkdir(exist_ok=True)
    run(
        Path(sys.executable).parent / "dagster",
        *("asset", "materialize", "-f", "definitions.py", "--select", "*"),
        folder=folder,
        DAGSTER_HOME=str(folder / "home"),
    )


def sql(file: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask a DuckDB file."""
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.sql(query).fetchall()


def change(file: Path, script: str) -> None:
    """Change a SQLite file."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(script)


def written(file: Path, document: Mapping[str, Any] | list[Any]) -> Path:
    """Write JSON."""
    file.write_text(json.dumps(document), encoding="utf-8")
    return file
