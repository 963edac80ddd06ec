"""The peers that are programs: they read a table of a database and load it into another."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.peers import program


def started(command: list[str], **variables: str) -> Callable[[], Any]:
    """Return what runs a program; it raises with what the program said if it fails."""

    def run() -> None:
        done = subprocess.run(
            command,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stdout.decode(errors="replace")[-2000:])

    return run


def ingestr(source: str, table: str, into: str, loaded: str, *options: str) -> Callable[[], Any]:
    """Return what has ingestr load a table; without options it replaces it."""
    command = [
        program("ingestr", "ingestr"),
        "ingest",
        "--yes",
        "--progress",
        "log",
        "--source-uri",
        source,
    ]
    return started(
        [*command, "--source-table", table, "--dest-uri", into, "--dest-table", loaded, *options]
    )


def sling(source: str, table: str, into: str, loaded: str, *options: str) -> Callable[[], Any]:
    """Return what has Sling load a table; without options it replaces it."""
    command = [
        program("sling", "sling-linux-amd64"),
        "run",
        "--src-conn",
        "BENCH_FROM",
        "--src-stream",
        table,
    ]
    options = options or ("--mode", "full-refresh")
    source, into = (
        f"{url}?sslmode=disable" if url.startswith("postgresql") else url for url in (source, into)
    )
    return started(
        [*command, "--tgt-conn", "BENCH_INTO", "--tgt-object", loaded, *options],
        BENCH_FROM=source,
        BENCH_INTO=into,
    )


def duckdb_file(folder: Path, candidate: str) -> str:
    """Return the address of a candidate's DuckDB file."""
    return f"duckdb://{folder / f'{candidate}.duckdb'}"
