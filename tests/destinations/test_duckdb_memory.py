"""DuckDB holds little memory while many rows are inserted, and as much as it wants where they are wide."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from etl_assets.destinations.database.transaction import Stamp
from etl_assets.destinations.duckdb import transaction as duckdb_transaction
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.duckdb.memory import (
    MANY_BATCHES,
    MOST_BYTES,
    InsertMemory,
    insert_memory,
)
from etl_assets.model.stored import TableName

NARROW = pa.record_batch({"n": [1, 2, 3]})
WIDE = pa.record_batch({"text": ["x" * 100_000]})

LOAD = """
import re, sys
from pathlib import Path
import numpy as np, pyarrow as pa, pyarrow.compute
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

ROWS = 122_880
chance = np.random.default_rng(1)

class Numbers(Source):
    def load_data(self, stream, **kwargs):
        for start in range(0, int(sys.argv[2]), ROWS):
            yield pa.table({f"c{n}": chance.integers(0, 2**62, ROWS) for n in range(10)})

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

result = sync(StreamRead(Numbers(name="given"), Stream("numbers")), DuckDBDestination(sys.argv[1]))
print(result.records_loaded, peak())
"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(tmp_path / "w.duckdb") as connection:
        yield connection


def limit(connection: duckdb.DuckDBPyConnection) -> Any:
    return connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]


def test_many_rows_are_inserted_under_a_limit(connection: duckdb.DuckDBPyConnection) -> None:
    own = limit(connection)
    with insert_memory(connection) as memory:
        for _ in range(MANY_BATCHES - 1):
            memory.admit(NARROW)
        assert limit(connection) == own
        memory.admit(NARROW)
        assert limit(connection) != own
    assert limit(connection) == own


def test_wide_rows_lift_it(connection: duckdb.DuckDBPyConnection) -> None:
    own = limit(connection)
    with insert_memory(connection) as memory:
        for _ in range(MANY_BATCHES):
            memory.admit(NARROW)
        assert limit(connection) != own
        memory.admit(WIDE)
        assert limit(connection) == own
        assert WIDE.nbytes * 122_880 > MOST_BYTES


def test_what_others_use_too_is_left_alone(connection: duckdb.DuckDBPyConnection) -> None:
    own = limit(connection)
    with connection.cursor(), insert_memory(connection) as memory:
        for _ in range(MANY_BATCHES):
            memory.admit(NARROW)
        assert limit(connection) == own


@pytest.mark.parametrize(("path", "settings", "limits"), [
    ("w.duckdb", {}, True), ("w.duckdb", {"memory_limit": "2GB"}, False), (":memory:", {}, False),
])  # fmt: skip
def test_a_limit_that_was_set_rules(
    path: str,
    settings: dict[str, Any],
    limits: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entered = []

    def noted(connection: duckdb.DuckDBPyConnection) -> AbstractContextManager[InsertMemory]:
        entered.append(connection)
        return insert_memory(connection)

    monkeypatch.setattr(duckdb_transaction, "insert_memory", noted)
    monkeypatch.chdir(tmp_path)
    table, stamp = TableName("t", "main"), Stamp("load", None, None)
    with DuckDBDestination(path, settings=settings).transaction() as tx:
        tx.create_table(table, NARROW.schema, stamp)
        assert (
            tx.insert(table, pa.RecordBatchReader.from_batches(NARROW.schema, [NARROW]), stamp) == 3
        )
    assert bool(entered) is limits


def test_nothing_is_written_to_standard_output(tmp_path: Path) -> None:
    with DuckDBDestination(tmp_path / "w.duckdb").connect() as connection:
        assert connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [
            (False,)
        ]


@pytest.mark.full
def test_memory_stays_flat(tmp_path: Path) -> None:
    peaks = []
    for rows in (2_457_600, 7_372_800):
        given = [sys.executable, "-c", LOAD, str(tmp_path / f"{rows}.duckdb"), str(rows)]
        loaded, peak = subprocess.run(
            given, check=True, capture_output=True, text=True
        ).stdout.split()
        assert int(loaded) == rows
        peaks.append(int(peak))
    assert peaks[1] - peaks[0] < 100, f"{peaks} MB; the rows beyond the first are 390 MB"
