"""Arrays made of buffers are those that pyarrow makes; a load from lines into DuckDB imports no pandas."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.protocol.arrays import array_of, from_buffers

KINDS = {
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "float": (pa.float64(), st.floats(allow_nan=False)),
    "str": (pa.string(), st.text()),
    "bytes": (pa.binary(), st.binary()),
    "bool": (pa.bool_(), st.booleans()),
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
    [([1, True], pa.int64()), ([1.0, 1], pa.float64()), (["a", b"a"], pa.string()), ([1], pa.int32())],
    ids=["bool", "integer", "bytes", "narrow"],
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
