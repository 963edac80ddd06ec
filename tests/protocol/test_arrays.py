"""Arrays made of buffers are those that pyarrow makes; a load from lines into DuckDB imports no pandas."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl_assets.model.values.arrays import (
    array_of,
    cast_exactly,
    decimals_of,
    decimals_of_texts,
    from_buffers,
    scalar_of,
)
from etl_assets.model.values.columns import to_array

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
def test_what_is_not_exactly_of_the_type_is_left_to_pyarrow(
    values: list[Any], type_: pa.DataType
) -> None:
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


@pytest.mark.skipif(
    int(pa.__version__.split(".")[0]) < 26, reason="an older pyarrow imports pandas by itself"
)
def test_a_small_load_imports_no_pandas(tmp_path: Path) -> None:
    properties = {
        "id": {"type": "integer"},
        "x": {"type": "number"},
        "s": {"type": "string"},
        "b": {"type": "boolean"},
    }
    messages = [
        {
            "type": "SCHEMA",
            "stream": "t",
            "schema": {"properties": properties},
            "key_properties": ["id"],
        },
        *(
            {"type": "RECORD", "stream": "t", "record": {"id": n, "x": n / 7, "s": "s", "b": True}}
            for n in range(9)
        ),
        {"type": "STATE", "value": {"bookmarks": {"t": {"id": 8}}}},
    ]
    (tmp_path / "config.json").write_text(
        json.dumps({"path": str(tmp_path / "t.duckdb"), "source": "s"})
    )
    done = subprocess.run(
        [sys.executable, "-c", TARGET, "--config", str(tmp_path / "config.json")],
        input="".join(json.dumps(message) + "\n" for message in messages),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"bookmarks": {"t": {"id": 8}}}
    assert done.stderr.splitlines()[-1] == "False"


WIDTHS = st.integers(1, 38).flatmap(lambda width: st.tuples(st.just(width), st.integers(0, width)))
DECIMALS = st.builds(
    lambda digits, sign, exponent: Decimal((sign, tuple(map(int, str(digits))), exponent)),
    st.integers(0, 10**45),
    st.integers(0, 1),
    st.integers(-80, 12),
)


def _made(make: Callable[[], Any]) -> list[Any] | None:
    try:
        return list(make().to_pylist())
    except (pa.ArrowException, OverflowError):
        return None


@settings(max_examples=300)
@given(
    st.lists(DECIMALS | st.integers(-(10**20), 10**20) | st.none(), min_size=1, max_size=4), WIDTHS
)
def test_decimals_are_the_same_numbers_or_refused(
    values: list[Any], width: tuple[int, int]
) -> None:
    type_ = pa.decimal128(*width)
    assert _made(lambda: decimals_of(values, type_)) in (None, values)
    texts = pa.array(
        [None if value is None else f"{Decimal(value):f}" for value in values], pa.string()
    )
    assert _made(lambda: decimals_of_texts(texts, type_)) in (None, values)
    spelled = pa.array([None if value is None else str(value) for value in values], pa.string())
    assert _made(lambda: decimals_of_texts(spelled, type_)) in (None, values)
    if (column := _made(lambda: pa.array(values))) == values:
        assert _made(lambda: cast_exactly(pa.chunked_array([pa.array(column)]), type_)) in (
            None,
            values,
        )


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("1E-41", pa.decimal128(38, 2)),
        ("1E-39", pa.decimal128(20, 0)),
        ("12345.5", pa.decimal128(38, 38)),
    ],
)
def test_a_decimal_that_overflows_on_its_way_is_refused(value: str, type_: pa.DataType) -> None:
    for made in (
        lambda: decimals_of([Decimal(value)], type_),
        lambda: decimals_of_texts(pa.array([value]), type_),
        lambda: decimals_of_texts(pa.array([f"{Decimal(value):f}"]), type_),
    ):
        assert _made(made) is None
    declared = to_array([Decimal(value), Decimal(1)], type_, stream="s", field="f")
    assert [Decimal(one) for one in declared.to_pylist()] == [Decimal(value), Decimal(1)]


def test_decimals_that_fit_stay_decimals() -> None:
    type_ = pa.decimal128(9, 2)
    values = [Decimal("1234567.5"), None, Decimal("-1234567.89"), Decimal("1.500"), 7]
    assert decimals_of(values, type_).to_pylist() == values
    texts = pa.array(["1234567.5", None, "-1234567.89", "0.5", "7"])
    assert decimals_of_texts(texts, type_).type == type_
    assert cast_exactly(pa.chunked_array([pa.array([Decimal("1.5")])]), type_).to_pylist() == [
        Decimal("1.50")
    ]
    assert cast_exactly(pa.chunked_array([pa.nulls(2)]), type_).to_pylist() == [None, None]
    assert cast_exactly(pa.chunked_array([pa.array(["1.5"])]), type_).to_pylist() == [
        Decimal("1.50")
    ]
