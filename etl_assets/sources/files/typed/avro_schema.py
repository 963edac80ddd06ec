"""What an Avro schema says of columns, and the form of it by which records are read exactly.

fastavro rounds a decimal to its precision, and has no date beyond the year 9999. So decimals are
read by a precision that none of their bytes exceeds, and the days and moments of columns as the
integers they are, which Arrow holds all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

WIDE_PRECISION = 100_000
"""No decimal of bytes is longer that a database could take."""
_SIZES = {"null": 0, "float": 4, "double": 8}
MAX_DECIMAL = 38
MAX_VALUES = 100_000
"""Of a record, those of the records in it among them."""
_PARTS = {"type", "items", "values", "fields"}


@dataclass(frozen=True)
class Column:
    """A field of the records.

    Args:
        name: Its name.
        type: Its type, where the schema alone tells it.
        stored: The type of the integers that it is read as, where it is a day or a moment.
        is_nested: It is an array, a map or a record.
        is_duration: It is a duration of months, days and milliseconds.
    """

    name: str
    type: "pa.DataType | None"
    stored: "pa.DataType | None" = None
    is_nested: bool = False
    is_duration: bool = False


class UnreadableError(ValueError):
    """A schema is right, and its records are not read."""


def columns_of(schema: Any) -> tuple[dict[str, Any], list[Column]]:
    """Return the schema to read records by, and their columns.

    Raises:
        UnreadableError: It is no record.
    """
    if (
        not isinstance(schema, Mapping)
        or schema.get("type") != "record"
        or not isinstance(schema.get("fields"), list)
    ):
        raise UnreadableError("its values are no records")
    fields, columns = [], []
    for field in schema["fields"]:
        type_, column = _column(field["name"], field["type"])
        fields.append({**field, "type": type_})
        columns.append(column)
    return {**schema, "fields": [_exact(field) for field in fields]}, columns


def _column(name: str, type_: Any) -> tuple[Any, Column]:
    """Return a field's type without the logical type that is read by columns, and its column."""
    branches = type_ if isinstance(type_, list) else [type_]
    present = [one for one in branches if one != "null"]
    if len(present) != 1:
        return type_, Column(name, None)
    (found,) = present
    logical = found.get("logicalType") if isinstance(found, Mapping) else None
    stored, viewed = (
        _moments().get((found.get("type"), logical), (None, None)) if logical else (None, None)
    )
    if stored is not None:
        plain = found["type"]
        read = (
            [plain if one == found else one for one in branches]
            if isinstance(type_, list)
            else plain
        )
        return read, Column(name, viewed, stored)
    kind = found.get("type") if isinstance(found, Mapping) else found
    is_duration = logical == "duration"
    nested = is_duration or kind in {"array", "map", "record"}
    return type_, Column(
        name, _type(found, kind, logical), is_nested=nested, is_duration=is_duration
    )


def _moments() -> dict[tuple[Any, Any], tuple["pa.DataType", "pa.DataType"]]:
    import pyarrow as pa

    units = {"millis": "ms", "micros": "us", "nanos": "ns"}
    long = pa.int64()
    found = {
        ("int", "date"): (pa.int32(), pa.date32()),
        ("int", "time-millis"): (pa.int32(), pa.time32("ms")),
    }
    found["long", "time-micros"] = (long, pa.time64("us"))
    for word, unit in units.items():
        found["long", f"timestamp-{word}"] = (long, pa.timestamp(unit, "UTC"))
        found["long", f"local-timestamp-{word}"] = (long, pa.timestamp(unit))
    return found


def _type(found: Any, kind: Any, logical: str | None) -> "pa.DataType | None":
    import pyarrow as pa

    if logical == "decimal":
        precision, scale = int(found.get("precision", 0)), int(found.get("scale", 0))
        return (
            pa.decimal128(precision, scale)
            if 0 < precision <= MAX_DECIMAL and scale <= precision
            else None
        )
    if logical == "uuid":
        return pa.string()
    types = {
        "boolean": pa.bool_(),
        "int": pa.int64(),
        "long": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "bytes": pa.binary(),
        "fixed": pa.binary(),
        "string": pa.string(),
        "enum": pa.string(),
    }
    return types.get(kind) if isinstance(kind, str) else None


def _exact(schema: Any) -> Any:
    """Return a schema whose decimals are wide enough for all that their bytes can hold."""
    if isinstance(schema, list):
        return [_exact(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {
        key: _exact(value) if key in {"type", "items", "values", "fields"} else value
        for key, value in schema.items()
    }
    if schema.get("logicalType") == "decimal":
        bits = 8 * int(schema.get("size", 0)) - 1
        made["precision"] = (
            math.floor(bits * math.log10(2)) if schema.get("type") == "fixed" else WIDE_PRECISION
        )
    return made


class Sizes:
    """How much a value of a schema takes at least, and how many values it is made of.

    A few bytes of a file must not stand for any number of values: a type that has itself inside, an
    array of elements that take no bytes, and records in records without end are refused.

    Args:
        named: The types that have names, parsed.
    """

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._known: dict[str, tuple[int, int]] = {}
        self._within: set[str] = set()

    def of(self, schema: Any) -> tuple[int, int]:
        """Return the bytes that a value takes at least, and the values that are in it.

        Raises:
            UnreadableError: They may be too many.
        """
        if isinstance(schema, list):
            branches = [self.of(one) for one in schema]
            return 1 + min((least for least, _ in branches), default=0), max(
                (most for _, most in branches), default=1
            )
        if isinstance(schema, str):
            return self._of_name(schema)
        kind = schema["type"]
        if kind in {"record", "error"}:
            return self._of_record(schema)
        if kind in {"array", "map"}:
            least, values = self.of(schema["items" if kind == "array" else "values"])
            if kind == "array" and least == 0:
                raise UnreadableError("it has an array of elements that take no bytes")
            return 1, values
        if kind == "fixed":
            return int(schema["size"]), 1
        return (1, 1) if kind == "enum" else self.of(kind)

    def _of_name(self, name: str) -> tuple[int, int]:
        if name not in self._named:
            return _SIZES.get(name, 1), 1
        if name in self._within:
            raise UnreadableError(f"its type {name!r} has itself inside")
        return self._known.get(name) or self.of(self._named[name])

    def _of_record(self, schema: Mapping[str, Any]) -> tuple[int, int]:
        name = schema["name"]
        self._within.add(name)
        fields = [self.of(field["type"]) for field in schema["fields"]]
        self._within.discard(name)
        found = sum(least for least, _ in fields), 1 + sum(most for _, most in fields)
        if found[1] > MAX_VALUES:
            raise UnreadableError(f"its records have more than {MAX_VALUES} values each")
        self._known[name] = found
        return found
