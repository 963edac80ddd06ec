"""Whole numbers that are written as others are, where integers are declared."""

from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream
from etl_assets.model.values.arrays import decimals_of_texts

DECLARED = Stream("s", schema={"properties": {"v": {"type": ["null", "integer"]}}})

WHOLE: list[list[Any]] = [
    [1.0],
    [1.0, 2, None],
    [float(2**53), -float(2**53)],
    [Decimal("1.0"), 3],
    [Decimal("1.0"), 2.0, 3],
    [2**62, 1.0],
    [Decimal("1E+3")],
]
OTHERS: list[tuple[list[Any], str]] = [
    ([1.5], "double"),
    ([1.0, 2.5], "double"),
    ([1e300], "double"),
    ([float(2**53) + 2], "double"),
    ([float("nan")], "double"),
    ([float("inf"), 1], "double"),
]


@pytest.mark.parametrize("values", WHOLE, ids=repr)
def test_whole_numbers_are_integers(values: list[Any]) -> None:
    found = Batch([{"v": value} for value in values]).to_arrow(DECLARED).column("v")
    assert found.type == pa.int64()
    assert found.to_pylist() == values


@pytest.mark.parametrize(("values", "type_"), OTHERS, ids=repr)
def test_other_numbers_are_what_they_are(values: list[Any], type_: str) -> None:
    found = Batch([{"v": value} for value in values]).to_arrow(DECLARED).column("v")
    assert str(found.type) == type_
    assert str(found.to_pylist()) == str([float(value) for value in values])


@pytest.mark.parametrize(
    "column", [pa.array([1.0, 2.0]), pa.array([Decimal("1.0"), Decimal("2.0")])], ids=str
)
def test_columns_of_arrow_are_no_others(column: Any) -> None:
    assert Batch(pa.table({"v": column})).to_arrow(DECLARED).column("v").to_pylist() == [1, 2]


@pytest.mark.parametrize("sign", ["", "-"])
def test_as_many_digits_as_a_decimal_has(sign: str) -> None:
    whole = pa.decimal128(38, 0)
    texts = pa.array([f"{sign}{'9' * 38}", "0", None])
    assert decimals_of_texts(texts, whole).to_pylist() == [
        Decimal(f"{sign}{'9' * 38}"),
        Decimal(0),
        None,
    ]
    for more in (f"{sign}1{'0' * 38}", f"{sign}{'9' * 39}"):
        with pytest.raises(pa.ArrowInvalid):
            decimals_of_texts(pa.array([more, "-1"]), whole)


@pytest.mark.parametrize(
    "inside", [[1.0, float("nan")], {"a": float("inf")}, {"a": [{"b": -float("inf")}]}], ids=repr
)
@pytest.mark.parametrize("frame", [True, False])
def test_json_has_no_nan_and_the_hint_says_what_helps(inside: Any, frame: bool) -> None:
    stream = Stream("s")
    with pytest.raises(
        DataError, match=r"field 'v': -?(nan|inf) is inside of it, and JSON has no such"
    ) as error:
        Batch(pd.DataFrame({"v": [inside]}) if frame else [{"v": inside}]).to_arrow(stream)
    assert error.value.hint is not None
    assert "Send None" in error.value.hint
    assert Batch([{"v": [1.0, None]}]).to_arrow(stream).column("v").to_pylist() == ["[1.0,null]"]
    kept = Batch(pa.table({"v": pa.array([[1.0, float("nan")]], pa.list_(pa.float64()))})).to_arrow(
        stream
    )
    assert str(kept.column("v").to_pylist()) == "[[1.0, nan]]"
