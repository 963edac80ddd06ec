"""Lines of records decoded straight into columns: no dict is made of a record, no digit is lost.

Lines that are alike are cut at their keys (`alike`). For all others one decoder per stream knows
its fields. What has a type in Python that says all (texts, integers, booleans, null) is taken as
Python's; numbers with a fraction and nested values stay the JSON text they were sent as, and become
columns at once, where a proof over the whole column shows that nothing was altered.
`columns.to_array` has the last word on all others, as on rows. Where a proof fails, or a record
does not follow its schema, the lines are refused: they are to be read as rows.
That no key of a record came twice is proved by a count (`repeated_keys`); inside of a JSON column
both stay, as its text is not decoded.
"""

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from etl_assets.exceptions import DataError, ProtocolError
from etl_assets.model.json.doubles import doubles_of
from etl_assets.model.json.lines import count_lines, exact_decoder, without_collection
from etl_assets.model.json.missing import Missing
from etl_assets.model.json.repeated_keys import (
    at_most_keys,
    colons_like_keys,
    count_keys,
    is_spelled_otherwise,
    key_ends,
    refuse_repeats_in_messages,
    repeats,
)
from etl_assets.model.schema.json_schema import to_arrow
from etl_assets.model.schema.types import is_json
from etl_assets.model.stream import Stream
from etl_assets.model.values.arrays import array_of, decimals_of_texts
from etl_assets.model.values.columns import to_array
from etl_assets.model.values.scalars import to_json

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.model.json.alike import AlikeLines

BLOCK_BYTES = 2 * 1024 * 1024
"""What is decoded at a time.

It is enough that the call costs nothing per line, and little enough that its objects are soon gone.
"""


def _same_text(text: str) -> float:
    """Return a number whose text in JSON is this one again."""
    number = float(text)
    if repr(number) != text or "e" in text:
        raise ValueError(text)
    return number


_NOTHING = msgspec.Raw()
_SPELLED_OTHERWISE = re.compile(rb"\\[u/]")
"""Escapes of what needs none, as JSON texts of ours are written."""

_list_of_raw = msgspec.json.Decoder(list[msgspec.Raw])
_plain_decoder = msgspec.json.Decoder(float_hook=_same_text)

LineType = Callable[[type, Missing], type]
"""Makes the type of a line around the type of its record, and tells `Missing` of the keys there."""


class ColumnParser:
    """Decodes lines of records of one stream.

    Args:
        stream: Whose schema says the columns.
        line: Gives the `msgspec.Struct` of a line; what a line of this stream must say stands in it
            as a literal. The keys that it has around its record are told to the `Missing`.
        path: Where in a line the record is: `record.data`.
        few: Fewer lines than this are read as rows, until there are more: they are not worth a
            decoder.
        emitted: Where in a line it stands when the record was emitted, if that is said.
        own: The key beside the record whose value is of each line alone.

    Attributes:
        emitted: What the lines that were parsed last say there.
    """

    def __init__(
        self,
        stream: Stream,
        line: LineType,
        path: str,
        emitted: str | None = None,
        *,
        own: str | None = None,
        few: int = 0,
    ) -> None:
        self.emitted: Any = None
        self._own = own
        self._moment = attrgetter(emitted) if emitted else None
        self._stream = stream
        self.few = few
        self._declared = stream.remembered("all declared", lambda: _declared(stream))
        self._path = path.split(".")
        self._record = attrgetter(path)
        self._missing = Missing()
        self._line = line

    @property
    def usable(self) -> bool:
        """Whether there is a schema of columns that can be told apart."""
        return self._decoder is not None

    @cached_property
    def _decoder(self) -> "msgspec.json.Decoder[Any] | None":
        self.few = 0
        return self._decoder_of(self._line)

    def parse(self, lines: bytes) -> "pa.Table | None":
        """Return whole lines as columns, or None where they are to be read as rows.

        Raises:
            DataError: A record has a key twice.
        """
        with without_collection():
            return self._parsed(lines)

    def _parsed(self, lines: bytes) -> "pa.Table | None":
        count = count_lines(lines)
        if count < self.few or self._decoder is None or self._declared is None:
            return None
        table = self._alike.parse(lines)
        if table is not None:
            self.emitted = self._alike.moments
            return table
        return self._parsed_by_line(lines, count, self._decoder, self._declared)

    @cached_property
    def _alike(self) -> "AlikeLines":
        from etl_assets.model.json.alike import AlikeLines

        if self._declared is None or self._decoder is None:
            raise AssertionError("a stream without columns")
        return AlikeLines(
            self._declared, self._path, self._own, is_line=self._is_line, decode=self._of_document
        )

    def _is_line(self, line: bytes) -> bool:
        if self._decoder is None:
            return False
        self._missing.begin(1)
        try:
            self._decoder.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError, IndexError):
            return False
        return not any(repeats(line))

    def _of_document(
        self, document: bytes, field: "pa.Field"
    ) -> "pa.Array | pa.ChunkedArray | None":
        """Return a column of a JSON array of its values, or None where it takes rows."""
        type_ = field.type
        kind: Any = msgspec.Raw if _is_open(type_) else _python_type(type_)
        decoder = msgspec.json.Decoder(list[kind], float_hook=str.encode)
        try:
            return self._column(decoder.decode(document), field, [])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def _parsed_by_line(
        self,
        lines: bytes,
        count: int,
        decoder: "msgspec.json.Decoder[Any]",
        declared: "pa.Schema",
    ) -> "pa.Table | None":
        import pyarrow as pa

        self._missing.begin(count)
        try:
            messages = decoder.decode_lines(lines)
            records = list(map(self._record, messages))
        except (msgspec.MsgspecError, ValueError, RecursionError, IndexError):
            return None
        if len(records) != count:
            return None
        keys = self._missing.end(count)
        self.emitted = list(map(self._moment, messages)) if self._moment is not None else None
        arrays, fields = [], []
        nested: list[bytes] = []
        columns = zip(*map(msgspec.structs.astuple, records), strict=True)
        for field, values in zip(declared, columns, strict=True):
            array = self._column(list(values), field, nested)
            if array is None:
                return None
            arrays.append(array)
            fields.append(field.with_type(array.type))
        if not _has_each_key_once(lines, keys, nested, arrays):
            refuse_repeats_in_messages(lines, self._path)
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _decoder_of(self, line: LineType) -> "msgspec.json.Decoder[Any] | None":
        if self._declared is None or len(set(self._declared.names)) < len(self._declared):
            return None
        names = {f"f{position}": field.name for position, field in enumerate(self._declared)}
        fields: list[tuple[str, Any, Any]] = []
        for place, field in zip(names, self._declared, strict=True):
            if _is_open(field.type):
                fields.append((place, msgspec.Raw, self._missing.field(_NOTHING)))
            else:
                fields.append((place, _python_type(field.type), self._missing.field()))
        try:
            record = msgspec.defstruct(
                "Record", fields, rename=names, gc=False, forbid_unknown_fields=True
            )
        except ValueError:  # a name with a quote or a backslash
            return None
        return msgspec.json.Decoder(line(record, self._missing), float_hook=str.encode)

    def _column(
        self, values: list[Any], field: "pa.Field", nested: list[bytes]
    ) -> "pa.Array | pa.ChunkedArray | None":
        """Return one column of its declared type, or None where its lines are to be read as rows.

        JSON text that is not decoded, or is nested, is added to `nested`.
        """
        import pyarrow as pa

        try:
            if _is_open(field.type):
                values = _texts(values)
                nested.append(sent := _document(values))
                if is_json(field.type) and any(values):
                    return _json_column(values, sent)
                values = exact_decoder.decode(sent)
                if key_ends(sent) != count_keys(values):
                    return None
            elif _has_fraction(field.type):
                values = _number_texts(values)
                array = _numbers(values, field.type) if any(values) else None
                if array is not None:
                    return array
                values = exact_decoder.decode(_document(values))
            elif _is_told(field.type):
                if values.count(None) == len(values):
                    return pa.nulls(len(values))
                return array_of(values, field.type)
            array = to_array(values, field.type, stream=self._stream.name, field=field.name)
        except (
            DataError,
            ProtocolError,
            msgspec.MsgspecError,
            ValueError,
            OverflowError,
            RecursionError,
            pa.ArrowException,
        ):
            return None
        is_as_declared = array.type in {field.type, pa.null()} or pa.types.is_timestamp(array.type)
        return array if is_as_declared else None


def _declared(stream: Stream) -> "pa.Schema | None":
    schema = stream.schema or {}
    return to_arrow(schema) if schema.get("properties") else None


def blocks_of(lines: bytes) -> Iterator[bytes]:
    """Cut whole lines into blocks that are decoded at a time."""
    start = 0
    while start < len(lines):
        last_end = lines.rfind(b"\n", start, start + BLOCK_BYTES) + 1
        # A line that is longer than a block is a block of its own.
        end = last_end or lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end


def _is_open(type_: "pa.DataType") -> bool:
    """Return whether values of a type may hold others."""
    from pyarrow import types as t

    return is_json(type_) or bool(t.is_nested(type_))


def _has_fraction(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    return bool(t.is_floating(type_) or t.is_decimal(type_))


def _python_type(type_: "pa.DataType") -> Any:
    """Return what JSON has for a type: anything else that comes is for `to_array` to judge."""
    from pyarrow import types as t

    if t.is_integer(type_):
        return int | None
    if t.is_boolean(type_):
        return bool | None
    if _has_fraction(type_):
        return Any
    return str | None


def _is_told(type_: "pa.DataType") -> bool:
    """Return whether Python's type says all about a value."""
    import pyarrow as pa

    return type_ in {pa.int64(), pa.bool_(), pa.string()}


def _number_texts(values: list[Any]) -> list[bytes | None]:
    """Return numbers as JSON texts, which those with a fraction are already.

    Raises:
        ValueError: One is no number.
    """
    kinds = set(map(type, values))
    if not kinds <= {bytes, int, type(None)}:
        raise ValueError(kinds)
    if int not in kinds:
        return values
    return [b"%d" % value if type(value) is int else value for value in values]


def _texts(values: list[msgspec.Raw]) -> list[bytes | None]:
    """Return JSON texts; None for null, and for what is missing."""
    return [text if text and text != b"null" else None for text in map(bytes, values)]


def _utf8(texts: list[bytes | None]) -> "pa.StringArray":
    """Return texts as a column.

    Raises:
        pyarrow.ArrowInvalid: One is not UTF-8.
    """
    import pyarrow as pa

    return array_of(texts, pa.binary()).cast(pa.string())


def _has_each_key_once(lines: bytes, keys: int, nested: list[bytes], arrays: "list[Any]") -> bool:
    """Return whether it is proved that no record has a key twice.

    Args:
        lines: The records' lines.
        keys: How many were decoded from them.
        nested: The JSON texts that were not.
        arrays: The columns.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    most = at_most_keys(lines) - sum(map(at_most_keys, nested))
    if most == keys:
        return True
    texts = [array for array in arrays if pa.types.is_string(array.type)]
    spelled_otherwise = is_spelled_otherwise(lines)
    if not spelled_otherwise and most == keys + sum(map(_colons_like_keys, texts)):
        return True
    ends = key_ends(lines) - sum(map(key_ends, nested))
    if ends == keys or spelled_otherwise:
        return ends == keys
    begin_with_colon = [pc.sum(pc.match_substring_regex(array, "^ *:")).as_py() for array in texts]
    return ends == keys + sum(count or 0 for count in begin_with_colon)


def _colons_like_keys(texts: "pa.Array | pa.ChunkedArray") -> int:
    """Count the colons in a column of texts that `at_most_keys` has counted in their lines."""
    import numpy as np

    count = 0
    for chunk in getattr(texts, "chunks", [texts]):
        _, offsets, characters = chunk.buffers()
        if len(chunk) and characters is not None:
            places = np.frombuffer(offsets, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            count += colons_like_keys(np.frombuffer(characters, np.uint8)[places[0] : places[-1]])
    return count


def _document(texts: list[bytes | None]) -> bytes:
    return b"[" + b",".join([b"null" if text is None else text for text in texts]) + b"]"


def _numbers(texts: list[bytes | None], type_: "pa.DataType") -> "pa.Array | None":
    """Return numbers, if all are exact as this type."""
    import pyarrow as pa

    sent = _utf8(texts)
    try:
        if pa.types.is_decimal(type_):
            return decimals_of_texts(sent, type_)
        return doubles_of(sent) if type_ == pa.float64() else None
    except pa.ArrowInvalid:
        return None


def _json_column(texts: list[bytes | None], sent: bytes) -> "pa.Array":
    """Return JSON texts, as they were `sent`, as a column of JSON.

    They lose only white space and escapes of what needs none.
    """
    import pyarrow as pa

    compact = msgspec.json.format(sent, indent=-1)
    if len(compact) != len(sent):
        texts = _texts(_list_of_raw.decode(compact))
    if _SPELLED_OTHERWISE.search(compact):
        is_escaped = _SPELLED_OTHERWISE.search
        texts = [_unescaped(text) if text and is_escaped(text) else text for text in texts]
    return pa.ExtensionArray.from_storage(pa.json_(pa.utf8()), _utf8(texts))


def _unescaped(text: bytes) -> bytes:
    """Return a JSON text as `to_json` does; one with a key twice as it is."""
    if any(repeats(text)):
        return text
    try:
        plain = msgspec.json.encode(_plain_decoder.decode(text))
    except (msgspec.MsgspecError, ValueError, OverflowError):  # a number that is spelled otherwise
        plain = b""
    return plain or to_json(exact_decoder.decode(text)).encode()
