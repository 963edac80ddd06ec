"""Rows in a database's own wire format, decoded column by column, never row by row.

The rows lie behind each other in one buffer. Where each row begins is known from its message; where
a column of a row begins, from where the one before it ends. So one array of positions, one number
per row, walks through the columns.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

_BEHIND = bytes(32)
"""A record can be looked at where a row ends."""

Numbers = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]
Nulls = npt.NDArray[np.bool_] | None

CHUNK_BYTES = 2 << 20
"""How much is decoded at once: it fits the cache of a processor, and is worth the calls."""
COLUMN_BYTES = 32 << 10
"""At least so much of each column: where they are many, few rows are that many bytes."""


def chunk_bytes(columns: int) -> int:
    """Return how much of a table with so many columns is decoded at once."""
    return max(CHUNK_BYTES, columns * COLUMN_BYTES)


class Buffer:
    """The bytes of some rows, seen as records of any width at any position.

    Args:
        data: The bytes; they are not copied, so nothing else may write to them.
        end: Where the rows end, of data that was such a buffer's; None for data that nothing lies
            behind yet.
    """

    def __init__(self, data: bytearray, end: int | None = None) -> None:
        self.end = len(data) if end is None else end
        if end is None:
            data.extend(_BEHIND)
        self.data = data

    def records(self, type_: Any, at: Positions) -> Numbers:
        """Return what stands at each position.

        Args:
            type_: numpy's type of it: a number with its byte order, such as `>i4`, or several
                behind each other.
            at: Positions of its first byte.
        """
        wanted = np.dtype(type_)
        # Something for every byte of the buffer; numpy copies none of it before it is asked for
        # some. As bytes without a meaning, since numpy takes records apart to copy them.
        bytes_ = np.dtype((np.void, wanted.itemsize))
        everywhere: Numbers = np.ndarray(
            (max(len(self.data) - wanted.itemsize + 1, 0),), bytes_, self.data, strides=(1,)
        )
        found: Numbers = everywhere[at].view(wanted)
        return found

    def texts(
        self, begin: Positions, length: Positions, null: "npt.NDArray[np.bool_] | None", type_: Any
    ) -> "pa.Array":
        """Return the bytes of each position as an Arrow array of text or binary."""
        import pyarrow as pa

        rows = len(begin)
        # Arrow's offsets, of values and of what lies between them in turn: only the values are
        # copied.
        bounds = np.empty(2 * rows + 1, np.int32)
        bounds[0 : 2 * rows : 2] = begin
        bounds[1::2] = begin + length
        bounds[2 * rows] = bounds[2 * rows - 1] if rows else 0
        buffers = [None, pa.py_buffer(bounds), pa.py_buffer(self.data)]
        parts = pa.Array.from_buffers(type_, 2 * rows, buffers)
        return parts.take(with_nulls(_even(rows), pa.int32(), null))


def _even(rows: int) -> Numbers:
    power = 1 << max(rows - 1, 1).bit_length()
    return _even_numbers(power)[:rows]


@cache
def _even_numbers(rows: int) -> Numbers:
    return np.arange(0, 2 * rows, 2, dtype=np.int32)


def with_nulls(numbers: Numbers, type_: Any, null: Nulls) -> "pa.Array":
    """Return numbers as an Arrow array of a type of the same width; they are not copied.

    What pyarrow itself offers, here as below, would import pandas, which takes longer than all else
    of a small sync.
    """
    import pyarrow as pa

    numbers = np.ascontiguousarray(numbers)
    return pa.Array.from_buffers(type_, len(numbers), [bits_where_not(null), pa.py_buffer(numbers)])


def booleans(values: Numbers, null: Nulls) -> "pa.Array":
    """Return truth values as an Arrow array."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), len(values), [bits_where_not(null), _bits(values)])


def numbers_of(array: "pa.Array", type_: Any) -> Numbers:
    """Return the numbers an Arrow array is made of; a NULL is 0."""
    if not len(array):
        return np.empty(0, type_)
    at = array.offset * np.dtype(type_).itemsize
    numbers = np.frombuffer(array.buffers()[1], type_, len(array), at)
    null = nulls_of(array)
    return numbers if null is None else np.where(null, type_(0), numbers)


def nulls_of(array: "pa.Array") -> Nulls:
    """Return which values of an Arrow array are NULL."""
    if not array.null_count:
        return None
    bits = np.unpackbits(np.frombuffer(array.buffers()[0], np.uint8), bitorder="little")
    null: Nulls = bits[array.offset : array.offset + len(array)] == 0
    return null


def bits_where_not(null: Nulls) -> "pa.Buffer | None":
    """Return Arrow's validity bits."""
    return None if null is None else _bits(~null)


def _bits(values: Numbers) -> "pa.Buffer":
    import pyarrow as pa

    return pa.py_buffer(np.packbits(values, bitorder="little"))
