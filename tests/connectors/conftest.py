"""Fake connectors, as sources."""

import base64
import hashlib
import stat
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets.connectors.process import Limits
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.events import StreamKey
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.connectors import get_source
from etl_assets.sources.source_read import SourceRead
from etl_assets.sync_source import StreamOutcome, StreamPlan, sync_source

HERE = Path(__file__).parent
LIMITS = Limits(silence_seconds=20, grace_seconds=0.5)


Wheel = Callable[..., str]

PROGRAM = """
import sys
def main():
    {body}
    print("tap-tiny")
"""


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    """Make a wheel of a tap that does next to nothing."""

    def made(
        body: str = "pass",
        requires_python: str = ">=3.8",
        name: str = "tap_tiny",
        version: str = "1.2",
    ) -> str:
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}_module.py": PROGRAM.format(body=body),
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            f"Requires-Python: {requires_python}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": f"[console_scripts]\n{name.replace('_', '-')} = {name}_module:main\n",
        }
        rows = [
            f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
            f"{len(text.encode())}"
            for path, text in files.items()
        ]
        path = tmp_path / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for file, text in {
                **files,
                f"{info}/RECORD": "\n".join([*rows, f"{info}/RECORD,,", ""]),
            }.items():
                archive.writestr(file, text)
        return str(path)

    return made


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """Return the program of a fake, as an executable that this interpreter runs."""

    def made(name: str) -> Path:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / name}.py" "$@"\n')
        path.chmod(stat.S_IRWXU)
        return path

    return made


@pytest.fixture
def airbyte(program: Callable[[str], Path]) -> Callable[..., ConnectorSource]:
    """Make the fake Airbyte source with a script."""

    def made(
        *script: Sequence[Any],
        streams: Sequence[str] = ("a", "b"),
        limits: Limits = LIMITS,
        callback: Callable[[dict[str, Any]], None] | None = None,
        **config: Any,
    ) -> ConnectorSource:
        return get_source(
            "source-fake",
            {"script": script, "streams": list(streams), **config},
            local_executable=program("fake_airbyte"),
            config_change_callback=callback,
            limits=limits,
        )

    return made


@pytest.fixture
def singer(program: Callable[[str], Path]) -> Callable[..., ConnectorSource]:
    """Make the fake Singer tap with the lines it writes."""

    def made(
        *lines: Any, limits: Limits = LIMITS, batch_folder: Path | str | None = None, **config: Any
    ) -> ConnectorSource:
        document = {"lines": lines, **config}
        where = program("fake_singer")
        return get_source(
            "tap-fake", document, local_executable=where, limits=limits, batch_folder=batch_folder
        )

    return made


class Loaded:
    """What became of a sync: outcomes by stream, the error of the whole, and the tables.

    Args:
        path: The DuckDB file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, StreamOutcome] = {}
        self.error: Exception | None = None

    def rows(self, table: str, columns: str = "id", order: str = "1") -> list[Any]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            found = connection.sql(f"SELECT {columns} FROM {table} ORDER BY {order}").fetchall()
        return [row[0] if len(row) == 1 else row for row in found]

    def columns(self, table: str) -> list[str]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            return [name for name, *_ in connection.sql(f"DESCRIBE {table}").fetchall()]

    def failure(self, stream: str) -> str:
        outcome = self.outcomes[stream]
        assert outcome.error is not None, f"{stream} did not fail"
        return str(outcome.error)

    def bookmark(self, stream: str) -> Mapping[str, Any] | None:
        return self.outcomes[stream].result.bookmark


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """Load all streams of a source into DuckDB."""

    def loaded(
        source: ConnectorSource,
        plans: Mapping[StreamKey, StreamPlan] | None = None,
        streams: Sequence[str] | None = None,
    ) -> Loaded:
        result = Loaded(tmp_path / "w.duckdb")
        destination = DuckDBDestination(path=str(result.path))
        source.catalog = source.discover()
        read = SourceRead(source, list(source.discover(streams).values()))
        try:
            for outcome in sync_source(read, destination, plans=plans, checkpoint_seconds=0):
                result.outcomes[outcome.stream.name] = outcome
        except Exception as error:  # noqa: BLE001 - told by the test
            result.error = error
        return result

    return loaded
