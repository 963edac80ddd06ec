"""Moments in Parquet files: those of INT96 in every year, with the nanoseconds that the file has."""

import struct
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from etl_assets import FileSource, Stream, stream_assets
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.protocol.parquet import files as parquet_files
from tests.pairs.places import DESTINATIONS, destination
from tests.pairs.readers import held

FAR = ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "2020-01-01 00:00:00"]
FINE = 1_577_836_800_000_000_001
"""2020-01-01, and a nanosecond."""


def write(path: Path, *columns: pa.Table, **options: Any) -> None:
    with pq.ParquetWriter(
        path, columns[0].schema, use_deprecated_int96_timestamps=True, **options
    ) as writer:
        for table in columns:
            writer.write_table(table)


def far() -> pa.Array:
    return pa.array([*map(datetime.fromisoformat, FAR), None], pa.timestamp("us"))


def load(
    folder: Path, kind: str, stack: ExitStack
) -> tuple[dg.ExecuteInProcessResult, DatabaseDestination]:
    warehouse = destination(kind, folder, stack)
    source = FileSource("shop", str(folder), streams={"t": "*.parquet"})
    result = dg.materialize(stream_assets(source, destination=warehouse), raise_on_error=False)
    return result, warehouse


def failure(result: Any) -> str:
    return next(
        str(e.event_specific_data.user_failure_data.description)
        for e in result.all_events
        if e.is_step_failure
    )


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_int96_of_all_years_is_what_was_written(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", pa.table({"ts": far(), "id": [1, 2, 3, 4]}))
    with ExitStack() as stack:
        result, warehouse = load(tmp_path, kind, stack)
        assert result.success
        found = held(warehouse, "t")
    assert [None if r["ts"] is None else str(r["ts"])[:26] for r in found.rows] == [
        *_as(kind),
        None,
    ]


def _as(kind: str) -> list[str]:
    fractions = kind in {"mysql", "sqlite"}
    return [one if "." in one or not fractions else f"{one}.000000" for one in FAR]


def test_nanoseconds_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "t.parquet", pa.table({"ts": pa.array([FINE, 0], pa.timestamp("ns"))}))
    with ExitStack() as stack:
        result, warehouse = load(tmp_path, "duckdb", stack)
        assert result.success
        assert held(warehouse, "t").types["ts"] == "TIMESTAMP_NS"
        column = warehouse.read_table(warehouse.table_for("shop", Stream("t"))).column("ts")
    assert column.cast(pa.int64()).to_pylist() == [FINE, 0]


def test_batches_of_one_file_agree_on_a_unit_or_become_text(tmp_path: Path) -> None:
    """The first row group is whole microseconds; only the second says that the column has more."""
    first = pa.table({"ts": pa.array([0], pa.timestamp("ns"))})
    write(tmp_path / "a.parquet", first, pa.table({"ts": pa.array([FINE], pa.timestamp("ns"))}))
    with ExitStack() as stack:
        result, warehouse = load(tmp_path, "duckdb", stack)
        assert result.success
        assert held(warehouse, "t").types["ts"] == "TIMESTAMP_NS"
        # A later file is beyond: the table has nanoseconds, which would be lost.
        write(tmp_path / "b.parquet", pa.table({"ts": far()}))
        result, _ = load(tmp_path, "duckdb", stack)
        assert result.success
        found = held(warehouse, "t")
    assert found.types["ts"] == "VARCHAR"
    texts = [row["ts"] for row in found.rows]
    assert "2020-01-01 00:00:00.000000001" in texts
    assert "9999-12-31 23:59:59.999999" in texts


def int96_file(path: Path, values: list[tuple[int, int]]) -> None:
    """Write a file whose INT96 are these days and nanoseconds, which Arrow itself would not write."""
    known = pa.array([1_000_000_007 + at for at in range(len(values))], pa.timestamp("ns"))
    pq.write_table(
        pa.table({"ts": known}), path, use_deprecated_int96_timestamps=True, compression="none", use_dictionary=False,
        write_statistics=False,
    )  # fmt: skip
    data = path.read_bytes()
    for at, (day, nanos) in enumerate(values):
        was = struct.pack("<qi", 1_000_000_007 + at, 2_440_588)
        assert data.count(was) == 1
        data = data.replace(was, struct.pack("<qi", nanos, 2_440_588 + day))
    path.write_bytes(data)


def test_a_moment_and_digits_that_no_type_holds_are_refused_by_name(tmp_path: Path) -> None:
    int96_file(tmp_path / "t.parquet", [(0, 1), (2_932_896, 0)])
    with ExitStack() as stack:
        result, _ = load(tmp_path, "duckdb", stack)
    assert not result.success
    told = failure(result)
    assert "stream 't'" in told
    assert "field 'ts'" in told
    assert "9999-12-31" in told


def test_int96_inside_of_lists_and_structs(tmp_path: Path) -> None:
    kind = pa.struct([("ts", pa.list_(pa.timestamp("us")))])
    moments = [one for one in far().to_pylist() if one]
    write(
        tmp_path / "t.parquet", pa.table({"s": pa.array([{"ts": moments}, None, {"ts": []}], kind)})
    )
    with ExitStack() as stack:
        result, warehouse = load(tmp_path, "duckdb", stack)
        assert result.success
        rows = held(warehouse, "t").rows
    assert [row["s"] for row in rows] == [{"ts": moments}, None, {"ts": []}]


def test_int96_beside_texts_that_are_read_by_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_files, "AT_ONCE", 1024)
    monkeypatch.setattr(parquet_files, "_FEW", 0)
    count = 500
    table = pa.table({"text": ["x" * 900] * count, "ts": pa.array([datetime(9999, 1, 1)] * count)})  # noqa: DTZ001
    write(tmp_path / "t.parquet", table)
    with ExitStack() as stack:
        result, warehouse = load(tmp_path, "duckdb", stack)
        assert result.success
        rows = held(warehouse, "t").rows
    assert [row["ts"] for row in rows] == [datetime(9999, 1, 1)] * count  # noqa: DTZ001
    assert {row["text"] for row in rows} == {"x" * 900}
