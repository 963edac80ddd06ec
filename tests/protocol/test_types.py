"""`merge_types` is a join: associative, commutative, idempotent, never narrowing."""

from itertools import product

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.exceptions import SchemaConflictError
from etl_assets.model.schema.types import diff, json_type, logical, merge, merge_types

TYPES = [
    pa.null(),
    pa.bool_(),
    *(
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
    ),
    *(pa.float32(), pa.float64()),
    *(
        pa.decimal128(p, s)
        for p, s in [(1, 0), (5, 2), (20, 0), (38, 0), (38, 9), (38, 38), (22, 2)]
    ),
    *(pa.string(), pa.binary(), json_type(), pa.uuid()),
    *(pa.date32(), pa.time64("us"), pa.time64("ns"), pa.duration("us")),
    *(pa.timestamp(u, z) for u, z in product(("us", "ns"), (None, "UTC"))),
    *(pa.list_(pa.int64()), pa.struct([("a", pa.int8())])),
]


def joined(*types: pa.DataType) -> pa.DataType | str:
    try:
        result = types[0]
        for one in types[1:]:
            result = merge_types(result, one)
    except SchemaConflictError:
        return "no common type"
    return result


@pytest.mark.parametrize("one", TYPES, ids=str)
def test_a_type_merged_with_itself_stays(one: pa.DataType) -> None:
    assert merge_types(one, one) == one


def test_the_order_of_two_does_not_matter() -> None:
    for a, b in product(TYPES, TYPES):
        assert joined(a, b) == joined(b, a), (a, b)


def test_the_order_of_three_does_not_matter() -> None:
    for a, b, c in product(TYPES, TYPES, TYPES):
        left = joined(a, b)
        right = joined(b, c)
        if isinstance(left, str) or isinstance(right, str):
            assert joined(a, b, c) == joined(c, b, a) == joined(b, c, a) == "no common type", (
                a,
                b,
                c,
            )
        else:
            assert joined(left, c) == joined(a, right), (a, b, c)


def test_what_was_merged_once_absorbs_its_parts() -> None:
    for a, b in product(TYPES, TYPES):
        both = joined(a, b)
        if not isinstance(both, str):
            assert joined(both, a) == joined(both, b) == both, (a, b)


@pytest.mark.parametrize(
    ("old", "new", "merged"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.int64(), pa.uint64(), pa.decimal128(20, 0)),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.int64(), pa.float64(), pa.string()),
        (pa.decimal128(10, 2), pa.decimal128(8, 4), pa.decimal128(12, 4)),
        (pa.decimal128(38, 2), pa.decimal128(38, 9), pa.string()),
        (pa.date32(), pa.timestamp("us"), pa.timestamp("us")),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.string()),
        (pa.int64(), pa.string(), pa.string()),
        (pa.string(), json_type(), json_type()),
        (pa.string(), pa.list_(pa.int8()), json_type()),
    ],
    ids=str,
)
def test_two_types_meet_in_the_narrowest_that_holds_both(
    old: pa.DataType, new: pa.DataType, merged: pa.DataType
) -> None:
    assert merge_types(old, new) == merged


def test_integers_that_are_looked_at_may_meet_doubles_as_doubles() -> None:
    assert merge_types(pa.int64(), pa.float64(), integers_fit=lambda: True) == pa.float64()


def test_bytes_meet_nothing_else_and_the_field_is_named() -> None:
    with pytest.raises(SchemaConflictError, match="'blob'"):
        merge(pa.schema([("blob", pa.binary())]), pa.schema([("blob", pa.string())]))


fields = st.dictionaries(
    st.sampled_from("abcde"), st.sampled_from([t for t in TYPES if t != pa.binary()]), max_size=5
)


@given(fields, fields)
def test_a_merged_schema_loses_no_field(
    one: dict[str, pa.DataType], two: dict[str, pa.DataType]
) -> None:
    merged = merge(pa.schema(list(one.items())), pa.schema(list(two.items())))
    assert set(merged.names) == set(one) | set(two)
    again = merge(merged, pa.schema(list(two.items())))
    assert again == merged
    assert not diff(merged, again)


def test_a_difference_is_a_sentence() -> None:
    changes = diff(
        pa.schema([("a", pa.int8()), ("b", pa.int8())]),
        pa.schema([("a", pa.int16()), ("c", pa.string())]),
    )
    assert [str(c) for c in changes] == [
        "field 'a' int8 is now int16",
        "field 'b' is gone",
        "added field 'c' string",
    ]


@pytest.mark.parametrize(
    ("encoded", "stands_for"),
    [
        (pa.large_string(), pa.string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.timestamp("ms", "Europe/Paris"), pa.timestamp("us", "UTC")),
        (pa.date64(), pa.date32()),
        (pa.decimal256(50, 2), pa.string()),
        (pa.decimal128(3, -2), pa.decimal128(5, 0)),
    ],
    ids=str,
)
def test_encodings_of_the_same_values_are_one_type(
    encoded: pa.DataType, stands_for: pa.DataType
) -> None:
    assert logical(encoded) == stands_for
