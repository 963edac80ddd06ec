"""JSON texts that were cut out of lines become columns, where a proof shows that none is altered.

Each text must be one whole JSON value, or the lines were not cut where their values end. What has
no quick proof as a column (escapes, exponents, numbers of many digits) is decoded as the JSON array
that the texts make, and left to whoever decodes rows.
"""

import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from etl_assets.model.json.cuts import Texts
from etl_assets.model.json.doubles import doubles_of
from etl_assets.model.schema.types import is_json
from etl_assets.model.values.arrays import array_of, decimals_of_texts
from etl_assets.model.values.columns import dates_of, instants_of

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from etl_assets.model.json.places import Mask, Places

_QUOTE, _MINUS, _ZERO, _NINE, _N, _T, _F, _COMMA, _CLOSING = b'"-09ntf,]'
_SPACE = ord(" ")
SPELLED_OTHERWISE = re.compile(rb"\\[u/]")
"""Escapes of what needs none, as JSON texts of ours are written."""
_INTEGER = b"0123456789-"
_NUMBER = b"0123456789-."

_texts_decoder = msgspec.json.Decoder(list[str])
_raw_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class Column:
    """The texts of one field of many lines.

    Args:
        texts: The texts; each that is empty is missing, which is as null.
    """

    def __init__(self, texts: Texts) -> None:
        self._lines = texts.lines
        self._starts, self._ends = texts.starts, texts.ends
        self._sizes = self._ends - self._starts
        self._first = self._lines.data[self._starts]
        missing = self._sizes == 0
        nulls = missing | (self._first == _N)
        self._nulls: Mask | None = nulls if nulls.any() else None
        self.is_whole = True
        """Whether those that begin as null are null."""
        if self._nulls is not None:
            self.is_whole = bool((missing | self._are(nulls, b"null") | ~nulls).all())

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def null_count(self) -> int:
        """How many lines have no value."""
        return 0 if self._nulls is None else int(np.count_nonzero(self._nulls))

    def array(self, type_: "pa.DataType") -> "pa.Array | None":
        """Return the values as a column of a type; None where there is no quick proof."""
        import pyarrow as pa
        from pyarrow import types as t

        try:
            if t.is_string(type_):
                return self._strings()
            if t.is_integer(type_):
                return self._integers(type_)
            if type_ == pa.float64() or t.is_decimal128(type_):
                return self._fractions(type_)
            if t.is_boolean(type_):
                return self._booleans()
            if t.is_date32(type_) or t.is_timestamp(type_):
                strings = self._strings()
                read = dates_of if t.is_date32(type_) else instants_of
                return None if strings is None else read(strings)
            if is_json(type_):
                return self._json(type_)
        except (pa.ArrowInvalid, msgspec.MsgspecError, ValueError, RecursionError):
            pass
        return None

    def document(self) -> bytes | None:
        """Return the texts as a JSON array, or None where one of them is no whole value."""
        sent = self._pieces(self._starts, self._ends).to_pylist()
        texts = [text or b"null" for text in sent]
        document = b"[" + b",".join(texts) + b"]"
        try:
            is_whole = list(map(len, texts)) == _whole_sizes(document).tolist()
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        return document if is_whole else None

    def _are(self, chosen: "Mask", word: bytes) -> "Mask":
        """Return which of the chosen texts are a word."""
        is_as_long: Mask = self._sizes == len(word)
        return chosen & is_as_long & self._lines.stands_before(self._ends, word)

    def _all(self, fits: "Mask") -> bool:
        """Return whether something is true of all values that are not null."""
        return bool((fits if self._nulls is None else fits | self._nulls).all())

    def _pieces(self, starts: "Places", ends: "Places") -> "pa.Array":
        """Return the bytes between places, NULL where the value is null."""
        if self._nulls is not None:
            ends = np.where(self._nulls, starts, ends)
        return self._with_nulls(_pieces(self._lines.text, starts, ends))

    def _with_nulls(self, array: "pa.Array") -> "pa.Array":
        """Return an array with NULL where the value is null."""
        import pyarrow as pa

        if self._nulls is None:
            return array
        valid = pa.py_buffer(np.packbits(~self._nulls, bitorder="little"))
        return pa.Array.from_buffers(array.type, len(array), [valid, *array.buffers()[1:]])

    def _strings(self) -> "pa.Array | None":
        import pyarrow as pa

        quoted = (self._first == _QUOTE) & (self._lines.data[self._ends - 1] == _QUOTE)
        if not self._all(quoted & (self._sizes > 1)):
            return None
        pieces = self._pieces(self._starts + 1, self._ends - 1)
        characters = _characters(pieces)
        if b"\\" in characters:
            return self._unescaped(pieces)
        if b'"' in characters or _has_controls(characters):
            return None
        return pieces.cast(pa.string())

    def _unescaped(self, pieces: "pa.Array") -> "pa.Array | None":
        """Return texts of which some have escapes."""
        import pyarrow as pa
        import pyarrow.compute as pc

        escaped = pc.match_substring(pieces, b"\\")
        plain = _characters(pieces.filter(pc.invert(escaped)))
        if b'"' in plain or _has_controls(plain):
            return None
        chosen = pieces.filter(escaped)
        document = b'["' + b'","'.join(chosen.to_pylist()) + b'"]'
        if not np.array_equal(_whole_sizes(document), _sizes(chosen) + 2):
            return None
        strings = array_of(_texts_decoder.decode(document), pa.string())
        return pc.replace_with_mask(pieces.cast(pa.string()), escaped, strings)

    def _integers(self, type_: "pa.DataType") -> "pa.Array | None":
        pieces = self._numbers(_INTEGER)
        return None if pieces is None else pieces.cast(type_)

    def _fractions(self, type_: "pa.DataType") -> "pa.Array | None":
        from pyarrow import types as t

        pieces = self._numbers(_NUMBER)
        if pieces is None:
            return None
        return decimals_of_texts(pieces, type_) if t.is_decimal(type_) else doubles_of(pieces)

    def _numbers(self, characters: bytes) -> "pa.Array | None":
        """Return texts that are numbers of JSON if Arrow takes them for numbers."""
        data = self._lines.data
        digits = self._starts + (self._first == _MINUS)
        first, second = data[digits], data[digits + 1]
        is_one = self._ends - digits == 1
        # A zero stands alone; -0 is the integer 0.
        is_minus_zero = is_one & (digits > self._starts)
        wrong = (first == _ZERO) & (is_minus_zero | (~is_one & _is_digit(second)))
        if not self._all(_is_digit(first) & _is_digit(data[self._ends - 1]) & ~wrong):
            return None
        pieces = self._pieces(self._starts, self._ends)
        if _characters(pieces).translate(None, characters):
            return None
        return _ascii(pieces)

    def _booleans(self) -> "pa.Array | None":
        import pyarrow as pa

        true = self._are(self._first == _T, b"true")
        if not self._all(true | self._are(self._first == _F, b"false")):
            return None
        bits = pa.py_buffer(np.packbits(true, bitorder="little"))
        return self._with_nulls(pa.Array.from_buffers(pa.bool_(), len(self), [None, bits]))

    def _json(self, type_: "pa.DataType") -> "pa.Array | None":
        """Return JSON texts without the white space between what they hold."""
        import pyarrow as pa

        there = slice(None) if self._nulls is None else ~self._nulls
        document = _document(self._lines.text, self._starts[there], self._ends[there])
        if not np.array_equal(_whole_sizes(document), self._sizes[there]):
            return None
        compact = msgspec.json.format(document, indent=-1)
        if b"\\" in compact and SPELLED_OTHERWISE.search(compact):
            return None
        sizes = np.zeros(len(self), np.int64)
        is_compact = len(compact) == len(document)
        sizes[there] = 1 + (self._sizes[there] if is_compact else _whole_sizes(compact))
        ends = np.cumsum(sizes)  # behind the comma or bracket after each
        starts = np.where(sizes, ends - sizes + 1, ends)
        pieces = self._with_nulls(_pieces(compact, starts, ends))
        return pa.ExtensionArray.from_storage(type_, pieces.cast(pa.string()))


def _pieces(text: bytes, starts: "Places", ends: "Places") -> "pa.Array":
    """Return what is between places of a text, which rise."""
    import pyarrow as pa

    count = len(starts)
    offsets = np.zeros(2 * count + 1, np.int32)
    offsets[:-1:2], offsets[1::2] = starts, ends
    offsets[-1:] = ends[-1:]
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    pieces = pa.Array.from_buffers(pa.binary(), 2 * count, buffers)
    even = pa.py_buffer(np.arange(0, 2 * count, 2, dtype=np.int32))
    return pieces.take(pa.Array.from_buffers(pa.int32(), count, [None, even]))


def _document(text: bytes, starts: "Places", ends: "Places") -> bytes:
    """Return the JSON texts between places as a JSON array."""
    if not len(starts):
        return b"[]"
    # Each with what stands behind it, which becomes the comma.
    _, offsets, data = _pieces(text, starts, ends + 1).buffers()
    commas = np.frombuffer(offsets, np.int32)[1 : len(starts) + 1] - 1
    characters = np.frombuffer(data, np.uint8)[: commas[-1] + 1].copy()
    characters[commas] = _COMMA
    characters[-1] = _CLOSING
    return b"[" + characters.tobytes()


def _whole_sizes(document: bytes) -> "npt.NDArray[np.int64]":
    """Return how long the elements of a JSON array are.

    Raises:
        msgspec.MsgspecError: It is none.
    """
    elements = _raw_decoder.decode(document)
    return np.fromiter(map(len, elements), np.int64, len(elements))


def _ascii(pieces: "pa.Array") -> "pa.StringArray":
    """Return pieces that have but ASCII characters as texts, without a look at them."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.string(), len(pieces), pieces.buffers())


def _is_digit(characters: "npt.NDArray[np.uint8]") -> "Mask":
    return (characters >= _ZERO) & (characters <= _NINE)


def _sizes(pieces: "pa.Array") -> "npt.NDArray[np.int32]":
    return np.diff(np.frombuffer(pieces.buffers()[1], np.int32)[: len(pieces) + 1])


def _characters(pieces: "pa.Array") -> bytes:
    """Return all bytes of pieces, one behind the other."""
    _, offsets, data = pieces.buffers()
    if data is None or not len(pieces):
        return b""
    size = int(np.frombuffer(offsets, np.int32)[len(pieces)])
    characters: bytes = data[:size].to_pybytes()
    return characters


def _has_controls(characters: bytes) -> bool:
    """Return whether there is a character that JSON has only escaped."""
    return bool(characters) and bool(np.frombuffer(characters, np.uint8).min() < _SPACE)
