"""PostgreSQL's types and Arrow's: which one holds every value of which exactly.

- JSON is `json`, not `jsonb`: it keeps the text as it is, with the order of its keys, and may name
U+0000.
- Nanoseconds, of which PostgreSQL has none, are text; `uint64` is `numeric(20,0)`; lists, structs
and maps are JSON.
- A type of PostgreSQL that is not here (an enum, a range) is read and written as its text.
"""

import re
from typing import TYPE_CHECKING

from etl_assets.exceptions import DestinationError
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, is_json, is_nested, json_type, logical

if TYPE_CHECKING:
    import pyarrow as pa

TIMESTAMP = "timestamp without time zone"
TIMESTAMP_TZ = "timestamp with time zone"

_NAMES = {
    "bool": "boolean",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "float": "real",
    "double": "double precision",
    "string": "text",
    "binary": "bytea",
    "date32[day]": "date",
    "timestamp[us]": TIMESTAMP,
    "timestamp[us, tz=UTC]": TIMESTAMP_TZ,
    "time64[us]": "time without time zone",
    "duration[us]": "interval",
    "extension<arrow.uuid>": "uuid",
}
_ARROW = {name: arrow for arrow, name in _NAMES.items()}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")


def stored_type(type_: "pa.DataType") -> "pa.DataType":
    """Return the type that PostgreSQL has for the values of one."""
    import pyarrow as pa

    type_ = logical(type_)
    if is_json(type_) or is_nested(type_):
        return json_type()
    if pa.types.is_decimal(type_) or str(type_) in _NAMES:
        return type_
    wider = {"int8": pa.int16(), "uint8": pa.int16(), "uint16": pa.int32(), "uint32": pa.int64()}
    if str(type_) in wider:
        return wider[str(type_)]
    return pa.decimal128(20, 0) if pa.types.is_uint64(type_) else pa.string()


def type_name(type_: "pa.DataType") -> str:
    """Return the name of a type as PostgreSQL itself spells it.

    Raises:
        DestinationError: It is none of those that `stored_type` gives.
    """
    import pyarrow as pa

    type_ = stored_type(type_)
    if is_json(type_):
        return "json"
    if pa.types.is_decimal(type_):
        return f"numeric({type_.precision},{type_.scale})"
    name = _NAMES.get(str(type_))
    if name is None:  # pragma: no cover - stored_type gives no other
        raise DestinationError(f"PostgreSQL has no type for Arrow's {type_}.")
    return name


def arrow_type(name: str) -> "pa.DataType":
    """Return the Arrow type of a column by its type's name, as `format_type` gives it.

    Text for what is unknown.
    """
    import pyarrow as pa

    numeric = _NUMERIC.fullmatch(name)
    if numeric and int(numeric[1]) <= MAX_DECIMAL_DIGITS:
        return pa.decimal128(int(numeric[1]), int(numeric[2]))
    if name in {"json", "jsonb"}:
        return json_type()
    known: dict[str, pa.DataType] = {
        "bool": pa.bool_(),
        "float": pa.float32(),
        "double": pa.float64(),
        "date32[day]": pa.date32(),
        "timestamp[us]": pa.timestamp("us"),
        "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
        "time64[us]": pa.time64("us"),
        "duration[us]": pa.duration("us"),
        "extension<arrow.uuid>": pa.uuid(),
    }
    alias = _ARROW.get(name, "string")
    return known[alias] if alias in known else pa.type_for_alias(alias)
