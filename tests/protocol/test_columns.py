"""What becomes of Python values on their way to Arrow: stored exactly, or refused with the names in the error."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import simplejson
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.exceptions import DataError
from etl_assets.model.schema.types import is_json, json_type
from etl_assets.model.values.columns import rows_to_arrow, to_array

D = Decimal
INT, FLOAT, TEXT, BOOL = pa.int64(), pa.float64(), pa.string(), pa.bool_()
INSTANT, NAIVE, DATE, TIME = (
    pa.timestamp("us", "UTC"),
    pa.timestamp("us"),
    pa.date32(),
    pa.time64("us"),
)
MONEY = pa.decimal128(38, 9)


def column(values: list[Any], declared: pa.DataType | None = None) -> pa.Array:
    return to_array(values, declared, stream="orders", field="x")


class Colour(StrEnum):
    RED = "red"


KEPT = [
    ("int64 bounds", [-(2**63), 2**63 - 1], INT, INT),
    ("uint64 max", [2**64 - 1, None], INT, pa.decimal128(20, 0)),
    ("38 digits", [10**38 - 1], INT, pa.decimal128(38, 0)),
    ("integer beyond 2^53 in a number column", [2**53 + 1, 0.5], FLOAT, pa.decimal128(17, 1)),
    ("doubles", [5e-324, 1.7976931348623157e308, -0.0], FLOAT, FLOAT),
    ("not finite", [float("inf"), float("-inf")], FLOAT, FLOAT),
    ("29 integer digits", [D("12345678901234567890123456789.123456789")], MONEY, MONEY),
    ("1.5 in an integer column", [1, 1.5], INT, FLOAT),
    ("three distinct values", [True, False, None], BOOL, BOOL),
    ("date bounds", [date(1, 1, 1), date(9999, 12, 31)], DATE, DATE),
    (
        "instants",
        [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)],
        INSTANT,
        INSTANT,
    ),
    ("a wall clock", [datetime(2024, 3, 31, 2, 30)], NAIVE, NAIVE),  # noqa: DTZ001
    ("time of day", [time(0, 0), time(23, 59, 59, 999999)], TIME, TIME),
    (
        "text",
        ["", " ", "007", "true", "null", "é", "e\u0301", "\ufeff", "a\0b", "\U0001f600"],
        TEXT,
        TEXT,
    ),
    ("bytes", [bytes(range(256)), b""], pa.binary(), pa.binary()),
    ("durations", [timedelta(days=1, microseconds=1)], None, pa.duration("us")),
    ("integers", [1, None, 3], None, INT),
    ("integers and doubles", [1, 2.5], None, FLOAT),
    ("decimals", [D("1.50"), D(12)], None, pa.decimal128(4, 2)),
    ("NULL only", [None, None], None, pa.null()),
]


@pytest.mark.parametrize(
    ("values", "declared", "type_"), [k[1:] for k in KEPT], ids=[k[0] for k in KEPT]
)
def test_a_value_is_stored_exactly(
    values: list[Any], declared: pa.DataType | None, type_: pa.DataType
) -> None:
    array = column(values, declared)
    assert array.type == type_
    assert array.to_pylist() == values


IN_ANOTHER_FORM = [
    ("beyond any number type", [10**38], INT, ["1" + "0" * 38]),
    ("1e400", [D("1e400")], FLOAT, ["1" + "0" * 400]),
    (
        "2^53+1 beside a double, without a schema",
        [2**53 + 1, 2.5],
        None,
        ["9007199254740993", "2.5"],
    ),
    ("finer than the declared scale", [D("0.1234567891")], MONEY, ["0.1234567891"]),
    (
        "nanoseconds",
        ["2024-01-01T00:00:00.123456789Z"],
        INSTANT,
        ["2024-01-01T00:00:00.123456789Z"],
    ),
    ("with and without a zone", ["2024-01-01T00:00:00Z", "2024-01-01T00:00"], INSTANT, None),
    ("the whole day", ["24:00:00"], TIME, ["24:00:00"]),
    ("a time with an offset", ["12:00:00+02:00"], TIME, ["12:00:00+02:00"]),
    ("an integer in a text column", [7, "7"], TEXT, ["7", "7"]),
]


@pytest.mark.parametrize(
    ("values", "declared", "texts"),
    [k[1:] for k in IN_ANOTHER_FORM],
    ids=[k[0] for k in IN_ANOTHER_FORM],
)
def test_a_value_that_no_type_holds_is_kept_as_its_text(
    values: list[Any], declared: Any, texts: Any
) -> None:
    array = column(values, declared)
    assert array.type == TEXT
    assert array.to_pylist() == (texts or values)


REFUSED = [
    ("text in an integer column", ["abc"], INT),
    ("a boolean in an integer column", [True], INT),
    ("text in a number column", ["1.5"], FLOAT),
    ("a number in a boolean column", [1], BOOL),
    ("29 February of a common year", ["2023-02-29T00:00:00Z"], INSTANT),
    ("29 February of a common year, a date", ["2023-02-29"], DATE),
    ("an epoch number", [1700000000], INSTANT),
    ("infinity of PostgreSQL", ["infinity"], INSTANT),
    ("MySQL's zero date", ["0000-00-00 00:00:00"], INSTANT),
    ("not a time", ["25:00:00"], TIME),
    ("an unpaired surrogate", ["\ud800"], TEXT),
    ("an unpaired surrogate in JSON", [{"a": "\ud800"}], json_type()),
    ("NaN inside JSON", [{"a": float("nan")}], None),
    ("an integer of more digits than Python will write", [10**5000], None),
    ("bytes beside text", [b"a", "a"], None),
    ("an object of no known kind", [object()], None),
]


@pytest.mark.parametrize(
    ("values", "declared"), [k[1:] for k in REFUSED], ids=[k[0] for k in REFUSED]
)
def test_a_value_that_cannot_be_kept_is_refused_by_name(
    values: list[Any], declared: pa.DataType | None
) -> None:
    with pytest.raises(DataError, match=r"stream 'orders', field 'x'") as caught:
        column([None, *values], declared)
    assert caught.value.value is not None
    assert "Value: " in str(caught.value)


def test_nesting_too_deep_is_an_error_that_names_the_field() -> None:
    deep: list[Any] = []
    for _ in range(20_000):
        deep = [deep]
    with pytest.raises(DataError, match="nested too deep"):
        column([deep])


def test_a_decimal_of_the_decoder_that_is_a_double_becomes_one() -> None:
    array = column([D("0.1"), D("1e10")], FLOAT)
    assert array.type == FLOAT
    assert array.to_pylist() == [0.1, 1e10]


def test_a_date_alone_in_an_instant_column_is_midnight_in_utc() -> None:
    assert column(["2024-01-01"], INSTANT).to_pylist() == [datetime(2024, 1, 1, tzinfo=UTC)]


def test_odd_offsets_are_the_same_instant() -> None:
    texts = ["2024-01-01T00:00:00+05:45", "2024-01-01T00:00:00-00:30", "2024-01-01 00:00:00Z"]
    assert column(texts, INSTANT).to_pylist() == [
        datetime.fromisoformat(t).astimezone(UTC) for t in texts
    ]
    aware = [datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))]
    assert column(aware, INSTANT).to_pylist() == [aware[0].astimezone(UTC)]


def test_mixed_values_become_json_with_their_kinds_kept() -> None:
    values = [7, "7", True, [1, {"a": D("1.10"), "": None, "a.b": 2**70}], None]
    array = column(values)
    assert is_json(array.type)
    texts = array.to_pylist()
    assert [None if t is None else simplejson.loads(t, use_decimal=True) for t in texts] == values


def test_scalars_of_other_libraries_stand_for_plain_values() -> None:
    assert column([np.int64(5), None]).to_pylist() == [5, None]
    assert column([np.float64(2.5), pd.NA]).to_pylist() == [2.5, None]
    assert column([pd.Timestamp("2024-01-01"), pd.NaT]).to_pylist() == [datetime(2024, 1, 1), None]  # noqa: DTZ001
    assert column([Colour.RED, UUID(int=1)]).to_pylist() == [
        "red",
        "00000000-0000-0000-0000-000000000001",
    ]
    assert column([np.array([1, 2])]).to_pylist() == ["[1,2]"]


def test_a_nanosecond_timestamp_of_pandas_keeps_its_nanoseconds() -> None:
    text = "2024-01-01T00:00:00.123456789"
    assert column([pd.Timestamp(text)], INSTANT).to_pylist() == [text]


def test_keys_missing_in_the_first_row_are_not_lost() -> None:
    table = rows_to_arrow([{"a": 1}, {"b": 2}, {}], None, stream="s")
    assert table.to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": 2}, {"a": None, "b": None}]


def test_declared_fields_come_first_then_those_of_the_rows() -> None:
    table = rows_to_arrow([{"z": 1, "a": "x"}], pa.schema([("a", TEXT), ("gone", INT)]), stream="s")
    assert table.column_names == ["a", "gone", "z"]


def test_a_name_that_is_no_text_is_refused() -> None:
    for name in ("\ud800", 7):
        with pytest.raises(DataError, match="name must be Unicode text"):
            rows_to_arrow([{name: 1}], None, stream="s")  # type: ignore[dict-item]


def test_rows_without_any_key_keep_their_number() -> None:
    assert rows_to_arrow([{}, {}], None, stream="s").num_rows == 2


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
)


@given(st.lists(scalars, min_size=1, max_size=8))
def test_every_list_of_scalars_can_be_recovered(values: list[Any]) -> None:
    array = column(values)
    back = array.to_pylist()
    if is_json(array.type):
        back = [None if t is None else simplejson.loads(t, use_decimal=True) for t in back]
    for sent, got in zip(values, back, strict=True):
        as_text = isinstance(got, str) and not isinstance(sent, str)
        assert _number(type(sent)(got) if as_text else got) == _number(sent)


def _number(value: Any) -> Any:
    # A double and the decimal of its shortest text stand for each other.
    return D(repr(value)) if isinstance(value, float) else value


def test_all_digits_of_a_double_are_that_double_where_one_is_declared() -> None:
    whole = D(
        0.67
    )  # as some sources write theirs: 0.67000000000000003996802888650563545525074005126953125
    declared = column([whole, 1.5, D("0.33"), None], FLOAT)
    assert (declared.type, declared.to_pylist()) == (FLOAT, [0.67, 1.5, 0.33, None])
    near = D(f"{whole}1")
    assert column([near, 1.5], FLOAT).to_pylist() == [str(near), "1.5"]
    assert column([whole, 1.5], None).type == TEXT  # nobody has said that a double is meant


class MakesUp(dict[str, int]):
    """Gives a value for keys that it has not, as `defaultdict` does."""

    def __missing__(self, key: str) -> int:
        return -1


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": 1, "b": 2}, {"a": 3, "c": 4}],  # as many keys, but others
        [{"a": 1}, {"a": 3, "b": 2, "c": 4}],
        [{}, {"c": 1}],
        [MakesUp(a=1, b=2), MakesUp(a=3, c=4)],
        [MakesUp(a=1), {"b": 1}],
    ],
)
def test_no_key_of_a_row_is_lost_or_made_up(rows: list[dict[str, int]]) -> None:
    names = dict.fromkeys(name for row in rows for name in row)
    table = rows_to_arrow(rows, None, stream="s")
    assert table.to_pylist() == [{name: row.get(name) for name in names} for row in rows]


@pytest.mark.parametrize("wide", [2**63, -(2**63) - 1, 10**37, 10**40])
def test_integers_at_and_beyond_64_bits_are_kept(wide: int) -> None:
    values = [-(2**63), 2**63 - 1, None]
    assert to_array(values, None, stream="s", field="f").to_pylist() == values
    wider = to_array([*values, wide], None, stream="s", field="f").to_pylist()
    assert [None if value is None else int(value) for value in wider] == [*values, wide]
