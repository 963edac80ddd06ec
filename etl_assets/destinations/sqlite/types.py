"""SQLite's types and Arrow's.

SQLite keeps any value in any column, but changes some by the words of a column's type.

A decimal, JSON or a UUID in a column of a type without TEXT in its name might become a double, and
in a column of doubles -0.0 becomes 0.0. So the names here hold the word that has SQLite leave the
values alone, and say what they are.
"""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from etl_assets.destinations.database.values import decimal_texts, uuid_texts
from etl_assets.engine.casting import RefusedValueError
from etl_assets.model.schema.types import (
    MAX_DECIMAL_DIGITS,
    is_json,
    is_nested,
    is_uuid,
    json_type,
    logical,
)
from etl_assets.model.values.times import LAST_YEAR, number_beyond, shown, years

if TYPE_CHECKING:
    import pyarrow as pa

_NAMES = {
    "bool": "BOOLEAN",
    "int64": "INTEGER",
    "float": "FLOAT_BLOB",
    "double": "DOUBLE_BLOB",
    "string": "TEXT",
    "binary": "BLOB",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "time64[us]": "TIME",
    "duration[us]": "INTERVAL",
    "extension<arrow.uuid>": "UUID_TEXT",
}
_DECIMAL = re.compile(r"DECIMAL_TEXT\((\d+),(\d+)\)")


def stored_type(type_: "pa.DataType") -> "pa.DataType":
    """Return the type in which SQLite keeps the values of one."""
    import pyarrow as pa

    type_ = logical(type_)
    if is_json(type_) or is_nested(type_):
        return json_type()
    if pa.types.is_decimal(type_) or str(type_) in _NAMES:
        return type_
    if pa.types.is_integer(type_):
        return pa.decimal128(20, 0) if pa.types.is_uint64(type_) else pa.int64()
    return pa.string()


def type_name(type_: "pa.DataType") -> str:
    """Return the name of a type in a column's declaration."""
    import pyarrow as pa

    type_ = stored_type(type_)
    if is_json(type_):
        return "JSON_TEXT"
    if pa.types.is_decimal(type_):
        return f"DECIMAL_TEXT({type_.precision},{type_.scale})"
    return _NAMES[str(type_)]


def arrow_type(name: str) -> "pa.DataType":
    """Return the Arrow type of a declared one.

    Of those that are not ours, as SQLite's affinity has it.
    """
    import pyarrow as pa

    declared = name.upper()
    decimal = _DECIMAL.fullmatch(declared)
    if decimal and int(decimal[1]) <= MAX_DECIMAL_DIGITS:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    known: dict[str, pa.DataType] = {
        "BOOLEAN": pa.bool_(),
        "FLOAT_BLOB": pa.float32(),
        "DOUBLE_BLOB": pa.float64(),
        "FLOAT": pa.float64(),
        "DOUBLE": pa.float64(),
        "REAL": pa.float64(),
        "BLOB": pa.binary(),
        "DATE": pa.date32(),
        "TIMESTAMP": pa.timestamp("us"),
        "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
        "TIME": pa.time64("us"),
        "INTERVAL": pa.duration("us"),
        "UUID_TEXT": pa.uuid(),
        "JSON_TEXT": json_type(),
    }
    if declared in known:
        return known[declared]
    return pa.int64() if "INT" in declared else pa.string()


def bound(column: "pa.Array", name: str) -> Sequence[Any]:
    """Return a column's values as they are bound to a statement.

    Raises:
        RefusedValueError: SQLite would make NULL of NaN; a year has more than four digits, or fewer
            than one.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    type_ = column.type
    if is_json(type_):
        return list(column.storage.to_pylist())
    if pa.types.is_floating(type_):
        if pc.any(pc.is_nan(column)).as_py():
            raise RefusedValueError(name, "SQLite cannot hold NaN, it would be NULL.", float("nan"))
        return list(column.to_pylist())
    if pa.types.is_decimal(type_):
        return list(decimal_texts(column).to_pylist())
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        _refuse_dates(column, name)
    if pa.types.is_timestamp(type_) and type_.tz:
        naive = column.cast(pa.timestamp("us")).cast(pa.string())
        return list(pc.binary_join_element_wise(naive, "+00:00", "").to_pylist())
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_) or pa.types.is_time(type_):
        return list(column.cast(pa.string()).to_pylist())
    if pa.types.is_duration(type_):
        return list(column.cast(pa.int64()).to_pylist())
    if is_uuid(type_):
        return list(uuid_texts(column).to_pylist())
    return list(column.to_pylist())


def _refuse_dates(column: "pa.Array", name: str) -> None:
    """Refuse dates whose texts would not sort as the dates do, and which SQLite cannot read."""
    beyond = number_beyond(column, *years(column.type, 1, LAST_YEAR))
    if beyond is not None:
        raise RefusedValueError(name, "SQLite has the years 1 to 9999 only.", shown(beyond))


@contextmanager
def bytes_where_not_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Have the driver return bytes for a text that is not UTF-8, and not fail to return the row."""
    before = connection.text_factory
    connection.text_factory = _text_or_bytes
    try:
        yield
    finally:
        connection.text_factory = before


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
