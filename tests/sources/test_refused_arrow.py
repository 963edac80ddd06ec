"""A value that a file in Arrow's types has and no table: the schema contract rules, and the row is named."""

import struct
from collections.abc import Callable
from datetime import date
from io import BytesIO
from pathlib import Path
from typing import Any

import dagster as dg
import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from etl_assets import DuckDBDestination, FileSource, stream_assets
from etl_assets.protocol.parquet import files as parquet_files
from tests.assets.shop import failure_text
from tests.sources.test_parquet_moments import int96_file
from tests.sources.test_refused_values import rows

NO_TEXT = pa.Array.from_buffers(
    pa.string(), 3, [None, pa.py_buffer(struct.pack("<4i", 0, 1, 2, 3)), pa.py_buffer(b"a\xffb")]
)
NO_DAY = pa.array([0, 86_400_001, 86_400_000]).view(pa.date64())
NO_MOMENT = pa.array([0, 2**63 - 1, 1]).cast(pa.timestamp("us"))
NO_DURATION = pa.array([1_000, 1, 2_000]).cast(pa.duration("ns"))
IDS = pa.array([1, 2, 3])
MARK = b"sixteen bytes..."


def parquet(folder: Path, column: Any) -> None:
    pq.write_table(pa.table({"id": IDS, "v": column}), folder / "t.parquet")


def arrow(folder: Path, column: Any) -> None:
    table = pa.table({"id": IDS, "v": column})
    with pa.ipc.new_file(str(folder / "t.arrow"), table.schema) as file:
        file.write_table(table)


def orc_file(folder: Path, column: Any) -> None:
    orc.write_table(pa.table({"id": IDS, "v": column}), folder / "t.orc")


def int96(folder: Path, column: Any) -> None:
    del column
    int96_file(folder / "t.parquet", [(0, 1), (2_932_896, 0), (1, 0)])


def avro(folder: Path, column: Any) -> None:
    """Write numbers, and call them times of day in the head that is in front of them."""
    del column
    plain = {"type": "long"}
    time = {"type": "long", "logicalType": "time-micros"}
    heads = []
    for kind in (plain, time):
        fields = [{"name": "id", "type": "long"}, {"name": "v", "type": ["null", kind]}]
        schema: Any = fastavro.parse_schema({"type": "record", "name": "t", "fields": fields})
        rows = (
            [{"id": n, "v": v} for n, v in ((1, 0), (2, 90_000_000_000), (3, 1))]
            if kind is plain
            else []
        )
        file = BytesIO()
        fastavro.writer(file, schema, rows, sync_marker=MARK)
        heads.append(file.getvalue().partition(MARK))
    (folder / "t.avro").write_bytes(heads[1][0] + MARK + heads[0][2])


CASES: dict[str, tuple[Callable[[Path, Any], None], Any, str, str]] = {
    "Parquet, no text": (parquet, NO_TEXT, "t.parquet, line 2: is not UTF-8 text", "b'\\xff'"),
    "Parquet, no moment": (
        parquet,
        NO_MOMENT,
        "t.parquet, line 2: is no timestamp[us] that could",
        "9223372036854775807",
    ),
    "Parquet, no duration": (
        parquet,
        NO_DURATION,
        "t.parquet, line 2: does not fit duration[us]",
        "1 ns",
    ),
    "Parquet, INT96": (int96, None, "t.parquet, line 2: nanoseconds stand beside", "9999-12-31"),
    "Arrow, no text": (arrow, NO_TEXT, "t.arrow, line 2: is not UTF-8 text", "b'\\xff'"),
    "Arrow, no day": (
        arrow,
        NO_DAY,
        "t.arrow, line 2: does not fit date32",
        "1970-01-02 00:00:00.001",
    ),
    "Arrow, no moment": (
        arrow,
        NO_MOMENT,
        "t.arrow, line 2: is no timestamp[us] that could",
        "9223372036854775807",
    ),
    "ORC, no text": (orc_file, NO_TEXT, "t.orc, line 2: is not UTF-8 text", "b'\\xff'"),
    "Avro, no time of day": (avro, None, "t.avro, line 2: a time beyond the day", "90000000000"),
}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    def run(case: str, **options: Any) -> Any:
        make, column, *_ = CASES[case]
        make(tmp_path, column)
        name = next(one.name for one in tmp_path.iterdir() if one.name.startswith("t."))
        source = FileSource("t", str(tmp_path), streams={"t": name})
        warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
        return dg.materialize(
            stream_assets(source, ["t"], destination=warehouse, options={"t": options}),
            raise_on_error=False,
        )

    return run


@pytest.mark.parametrize("case", CASES)
def test_the_contract_rules(case: str, tmp_path: Path, run: Any) -> None:
    field = "ts" if "INT96" in case else "v"
    *_, told, value = CASES[case]
    for mode in ("evolve", "freeze"):
        result = run(case, schema_contract=mode)
        assert not result.success
        text = failure_text(result)
        assert f"stream 't', field {field!r}" in text
        assert told in text
        assert value in text.partition("Value: ")[2]
    result = run(case, schema_contract="discard_value", keep_rejected=True)
    assert result.success
    found = [row[0] for row in rows(tmp_path, f"{field} IS NULL")]
    assert found == [False, False, True]
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["etl_assets/rejected"].value == 1
    ((kept, reason),) = rows(tmp_path, "field, reason", "t.t__rejected")
    assert kept == field
    assert told in reason


@pytest.mark.parametrize("case", CASES)
def test_a_row_is_left_out(case: str, tmp_path: Path, run: Any) -> None:
    assert run(case, schema_contract={"data_type": "discard_row"}).success
    assert len(rows(tmp_path, "*")) == 2


def test_the_row_is_that_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small batches, several row groups, and groups that are read as references."""
    monkeypatch.setattr(parquet_files, "AT_ONCE", 200)
    column = pa.array(["a"] * 700 + ["b"] * 300)
    bad = [250, 251, 999]
    data = pa.array([2**63 - 1 if row in bad else row for row in range(1000)]).cast(
        pa.timestamp("us")
    )
    pq.write_table(pa.table({"t": data, "a": column}), tmp_path / "t.parquet", row_group_size=300)
    source = FileSource("t", str(tmp_path), streams={"t": "t.parquet"}, batch_rows=70)
    stream = source.discover()["t"]
    told = [
        one.message
        for batch in source.load_data(stream)
        for found in batch.refused.values()
        for one in found
    ]
    assert [text.partition(":")[0] for text in told] == [
        f"t.parquet, line {row + 1}" for row in bad
    ]


def test_a_text_that_is_not_what_is_declared(tmp_path: Path) -> None:
    pq.write_table(pa.table({"v": ["2026-01-01", "soon", None]}), tmp_path / "t.parquet")
    schema = {"properties": {"v": {"type": ["null", "string"], "format": "date"}}}
    source = FileSource("t", str(tmp_path), streams={"t": "t.parquet"}, schema=schema)
    stream = source.discover()["t"]
    (batch,) = [one for one in source.load_data(stream) if len(one)]
    ((row, (told,)),) = batch.refused.items()
    assert (row, told.field, told.value) == (1, "v", "soon")
    assert told.message.startswith("t.parquet, line 2: not a date")
    assert batch.accepted().to_arrow(stream).column("v").to_pylist() == [
        date(2026, 1, 1),
        None,
        None,
    ]
