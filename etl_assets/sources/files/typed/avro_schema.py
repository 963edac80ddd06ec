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
"""The precision of decimals of bytes: a longer one could not be taken by any database."""
_SIZES = {"null": 0, "float": 4, "double": 8}
MAX_DECIMAL = 38
MAX_VALUES = 100_000
"""How many values a record may have, those of the records in it among them."""
DURATION_BYTES = 12
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
    is_record = isinstance(schema, Mapping) and schema.get("type") == "record"
    if not is_record or not isinstance(schema.get("fields"), list):
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
    if not isinstance(found, Mapping):
        return type_, Column(name, _type({}, found, None))
    kind, logical = found.get("type"), found.get("logicalType")
    moment = _moments().get((kind, logical)) if logical else None
    if moment is not None:
        stored, viewed = moment
        read = kind
        if isinstance(type_, list):
            read = [kind if one == found else one for one in branches]
        return read, Column(name, viewed, stored)
    if _is_duration(found):
        return type_, Column(name, None, is_nested=True, is_duration=True)
    is_nested = kind in {"array", "map", "record"}
    return type_, Column(name, _type(found, kind, logical), is_nested=is_nested)


def _is_duration(schema: Mapping[str, Any]) -> bool:
    """Return whether values are durations; one of another size is `fixed` bytes, as Avro has it."""
    is_named_so = schema.get("logicalType") == "duration" and schema.get("type") == "fixed"
    return is_named_so and schema.get("size") == DURATION_BYTES


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


def _type(found: Mapping[str, Any], kind: Any, logical: str | None) -> "pa.DataType | None":
    import pyarrow as pa

    if logical == "decimal":
        precision, scale = int(found.get("precision", 0)), int(found.get("scale", 0))
        if not 0 < precision <= MAX_DECIMAL or scale > precision:
            return None
        return pa.decimal128(precision, scale)
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
    made = {key: _exact(value) if key in _PARTS else value for key, value in schema.items()}
    if schema.get("logicalType") == "decimal":
        made["precision"] = WIDE_PRECISION
        if schema.get("type") == "fixed":
            bits = 8 * int(schema.get("size", 0)) - 1
            made["precision"] = math.floor(bits * math.log10(2))
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
            least = min((least for least, _ in branches), default=0)
            most = max((most for _, most in branches), default=1)
            return 1 + least, most
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
        if kind == "enum":
            return 1, 1
        return self.of(kind)

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
