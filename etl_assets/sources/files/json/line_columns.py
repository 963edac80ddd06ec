"""Batches of JSON lines decoded into columns, with what reading row by row makes of them.

No dict is made of a line. Fields that the stream declares have their types; those of all others are
what the values of a batch say. A column for which a proof fails is made of its values one by one;
lines for which one fails are refused, and are to be read as rows. That no key came twice is proved
by a count (`repeated_keys`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from etl_assets.model.json.lines import count_lines, without_collection
from etl_assets.model.json.missing import Missing
from etl_assets.model.json.repeated_keys import (
    at_most_keys,
    colons_like_keys,
    is_spelled_otherwise,
    key_ends,
)
from etl_assets.model.schema.types import is_json, is_nested
from etl_assets.sources.files.json.line_values import (
    Booleans,
    Column,
    Integers,
    Nested,
    RefusedError,
    Texts,
    Values,
)

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK_BYTES = 256 * 1024
"""What is decoded at a time: its objects are still in the processor's cache when they are used."""
_SAMPLE_BYTES = 64 * 1024
_MOST_FIELDS = 2_000
_MOST_REFUSED = 3
"""After so many batches in a row that were refused, no more are tried."""

_dicts = msgspec.json.Decoder(dict[str, Any], float_hook=msgspec.Raw)


class LineColumns:
    """Decodes batches of JSON lines of one file.

    Args:
        declared: The fields that the stream declares.
        stream: Its name, for errors.
    """

    def __init__(self, declared: "pa.Schema | None", stream: str) -> None:
        self._declared = {one.name: one for one in declared or ()}
        self._stream = stream
        self._kinds: dict[str, set[type]] = {name: set() for name in self._declared}
        """Which types in Python the fields had, in the order of the fields."""
        self._decoder: _Decoder | None = None
        self._refused = 0

    def table(self, lines: bytes, rows: int) -> "pa.Table | None":
        """Return lines as a table, or None where they are to be read as rows.

        Args:
            lines: Each is one object, or blank, if it is valid JSON at all.
            rows: How many are not blank.
        """
        if self._refused >= _MOST_REFUSED:
            return None
        try:
            with without_collection():
                return self._table(lines, rows)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError, IndexError):
            self._refused += 1
            return None

    def _table(self, lines: bytes, rows: int) -> "pa.Table":
        decoder = self._decoder
        if decoder is None:
            decoder = self._learned(lines[: lines.rfind(b"\n", 0, _SAMPLE_BYTES) + 1] or lines)
        try:
            table = self._made(decoder.decoded(lines), lines, rows)
        except (msgspec.ValidationError, RefusedError):
            table = self._made(self._learned(lines).decoded(lines), lines, rows)
        self._refused = 0
        return table

    def _learned(self, lines: bytes) -> "_Decoder":
        """See which fields some lines have, and of what types they are."""
        for block in _blocks(lines):
            for record in _dicts.decode_lines(block):
                for name, value in record.items():
                    self._kinds.setdefault(name, set()).add(_kind(value))
        if len(self._kinds) > _MOST_FIELDS:
            raise ValueError(len(self._kinds))
        self._decoder = _Decoder(self._kinds, self._declared, self._stream)
        return self._decoder

    def _made(self, found: "_Decoded", lines: bytes, rows: int) -> "pa.Table":
        import pyarrow as pa

        if found.rows != rows or not found.columns:
            raise ValueError(found.rows)
        arrays, fields = [], []
        for name, column in found.columns.items():
            array = column.array()
            declared = self._declared.get(name)
            metadata = None if declared is None else declared.metadata
            arrays.append(array)
            fields.append(pa.field(name, array.type, metadata=metadata))
        if not _has_each_key_once(lines, found):
            raise ValueError("a key may come twice")
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


@dataclass
class _Decoded:
    """What was decoded of a batch.

    Args:
        columns: By the names of the fields.
        rows: How many records there were.
        keys: How many keys they had, without those in nested values.
    """

    columns: dict[str, Column]
    rows: int = 0
    keys: int = 0


class _Decoder:
    """Decodes lines with certain fields.

    Args:
        kinds: The types in Python that each had.
        declared: Those that the stream declares.
        stream: Its name.

    Raises:
        ValueError: Their names cannot be told apart.
    """

    def __init__(
        self, kinds: "dict[str, set[type]]", declared: "dict[str, pa.Field]", stream: str
    ) -> None:
        self._missing = Missing()
        self._stream = stream
        self._types = {name: declared[name].type if name in declared else None for name in kinds}
        self._columns = {name: _column_for(self._types[name], seen) for name, seen in kinds.items()}
        fields = [
            (f"f{at}", column.decoded, self._missing.field(column.missing))
            for at, column in enumerate(self._columns.values())
        ]
        record = msgspec.defstruct(
            "Record",
            fields,
            rename={f"f{at}": name for at, name in enumerate(kinds)},
            gc=False,
            forbid_unknown_fields=True,
        )
        self._decoder = msgspec.json.Decoder(record, float_hook=msgspec.Raw)

    def decoded(self, lines: bytes) -> _Decoded:
        """Return what lines hold.

        Raises:
            msgspec.ValidationError: A value has another type, or a field is new.
            msgspec.MsgspecError: They are no JSON.
        """
        found = _Decoded(
            {
                name: column(self._types[name], self._stream, name)
                for name, column in self._columns.items()
            }
        )
        columns = list(found.columns.values())
        for block in _blocks(lines):
            most = count_lines(block) + 1
            self._missing.begin(most)
            records = self._decoder.decode_lines(block)
            # What `begin` made room for beyond the lines that there are was not missing.
            left = (most - len(records)) * len(columns)
            found.keys += self._missing.end(len(records)) - left
            found.rows += len(records)
            values = zip(*map(msgspec.structs.astuple, records), strict=True)
            for column, some in zip(columns, values, strict=False):
                column.add(some)
        return found


def _column_for(declared: "pa.DataType | None", seen: set[type]) -> type[Column]:
    """Return how the values of a field are decoded."""
    import pyarrow as pa

    kinds = seen - {type(None)}
    if declared is not None and not kinds:
        kinds = {_usual_type(declared)}
    if kinds and kinds <= {dict, list} and (declared is None or is_json(declared)):
        return Nested
    if kinds == {str} and (declared is None or not _is_json_like(declared)):
        return Texts
    if kinds == {int} and declared in {None, pa.int64()}:
        return Integers
    if kinds == {bool} and declared in {None, pa.bool_()}:
        return Booleans
    return Values


def _kind(value: Any) -> type:
    """Return the type of a value; that of all objects, for an integer of more than 64 bits."""
    is_long = type(value) is int and not -(2**63) <= value < 2**63
    return object if is_long else type(value)


def _usual_type(declared: "pa.DataType") -> type:
    from pyarrow import types as t

    if t.is_integer(declared):
        return int
    if t.is_boolean(declared):
        return bool
    if is_json(declared):
        return dict
    is_number = t.is_floating(declared) or t.is_decimal(declared)
    return object if is_number or _is_json_like(declared) else str


def _is_json_like(type_: "pa.DataType") -> bool:
    return is_json(type_) or is_nested(type_)


def _blocks(lines: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(lines):
        last_end = lines.rfind(b"\n", start, start + _BLOCK_BYTES) + 1
        end = last_end or lines.find(b"\n", start) + 1 or len(lines)
        yield lines[start:end]
        start = end


def _has_each_key_once(lines: bytes, found: _Decoded) -> bool:
    """Return whether it is proved that no object has a key twice.

    What was decoded has each key once, and its texts hold no more that looks like a key than those
    of the lines do, if nothing is spelled otherwise.
    """
    import numpy as np

    columns = found.columns.values()

    def keys(count: Callable[[bytes], int]) -> int:
        return count(lines) - sum(column.keys_of(count) for column in columns)

    most = keys(at_most_keys)
    if is_spelled_otherwise(lines):
        has_nested = any(column.keys_of(len) for column in columns)
        return not has_nested and most == found.keys
    if most == found.keys:
        return True
    texts = [part for column in columns for part in column.texts()]
    alike = sum(colons_like_keys(np.frombuffer(text, np.uint8)) for text in texts)
    return most == found.keys + alike or keys(key_ends) == found.keys
