"""Arrays made of buffers are those that pyarrow makes; a load from lines into DuckDB imports no pandas."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.protocol.arrays import array_of, from_buffers, scalar_of

NOON = datetime(2026, 1, 1, 12, 0, 0, 5000)  # noqa: DTZ001 - a clock without a zone
KINDS = {
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(allow_nan=False)),
    "str": (pa.string(), st.text()),
    "bytes": (pa.binary(), st.binary()),
    "bool": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.dates()),
    "clock": (pa.timestamp("us"), st.datetimes()),
    "instant": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.timezones())),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40)
@given(data=st.data())
def test_they_are_as_pyarrow_makes_them(kind: str, data: st.DataObject) -> None:
    type_, one = KINDS[kind]
    values = data.draw(st.lists(st.none() | one, max_size=20))
    made = from_buffers(values, type_)
    assert made is not None
    made.validate(full=True)
    assert made.equals(pa.array(values, type_))
    assert made.null_count == values.count(None)


@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, True], pa.int64()),
        ([1.0, 1], pa.float64()),
        (["a", b"a"], pa.string()),
        ([1], pa.int32()),
        ([NOON], pa.date32()),
        ([NOON.date()], pa.timestamp("us")),
        ([NOON], pa.timestamp("ms")),
    ],
    ids=["bool", "integer", "bytes", "narrow", "moment", "day", "coarse"],
)
def test_what_is_not_exactly_of_the_type_is_left_to_pyarrow(values: list[Any], type_: pa.DataType) -> None:
    assert from_buffers(values, type_) is None


@pytest.mark.parametrize(
    ("value", "type_", "error"),
    [(2**63, pa.int64(), OverflowError), ("\ud800", pa.string(), UnicodeEncodeError)],
    ids=["wide", "surrogate"],
)
def test_both_ways_refuse_alike(value: object, type_: pa.DataType, error: type[Exception]) -> None:
    for make in (from_buffers, array_of, pa.array):
        with pytest.raises(error):
            make([value], type_)


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (NOON, pa.timestamp("ns")),
        (NOON.replace(microsecond=0), pa.timestamp("s")),
        (NOON.astimezone(UTC), pa.timestamp("ms", "Europe/Berlin")),
        (NOON.date(), pa.date64()),
        (7, pa.int16()),
        ("x", pa.large_string()),
    ],
    ids=str,
)
def test_one_value_is_as_pyarrow_makes_it(value: object, type_: pa.DataType) -> None:
    made = scalar_of(value, type_)
    assert made.equals(pa.scalar(value, type_))
    assert made.type == type_


def test_what_a_unit_would_cut_off_is_no_value_of_it() -> None:
    with pytest.raises(pa.ArrowInvalid, match="lose data"):
        scalar_of(NOON.replace(microsecond=1), pa.timestamp("s"))


TARGET = """
import sys
from etl_assets import DuckDBDestination
DuckDBDestination.main()
print("pandas" in sys.modules, file=sys.stderr)
"""


def test_a_small_load_imports_no_pandas(tmp_path: Path) -> None:
    properties = {"id": {"type": "integer"}, "x": {"type": "number"}, "s": {"type": "string"}, "b": {"type": "boolean"}}
    messages = [
        {"type": "SCHEMA", "stream": "t", "schema": {"properties": properties}, "key_properties": ["id"]},
        *({"type": "RECORD", "stream": "t", "record": {"id": n, "x": n / 7, "s": "s", "b": True}} for n in range(9)),
        {"type": "STATE", "value": {"bookmarks": {"t": {"id": 8}}}},
    ]
    (tmp_path / "config.json").write_text(json.dumps({"path": str(tmp_path / "t.duckdb"), "source": "s"}))
    done = subprocess.run(
        [sys.executable, "-c", TARGET, "--config", str(tmp_path / "config.json")],
        input="".join(json.dumps(message) + "\n" for message in messages),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"bookmarks": {"t": {"id": 8}}}
    assert done.stderr.splitlines()[-1] == "False"
