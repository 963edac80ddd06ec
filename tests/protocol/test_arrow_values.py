"""Values stay what they are while their encoding is undone: in lists, structs, maps, slices, chunks, with NULLs."""

from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream

STREAM = Stream("t")
LEAVES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "string": (pa.string(), st.text(max_size=3)),
    "large_string": (pa.large_string(), st.text(max_size=3)),
    "string_view": (pa.string_view(), st.text(max_size=20)),
    "binary_view": (pa.binary_view(), st.binary(max_size=20)),
    "timestamp": (pa.timestamp("us"), st.datetimes()),
    "date": (pa.date32(), st.dates()),
    "time": (pa.time64("us"), st.times()),
    "decimal64": (pa.decimal64(9, 2), st.decimals(-(10**6), 10**6, places=2)),
    "decimal256": (pa.decimal256(38, 2), st.decimals(-(10**6), 10**6, places=2)),
    "bool8": (pa.bool8(), st.booleans()),
}


def array_of(name: str, values: list[Any]) -> pa.Array:
    type_, _ = LEAVES[name]
    if name == "bool8":
        return pa.ExtensionArray.from_storage(
            type_, pa.array([None if v is None else int(v) for v in values], pa.int8())
        )
    return pa.array(values, type_)


@st.composite
def arrays(draw: st.DrawFn, depth: int = 2) -> pa.Array:
    """Return an array of any shape, and perhaps a part of a longer one."""
    length = draw(st.integers(0, 5))
    kinds = ["leaf", "dictionary", "runs"] + (
        ["list", "view", "fixed", "struct", "map"] if depth else []
    )
    kind = draw(st.sampled_from(kinds))
    if kind in {"leaf", "dictionary", "runs"}:
        name = draw(st.sampled_from(sorted(set(LEAVES) - ({"bool8"} if kind != "leaf" else set()))))
        nullable = st.none() | LEAVES[name][1]
        found = array_of(name, draw(st.lists(nullable, min_size=length, max_size=length)))
        if kind == "dictionary" and "view" not in name:
            found = found.dictionary_encode() if "decimal" not in name else found
        if kind == "runs" and length:
            ends = pa.array(range(1, length + 1), pa.int32())
            found = pa.RunEndEncodedArray.from_arrays(ends, found)
    elif kind == "fixed":
        inner = draw(arrays(depth=0))
        inner = inner.slice(0, len(inner) // 2 * 2)
        found = pa.FixedSizeListArray.from_arrays(inner, 2)
    elif kind == "struct":
        inner = draw(arrays(depth=depth - 1))
        gone = pa.array(
            draw(st.lists(st.booleans(), min_size=len(inner), max_size=len(inner))), pa.bool_()
        )
        found = pa.StructArray.from_arrays([inner], names=["a"], mask=gone)
    else:
        inner = draw(arrays(depth=depth - 1))
        found = listed(draw, kind, inner)
    start = draw(st.integers(0, len(found)))
    return found.slice(start, draw(st.integers(0, len(found) - start)))


def listed(draw: st.DrawFn, kind: str, inner: pa.Array) -> pa.Array:
    cuts = sorted(draw(st.lists(st.integers(0, len(inner)), min_size=1, max_size=4)))
    offsets: list[int | None] = list(cuts)
    if kind == "map":
        keys = pa.array([f"k{at}" for at in range(len(inner))])
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, inner)
    if kind == "view":
        sizes = [after - before for before, after in pairwise(cuts)]
        return pa.ListViewArray.from_arrays(
            pa.array(cuts[:-1], pa.int32()), pa.array(sizes, pa.int32()), inner
        )
    for at in draw(st.sets(st.integers(0, max(0, len(cuts) - 2)))):
        offsets[at] = None if at < len(cuts) - 1 else offsets[at]
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), inner)


@given(arrays(), arrays())
def test_values_stay(one: pa.Array, other: pa.Array) -> None:
    column = pa.chunked_array([one, one.slice(len(one) // 2)])
    table = Batch(pa.table({"x": column})).to_arrow(STREAM)
    table.validate(full=True)
    assert table.column("x").to_pylist() == column.to_pylist()
    mixed = Batch(pa.RecordBatch.from_arrays([other], names=["y"])).to_arrow(STREAM)
    assert mixed.column("y").to_pylist() == other.to_pylist()


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.none(), min_size=1),
    st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_a_moment_is_the_same_or_refused(counts: list[int | None], unit: str) -> None:
    column = pa.array(counts, pa.int64()).cast(pa.timestamp(unit))
    refused: DataError | None = None
    try:
        found = Batch(pa.table({"x": column})).to_arrow(STREAM).column("x")
    except DataError as error:
        refused = error
    if refused is not None:
        assert "field 'x'" in refused.message
        assert "Value: None" not in refused.message
        return
    per = {"s": 10**6, "ms": 10**3, "us": 1, "ns": 1}[unit]
    assert found.cast(pa.int64()).to_pylist() == [
        None if one is None else one * per for one in counts
    ]


def test_the_first_value_that_does_not_fit_is_named() -> None:
    counts = [*range(1000), 10**18, 2 * 10**18]
    column = pa.array(counts, pa.int64()).cast(pa.timestamp("s"))
    with pytest.raises(DataError, match="1000000000000000000"):
        Batch(pa.table({"x": column})).to_arrow(STREAM)


def test_a_map_with_a_key_twice_in_one_chunk_makes_json_of_all() -> None:
    kind = pa.map_(pa.string(), pa.int64())
    column = pa.chunked_array(
        [pa.array([[("a", 1)]], kind), pa.array([[("a", 1), ("a", 2)], None], kind)]
    )
    found = Batch(pa.table({"x": column})).to_arrow(STREAM).column("x")
    assert [None if one is None else str(one) for one in found.to_pylist()] == [
        '[["a",1]]',
        '[["a",1],["a",2]]',
        None,
    ]


def test_what_is_behind_a_null_is_not_looked_at_in_a_list() -> None:
    far = pa.array([2**63 - 1], pa.int64()).cast(pa.timestamp("us"))
    column = pa.ListArray.from_arrays(pa.array([None, 1], pa.int32()), far)
    assert Batch(pa.table({"x": column})).to_arrow(STREAM).column("x").to_pylist() == [None]
    assert pc.list_value_length(column).to_pylist() == [None]
