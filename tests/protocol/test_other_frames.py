"""Frames of polars and relations of DuckDB as batches: values that their own Arrow would change, or has no word for."""

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from etl_assets import Batch, Stream
from etl_assets.exceptions import DataError

STREAM = Stream("t")
LARGEST = 2**127 - 1


def column(records: Any, name: str) -> tuple[pa.DataType, list[Any]]:
    found = Batch(records).to_arrow(STREAM).column(name)
    return found.type, found.to_pylist()


@pytest.mark.parametrize(
    ("expression", "type_", "value"),
    [
        ("5::hugeint", pa.decimal128(38, 0), Decimal(5)),
        (f"'{LARGEST}'::hugeint", pa.string(), str(LARGEST)),
        (f"'{2**128 - 1}'::uhugeint", pa.string(), str(2**128 - 1)),
        (
            "'123456789012345678901234567890123456789012'::bignum",
            pa.string(),
            "123456789012345678901234567890123456789012",
        ),
        ("'101'::bit", pa.string(), "101"),
        ("'10:00:00+02'::timetz", pa.string(), "10:00:00+02"),
        ("{'a': '101'::bit}", pa.struct({"a": pa.string()}), {"a": "101"}),
        (f"[{LARGEST}::hugeint]", pa.list_(pa.field("l", pa.string())), [str(LARGEST)]),
        ("interval '1 month 2 days'", pa.string(), "P1M2DT0S"),
    ],
)
def test_a_relation_is_not_changed_by_its_own_arrow(
    expression: str, type_: pa.DataType, value: Any
) -> None:
    relation = duckdb.sql(f'SELECT 1 AS id, {expression} AS "my ""v""", \'x\' AS s')
    found, values = column(relation, 'my "v"')
    assert values == [value]
    assert found.equals(type_) or (pa.types.is_list(found) and pa.types.is_string(found.value_type))
    assert column(relation, "s")[1] == ["x"]


@pytest.mark.parametrize(
    ("values", "dtype", "type_", "expected"),
    [
        ([2**100, None], "Int128", pa.decimal128(38, 0), [Decimal(2**100), None]),
        ([LARGEST, None], "Int128", None, [str(LARGEST), None]),
        ([2**128 - 1], "UInt128", None, [str(2**128 - 1)]),
        ([], "Int128", pa.decimal128(38, 0), []),
        ([[LARGEST]], "List[Int128]", None, [f"[{LARGEST}]"]),
        ([date(2020, 1, 1)], "Object", pa.date32(), [date(2020, 1, 1)]),
    ],
)
def test_wide_integers_and_objects_of_polars(
    values: Any, dtype: str, type_: Any, expected: list[Any]
) -> None:
    inner = getattr(pl, dtype.removeprefix("List[").removesuffix("]"), None)
    if inner is None:
        pytest.skip(f"this version of polars has no {dtype}")
    kind = pl.List(inner) if dtype.startswith("List") else inner
    frame = pl.DataFrame(
        {"id": pl.Series(range(len(values)), dtype=pl.Int64), "v": pl.Series(values, dtype=kind)}
    )
    found, stored = column(frame, "v")
    assert stored == expected
    assert type_ is None or found == type_
    assert column(frame, "id")[1] == list(range(len(values)))


def test_an_object_of_polars_that_is_no_value_is_refused() -> None:
    with pytest.raises(DataError, match=r"field 'v': a builtins.object is no value"):
        Batch(pl.DataFrame({"v": pl.Series([object()], dtype=pl.Object)})).to_arrow(STREAM)


def test_a_field_that_is_called_as_a_type_of_polars_is_not_one() -> None:
    assert pa.types.is_struct(column(pl.DataFrame({"v": [{"Object": 1}]}), "v")[0])


def test_a_series_of_polars_is_a_column_if_it_has_a_name() -> None:
    assert column(pl.Series("v", [1, 2]), "v")[1] == [1, 2]
    assert column(pl.Series([1, 2]).alias("w"), "w")[1] == [1, 2]
    with pytest.raises(DataError, match=r"a Series without a name is no column\.") as caught:
        Batch(pl.Series([1, 2]))
    assert ".alias('...')" in str(caught.value)
