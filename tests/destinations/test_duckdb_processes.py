"""Several processes, one file."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.destinations import duckdb_writer

ROOT = Path(__file__).parents[2]


def test_processes_that_load_into_one_new_file_at_once_all_succeed(
    path: Path, query: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    go = path.with_name("go")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                duckdb_writer.__file__,
                str(path),
                f"stream_{number}",
                "5000",
                str(go),
            ],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    go.touch()
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], errors
    for number in range(4):
        assert query(f"SELECT COUNT(*), SUM(n) FROM shop.stream_{number}") == [(5000, 12497500)]
    assert query("SELECT COUNT(*) FROM _etl_assets_loads") == [(12,)]
