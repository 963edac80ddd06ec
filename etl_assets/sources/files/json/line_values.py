"""The values of one field of JSON lines, collected block by block, as an Arrow column.

Each column is what `to_array` makes of the same values, decoded one by one.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import simplejson

from etl_assets.exceptions import DataError
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, is_json, json_type
from etl_assets.model.values.arrays import decimals_of_texts, scalar_of
from etl_assets.model.values.columns import instants_of, is_before_year_one, to_array
from etl_assets.model.values.exact_numbers import EXACT_DOUBLE, all_exact_doubles
from etl_assets.sources.files.json.nested_values import (
    KeyPattern,
    has_plain_numbers,
    is_compact,
    is_plain,
    rewritten,
)

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

_EXACT_DIGITS = 15
"""A number of at most so many characters, without an exponent, is exact as a double."""
_FEED, _N, _OBJECT, _ARRAY = b"\nn{["
_OFFSETS_END = 2**31 - 1

_encoder = msgspec.json.Encoder()


class RefusedError(ValueError):
    """Lines are to be read as rows: a column of them cannot be made."""


class Column(ABC):
    """A column to be.

    Args:
        declared: Its type, if one is declared.
        stream: The stream's name, for errors.
        name: The field's.
    """

    decoded: Any = Any
    """What the decoder is to make of a value."""
    missing: Any = None
    """What stands for a value that is missing."""

    def __init__(self, declared: "pa.DataType | None", stream: str, name: str) -> None:
        self._declared = declared
        self._stream = stream
        self._name = name
        self._rows = 0

    @abstractmethod
    def add(self, values: Sequence[Any]) -> None:
        """Take some values.

        Raises:
            RefusedError: Their lines are to be read as rows.
        """

    @abstractmethod
    def array(self) -> "pa.Array | pa.ChunkedArray":
        """Return all of them.

        Raises:
            RefusedError: Their lines are to be read as rows.
        """

    def keys_of(self, count: Callable[[bytes], int]) -> int:
        """Count the keys within the values, of which none comes twice in an object."""
        del count
        return 0

    def texts(self) -> Iterable[bytes]:
        """Return the characters of values that are texts."""
        return ()

    def _exact(self, values: list[Any]) -> "pa.Array | pa.ChunkedArray":
        """Return what is made of values one by one."""
        try:
            return to_array(values, self._declared, stream=self._stream, field=self._name)
        except DataError as error:
            raise RefusedError from error


class Integers(Column):
    """Integers of 64 bits."""

    decoded = int | None

    def __init__(self, declared: "pa.DataType | None", stream: str, name: str) -> None:
        super().__init__(declared, stream, name)
        self._parts: list[npt.NDArray[np.int64]] = []
        self._present: list[npt.NDArray[np.bool_]] = []

    def add(self, values: Sequence[Any]) -> None:
        """Take some values."""
        import numpy as np

        self._rows += len(values)
        try:
            numbers, present = _without_nulls(values, np.int64, 0)
        except OverflowError as error:
            raise RefusedError from error
        self._parts.append(numbers)
        self._present.append(present)

    def array(self) -> "pa.Array":
        """Return all of them."""
        import numpy as np
        import pyarrow as pa

        data = np.concatenate(self._parts)
        return _array(pa.int64(), [pa.py_buffer(data)], np.concatenate(self._present))


class Booleans(Integers):
    """Booleans."""

    decoded = bool | None

    def array(self) -> "pa.Array":
        """Return all of them."""
        import numpy as np
        import pyarrow as pa

        data = np.packbits(np.concatenate(self._parts).astype(np.bool_), bitorder="little")
        return _array(pa.bool_(), [pa.py_buffer(data)], np.concatenate(self._present))


class Texts(Column):
    """Texts, and what is declared to be written as texts."""

    decoded = str | None

    def __init__(self, declared: "pa.DataType | None", stream: str, name: str) -> None:
        super().__init__(declared, stream, name)
        self._parts: list[bytes] = []
        self._lengths: list[npt.NDArray[np.int32]] = []

    def add(self, values: Sequence[Any]) -> None:
        """Take some values."""
        import numpy as np

        self._rows += len(values)
        present: Iterable[Any] = values
        lengths: Iterable[int] = map(len, values)
        try:
            text = "".join(values)
        except TypeError:
            present = list(filter(None, values))
            text = "".join(present)
            lengths = [-1 if value is None else len(value) for value in values]
        data = text.encode()
        if len(data) > len(text):
            lengths = [-1 if value is None else len(value.encode()) for value in values]
        self._parts.append(data)
        self._lengths.append(np.fromiter(lengths, np.int32, len(values)))

    def texts(self) -> Iterable[bytes]:
        """Return the characters of the texts."""
        return self._parts

    def array(self) -> "pa.Array | pa.ChunkedArray":
        """Return all of them."""
        texts = self._array_of_texts()
        if texts.null_count == len(texts) or self._declared is None:
            return texts
        return self._typed(texts)

    def _array_of_texts(self) -> "pa.Array":
        import numpy as np
        import pyarrow as pa

        lengths = np.concatenate(self._lengths)
        present = lengths >= 0
        data = b"".join(self._parts)
        if len(data) > _OFFSETS_END:
            raise RefusedError
        offsets = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(np.maximum(lengths, 0), out=offsets[1:])
        return _array(pa.string(), [pa.py_buffer(offsets), pa.py_buffer(data)], present)

    def _typed(self, texts: "pa.Array") -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa
        from pyarrow import types as t

        type_ = self._declared
        found = None
        if type_ == pa.string():
            return texts
        if t.is_timestamp(type_):
            found = instants_of(texts)
        elif type_ == pa.date32():
            found = _dates(texts)
        return self._exact(texts.to_pylist()) if found is None else found


class Values(Column):
    """Values of any kind, kept as JSON texts of a line each."""

    def __init__(self, declared: "pa.DataType | None", stream: str, name: str) -> None:
        super().__init__(declared, stream, name)
        self._parts: list[bytes] = []
        self._kinds: set[type] = set()

    def add(self, values: Sequence[Any]) -> None:
        """Take some values."""
        self._rows += len(values)
        self._kinds.update(map(type, values))
        self._parts.append(_encoder.encode_lines(values))

    def keys_of(self, count: Callable[[bytes], int]) -> int:
        """Count the keys of what is written here, if any of the values has others in it."""
        return sum(map(count, self._parts)) if self._kinds & {dict, list, str} else 0

    def array(self) -> "pa.Array | pa.ChunkedArray":
        """Return all of them."""
        import pyarrow as pa

        type_, kinds = self._declared, self._kinds - {type(None)}
        if not kinds:
            return pa.nulls(self._rows)
        if type_ is None:
            type_ = self._joined(kinds)
        found = None
        if type_ is not None and is_json(type_):
            found = self._json(kinds)
        elif kinds <= {int, msgspec.Raw}:
            found = self._numbers(type_)
        return self._exact(self._one_by_one()) if found is None else found

    def _joined(self, kinds: set[type]) -> "pa.DataType | None":
        """Return JSON where values of these kinds have no other type in common."""
        if kinds <= {dict, list} or (len(kinds) > 1 and not kinds <= {int, msgspec.Raw}):
            return json_type()
        return None

    def _one_by_one(self) -> list[Any]:
        read = simplejson.JSONDecoder(parse_float=Decimal).decode
        return [read(line.decode()) for part in self._parts for line in part.splitlines()]

    def _json(self, kinds: set[type]) -> "pa.Array | None":
        import pyarrow as pa

        if str in kinds or not all(map(has_plain_numbers, self._parts)):
            return None
        texts = self._lines()
        return pa.ExtensionArray.from_storage(json_type(), texts)

    def _lines(self) -> "pa.Array":
        """Return the texts of the values; those of nulls are NULL."""
        import numpy as np
        import pyarrow as pa

        data = b"".join(self._parts)
        if len(data) > _OFFSETS_END:
            raise RefusedError
        codes, feeds = np.frombuffer(data, np.uint8), _feeds(data)
        offsets = np.zeros(len(feeds) + 1, np.int32)
        offsets[1:] = feeds - np.arange(len(feeds))
        present = np.ones(len(feeds), np.bool_)
        if type(None) in self._kinds:
            starts = np.concatenate([[0], feeds[:-1] + 1])
            present = codes[starts] != _N
        texts = data.replace(b"\n", b"")
        return _array(pa.string(), [pa.py_buffer(offsets), pa.py_buffer(texts)], present)

    def _numbers(self, type_: "pa.DataType | None") -> "pa.Array | pa.ChunkedArray | None":
        import pyarrow as pa
        from pyarrow import types as t

        texts = self._lines()
        if any(b"e" in part or b"E" in part for part in self._parts):
            return None
        try:
            if type_ is None:
                return _of_narrowest_type(texts)
            if t.is_decimal(type_):
                return decimals_of_texts(texts, type_)
            return _doubles(texts) if type_ == pa.float64() else None
        except pa.ArrowInvalid:
            return None


class Nested(Column):
    """Objects and arrays, to be kept as JSON texts.

    Args:
        declared: The column's type, if one is declared.
        stream: The stream's name, for errors.
        name: The field's.
    """

    decoded = msgspec.Raw
    missing = msgspec.Raw()

    def __init__(self, declared: "pa.DataType | None", stream: str, name: str) -> None:
        super().__init__(declared, stream, name)
        self._sent: list[bytes] = []
        self._parts: list[bytes] = []
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._pattern = KeyPattern()

    def add(self, values: Sequence[Any]) -> None:
        """Take some values."""
        import numpy as np

        texts = b"".join(values)
        self._sent.append(texts)
        offsets = np.zeros(len(values) + 1, np.int64)
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        np.cumsum(lengths, out=offsets[1:])
        first = np.frombuffer(texts + b"n", np.uint8)[offsets[:-1]]
        first[lengths == 0] = _N
        is_null = first == _N
        if not (is_null | (first == _OBJECT) | (first == _ARRAY)).all():
            raise RefusedError
        if not self._are_plain(values, texts, offsets, ~is_null):
            written = rewritten(values)
            if written is None or not has_plain_numbers(written):
                raise RefusedError
            lengths = np.diff(_feeds(written), prepend=-1) - 1
            texts = written.replace(b"\n", b"")
        self._parts.append(texts)
        lengths[is_null] = -1 - lengths[is_null]
        self._lengths.append(lengths)

    def _are_plain(
        self,
        values: Sequence[Any],
        texts: bytes,
        offsets: "npt.NDArray[np.int64]",
        has_keys: "npt.NDArray[np.bool_]",
    ) -> bool:
        """Return whether texts may stay as they were sent."""
        import numpy as np

        if not is_plain(texts, int(np.diff(offsets).max(initial=0))):
            return False
        has_space = b" " in texts or b"\t" in texts or b"\r" in texts
        if has_space:
            some = (
                values
                if offsets[-1] and (np.diff(offsets) > 0).all()
                else list(filter(len, values))
            )
            if not is_compact(some, len(texts)):
                return False
        return self._pattern.proves(texts, offsets, has_keys)

    def keys_of(self, count: Callable[[bytes], int]) -> int:
        """Count the keys of what was sent."""
        return sum(map(count, self._sent))

    def array(self) -> "pa.Array":
        """Return all of them."""
        import numpy as np
        import pyarrow as pa

        lengths = np.concatenate(self._lengths)
        data = b"".join(self._parts)
        if len(data) > _OFFSETS_END:
            raise RefusedError
        present = lengths >= 0
        offsets = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(np.where(present, lengths, -1 - lengths), out=offsets[1:])
        texts = _array(pa.string(), [pa.py_buffer(offsets), pa.py_buffer(data)], present)
        if texts.null_count == len(texts):
            return texts
        return pa.ExtensionArray.from_storage(json_type(), texts)


def _feeds(text: bytes) -> "npt.NDArray[np.int64]":
    import numpy as np

    return np.flatnonzero(np.frombuffer(text, np.uint8) == _FEED)


def _without_nulls(
    values: Sequence[Any], type_: Any, filler: Any
) -> "tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]":
    """Return values with something in place of None, and which of them are not None."""
    import numpy as np

    try:
        return np.fromiter(values, type_, len(values)), np.ones(len(values), np.bool_)
    except TypeError:
        filled = [filler if value is None else value for value in values]
        present = [value is not None for value in values]
        return np.fromiter(filled, type_, len(values)), np.array(present, np.bool_)


def _array(
    type_: "pa.DataType", buffers: "list[pa.Buffer]", present: "npt.NDArray[np.bool_]"
) -> "pa.Array":
    import numpy as np
    import pyarrow as pa

    if not present.any():
        return pa.nulls(len(present))
    validity = None
    if not present.all():
        validity = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(type_, len(present), [validity, *buffers])


def _dates(texts: "pa.Array") -> "pa.Array | None":
    import pyarrow as pa

    try:
        dates = texts.cast(pa.date32())
    except pa.ArrowInvalid:
        return None
    return None if is_before_year_one(dates) else dates


def _of_narrowest_type(texts: "pa.Array") -> "pa.Array | pa.ChunkedArray | None":
    """Return numbers as integers if all of them are; else as decimals, if one holds them all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # No plain Python value is handed to Arrow: it would import pandas.
    zero, one = scalar_of(0, pa.int64()), scalar_of(1, pa.int64())
    point = pc.find_substring(texts, ".").cast(pa.int64())
    if pc.max(point).as_py() < 0:
        return texts.cast(pa.int64())
    length = pc.binary_length(texts).cast(pa.int64())
    has_point = pc.greater_equal(point, zero)
    behind = pc.subtract(pc.subtract(length, point), one)
    scale = pc.max(pc.if_else(has_point, behind, zero)).as_py()
    ends = pc.if_else(has_point, point, length)
    is_negative = pc.starts_with(texts, "-")
    whole = pc.max(pc.subtract(ends, is_negative.cast(pa.int64()))).as_py()
    if whole + scale > MAX_DECIMAL_DIGITS:
        return None
    return decimals_of_texts(texts, pa.decimal128(whole + scale, scale))


def _doubles(texts: "pa.Array") -> "pa.Array | None":
    """Return numbers as doubles, if all of them are exact as such."""
    import pyarrow as pa
    import pyarrow.compute as pc

    doubles = texts.cast(pa.float64())
    longest = pc.max(pc.binary_length(texts)).as_py()
    if longest <= _EXACT_DIGITS:
        return doubles
    bounds = pc.min_max(doubles).as_py()
    if not -EXACT_DOUBLE < bounds["min"] <= bounds["max"] < EXACT_DOUBLE:
        return None
    doubtful = texts.filter(pc.not_equal(doubles.cast(pa.string()), texts))
    numbers = [Decimal(text) for text in doubtful.to_pylist()]
    return doubles if all_exact_doubles(numbers, whole=True) else None
