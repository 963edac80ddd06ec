"""Lines of records that are alike, parsed into columns at once, where the schema allows it.

A parser that takes nothing but what the schema says (a text is no number, 1.5 is no integer, a field it does not know
is an error) does the work, so that what it gives is what the exact way would have given. Where it refuses anything, or
a number could be more than a double holds, the exact way is taken.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from etl_assets.protocol.columns import EXACT_DOUBLE
from etl_assets.protocol.json_lines import exact_number
from etl_assets.protocol.schema import to_arrow
from etl_assets.protocol.stream import Stream

if TYPE_CHECKING:
    import pyarrow as pa

_SHAPES = bytes.maketrans(b"123456789.E", b"0000000000e")
_LONG = b"0" * 17
"""Up to 15 digits and a point: the text is the shortest one of some double."""
_EXPONENT = b"0e"
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NUMBER_BYTES = frozenset(b"0123456789.eE+-")
_DATE_CHARACTERS = 10
_SHORTEST_INSTANT = 16

Envelope = dict[str, Any]
"""The fields around a record: names to Arrow types, nested ones as dicts; the record's own place is `None`."""


class ColumnParser:
    """Parses lines of records of one stream.

    Args:
        stream: Whose schema says the columns.
        path: Where in a line the record is: `("record", "data")`.
        around: The other fields a line may have, by their path: `{("record", "emitted_at"): "int64"}`.
    """

    def __init__(self, stream: Stream, path: tuple[str, ...], around: dict[tuple[str, ...], str]) -> None:
        self._path = path
        self._around = around
        self._declared = _flat(stream)
        self._has_doubles = False
        self._explicit: pa.Schema | None = None

    @property
    def usable(self) -> bool:
        """Whether the schema is one of plain values."""
        return self._declared is not None

    def parse(self, lines: bytes, count: int) -> "pa.Table | None":
        """Give the records as columns, or None where they are to be read the exact way."""
        import pyarrow as pa
        from pyarrow import json as pj

        if self._declared is None:
            return None
        if self._explicit is None:
            self._explicit = self._schema()
            self._has_doubles = any(pa.types.is_floating(field.type) for field in self._declared)
        if self._has_doubles and not all(map(_is_double, _suspects(lines))):
            return None
        try:
            table = pj.read_json(
                pa.BufferReader(lines),
                read_options=pj.ReadOptions(use_threads=False, block_size=len(lines) + 1),
                parse_options=pj.ParseOptions(explicit_schema=self._explicit, unexpected_field_behavior="error"),
            )
            return self._columns(table) if table.num_rows == count else None
        except pa.ArrowException:
            return None

    def _schema(self) -> "pa.Schema":
        import pyarrow as pa

        texts = {name: pa.string() if _is_time(t) else t for name, t in self._types().items()}
        tree: dict[str, Any] = {}
        for path, type_ in {**self._around, self._path: pa.struct(list(texts.items()))}.items():
            place = tree
            for name in path[:-1]:
                place = place.setdefault(name, {})
            place[path[-1]] = pa.type_for_alias(type_) if isinstance(type_, str) else type_
        return pa.schema([(name, _arrow(one)) for name, one in tree.items()])

    def _types(self) -> dict[str, "pa.DataType"]:
        return {field.name: field.type for field in self._declared or ()}

    def _columns(self, table: "pa.Table") -> "pa.Table | None":
        import pyarrow as pa
        import pyarrow.compute as pc

        column = table.column(self._path[0])
        for name in self._path[1:]:
            column = pc.struct_field(column, [name])
        arrays, fields = [], []
        for field in self._declared or ():
            values = pc.struct_field(column, [field.name])
            converted = _converted(values, field.type)
            if converted is None:
                return None
            arrays.append(converted)
            fields.append(field.with_type(converted.type))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _suspects(lines: bytes) -> Iterator[bytes]:
    """Give what could be numbers whose digits, or whose exponent, may be more than a double's.

    Digits are made alike first, so that the search for them is one for a fixed text.
    """
    shapes = lines.translate(_SHAPES)
    for mark in (_LONG, _EXPONENT):
        position = shapes.find(mark)
        while position >= 0:
            start, end = position, position + len(mark)
            while start and lines[start - 1] in _NUMBER_BYTES:
                start -= 1
            while end < len(lines) and lines[end] in _NUMBER_BYTES:
                end += 1
            yield lines[start:end]
            position = shapes.find(mark, end)


def _is_double(text: bytes) -> bool:
    """Tell whether a number is exactly a double, or is none; an integer is looked at where its column is known."""
    if not _NUMBER.fullmatch(text):
        return True
    return text.lstrip(b"-").isdigit() or isinstance(exact_number(text.decode()), float)


def _arrow(one: Any) -> "pa.DataType":
    import pyarrow as pa

    return pa.struct([(name, _arrow(inner)) for name, inner in one.items()]) if isinstance(one, dict) else one


def _flat(stream: Stream) -> "pa.Schema | None":
    """Give the declared columns if each is a plain value that the parser reads as strictly as we do."""
    import pyarrow as pa

    if not stream.schema or not stream.schema.get("properties"):
        return None
    declared = to_arrow(stream.schema)  # of all columns: what is not selected comes in the lines too
    plain = {
        pa.int64(),
        pa.float64(),
        pa.bool_(),
        pa.string(),
        pa.date32(),
        pa.timestamp("us", "UTC"),
        pa.timestamp("us"),
    }
    return declared if all(field.type in plain for field in declared) else None


def _is_time(type_: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_timestamp(type_) or pa.types.is_date(type_))


def _converted(values: "pa.ChunkedArray", type_: "pa.DataType") -> "pa.ChunkedArray | pa.Array | None":
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count == len(values):
        return pa.nulls(len(values))  # what the column is, its first value tells
    if pa.types.is_floating(type_):
        large = pc.max_element_wise(pc.max(values), pc.negate(pc.min(values))).as_py()
        return None if large != large or large >= EXACT_DOUBLE else values  # noqa: PLR0124 - NaN
    if not _is_time(type_):
        return values
    lengths = pc.min_max(pc.utf8_length(values)).as_py()
    if pa.types.is_date(type_):
        return values.cast(type_) if lengths == {"min": _DATE_CHARACTERS, "max": _DATE_CHARACTERS} else None
    if lengths["min"] < _SHORTEST_INSTANT:
        return None  # a date alone
    for kind in (pa.timestamp("us", "UTC"), pa.timestamp("us")):
        try:
            return values.cast(kind)
        except pa.ArrowInvalid:
            continue
    return None
