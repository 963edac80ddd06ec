"""Columns of texts as values of declared types, all at once; what is in doubt is left undone.

Each text that is read here is read as `cells.typed_column` reads it, one by one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from etl_assets.model.values.arrays import array_of, decimals_of_texts, scalar_of
from etl_assets.model.values.columns import instants_of, is_before_year_one
from etl_assets.sources.files.text.inference import are_exact_doubles

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = b"0123456789"
_INTEGER = _DIGITS + b"-"
_NUMBER = _INTEGER + b"."


def typed_at_once(texts: "pa.Array", type_: "pa.DataType") -> "pa.Array | None":
    """Return texts as values of a type; None where they are to be looked at one by one.

    An empty text is NULL.

    Args:
        texts: The texts.
        type_: The type.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    read = _reader(type_)
    if read is None:
        return None
    # No plain Python value is handed to Arrow: it would import pandas.
    empty = pc.equal(texts, scalar_of("", pa.string()))
    if pc.any(empty).as_py():
        texts = pc.if_else(empty, scalar_of(None, pa.string()), texts)
    if texts.null_count == len(texts):
        return pa.nulls(len(texts))
    try:
        return read(texts, type_)
    except pa.ArrowInvalid:
        return None


def _reader(type_: "pa.DataType") -> "Callable[[pa.Array, pa.DataType], pa.Array | None] | None":
    import pyarrow as pa
    from pyarrow import types as t

    if t.is_integer(type_):
        return _integers
    if type_ == pa.float64():
        return _doubles
    if t.is_decimal128(type_):
        return _decimals
    if t.is_boolean(type_):
        return _booleans
    if t.is_date32(type_):
        return _dates
    if t.is_timestamp(type_):
        return lambda texts, _: instants_of(texts)  # of the type that the texts themselves have
    return None


def _has_only(texts: "pa.Array", characters: bytes) -> bool:
    """Return whether all characters are of some that take a byte each."""
    offsets = texts.buffers()[1]
    if offsets is None:
        return True
    import numpy as np

    bounds = np.frombuffer(offsets, np.int32)
    start, end = bounds[texts.offset], bounds[texts.offset + len(texts)]
    data = texts.buffers()[2]
    held = b"" if data is None else data[int(start) : int(end)].to_pybytes()
    return not held.translate(None, characters)


def _integers(texts: "pa.Array", type_: "pa.DataType") -> "pa.Array | None":
    # Arrow reads hexadecimal ones, too.
    return texts.cast(type_) if _has_only(texts, _INTEGER) else None


def _doubles(texts: "pa.Array", type_: "pa.DataType") -> "pa.Array | None":
    if not _has_only(texts, _NUMBER):
        return None
    doubles = texts.cast(type_)
    return doubles if are_exact_doubles(texts) else None


def _decimals(texts: "pa.Array", type_: "pa.DataType") -> "pa.Array | None":
    return decimals_of_texts(texts, type_) if _has_only(texts, _NUMBER) else None


def _booleans(texts: "pa.Array", type_: "pa.DataType") -> "pa.Array | None":
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.ascii_lower(texts)
    is_true = pc.is_in(lower, array_of(["true", "1"], pa.string()))
    is_known = pc.or_(is_true, pc.is_in(lower, array_of(["false", "0"], pa.string())))
    if not pc.all(pc.or_(is_known, pc.is_null(texts))).as_py():
        return None
    return pc.if_else(pc.is_null(texts), scalar_of(None, type_), is_true)


def _dates(texts: "pa.Array", type_: "pa.DataType") -> "pa.Array | None":
    dates = texts.cast(type_)
    return None if is_before_year_one(dates) else dates
