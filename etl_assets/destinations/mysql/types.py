"""MySQL's and MariaDB's types and Arrow's.

What a type's name does not say, the column's comment does: `longtext` may hold JSON, `datetime(6)`
instants in UTC. JSON is `longtext`, not MySQL's `json`, which changes the order of keys and the
digits of numbers. A FLOAT is shown with six digits only, so single floats are DOUBLE; `TIME` ends
at 838 hours, so durations are microseconds in a BIGINT.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database import values as sql_values
from etl_assets.destinations.database.sql_types import SqlTypes
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

MAX_SCALE = 30

# MySQL's type, and the comment that says what it holds.
_NAMES = {
    "bool": ("tinyint(1)", ""),
    "int16": ("smallint", ""),
    "int32": ("int", ""),
    "int64": ("bigint", ""),
    "uint64": ("bigint unsigned", ""),
    "double": ("double", ""),
    "string": ("longtext", ""),
    "binary": ("longblob", ""),
    "date32[day]": ("date", ""),
    "timestamp[us]": ("datetime(6)", ""),
    "timestamp[us, tz=UTC]": ("datetime(6)", "UTC"),
    "time64[us]": ("time(6)", ""),
    "duration[us]": ("bigint", "microseconds"),
    "extension<arrow.uuid>": ("char(36)", "UUID"),
}
JSON = ("longtext", "JSON")
COMMENTS = frozenset({comment for _, comment in (*_NAMES.values(), JSON) if comment})
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_WIDTH = re.compile(r"^((?:small|medium|big|tiny)?int)\(\d+\)")


def stored_type(type_: "pa.DataType") -> "pa.DataType":
    """Return the type of MySQL's that keeps the values of a type exactly."""
    import pyarrow as pa

    type_ = logical(type_)
    if is_json(type_) or is_nested(type_):
        return json_type()
    if pa.types.is_decimal(type_):
        return type_ if type_.scale <= MAX_SCALE else pa.string()
    wider = {
        "int8": pa.int16(),
        "uint8": pa.int16(),
        "uint16": pa.int32(),
        "uint32": pa.int64(),
        "float": pa.float64(),
    }
    if str(type_) in wider:
        return wider[str(type_)]
    return type_ if str(type_) in _NAMES else pa.string()


def declared(type_: "pa.DataType") -> tuple[str, str]:
    """Return the type of a column, and its comment."""
    import pyarrow as pa

    type_ = stored_type(type_)
    if is_json(type_):
        return JSON
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})", ""
    return _NAMES[str(type_)]


def spelled(column_type: str, comment: str) -> str:
    """Return what a type is called here, in MySQL as in MariaDB, with what its comment says."""
    name = column_type if column_type == "tinyint(1)" else _WIDTH.sub(r"\1", column_type)
    return f"{name} ({comment})" if comment in COMMENTS else name


def arrow_type(name: str) -> "pa.DataType":
    """Return the Arrow type of a name that `spelled` gave; text for what is unknown."""
    import pyarrow as pa

    decimal = _DECIMAL.fullmatch(name)
    if decimal and int(decimal[1]) <= MAX_DECIMAL_DIGITS:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    known: dict[str, pa.DataType] = {
        "tinyint(1)": pa.bool_(),
        "tinyint": pa.int16(),
        "smallint": pa.int16(),
        "smallint unsigned": pa.int32(),
        "mediumint": pa.int32(),
        "int": pa.int32(),
        "int unsigned": pa.int64(),
        "bigint": pa.int64(),
        "bigint unsigned": pa.uint64(),
        "double": pa.float64(),
        "longblob": pa.binary(),
        "blob": pa.binary(),
        "date": pa.date32(),
        "datetime(6)": pa.timestamp("us"),
        "datetime(6) (UTC)": pa.timestamp("us", "UTC"),
        "datetime": pa.timestamp("us"),
        "time(6)": pa.time64("us"),
        "bigint (microseconds)": pa.duration("us"),
        "char(36) (UUID)": pa.uuid(),
        "longtext (JSON)": json_type(),
    }
    return known.get(name, pa.string())


class MySQLTypes(SqlTypes):
    """These types, as a transaction is asked for them."""

    @override
    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        return stored_type(type_)

    @override
    def type_name(self, type_: "pa.DataType") -> str:
        return spelled(*declared(type_))

    @override
    def arrow_type(self, name: str) -> "pa.DataType":
        return arrow_type(name)


def texts(column: "pa.Array", name: str) -> "pa.Array":
    """Return a column's values as MySQL reads them from text; bytes in hexadecimal.

    Raises:
        RefusedValueError: MySQL has no such value.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    type_ = column.type
    if is_json(type_):
        return column.storage
    if pa.types.is_boolean(type_):
        return column.cast(pa.int8()).cast(pa.string())
    if pa.types.is_floating(type_):
        _refuse_doubles(column, name)
    if pa.types.is_binary(type_):
        return pa.array(
            [None if one is None else one.hex() for one in column.to_pylist()], pa.string()
        )
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        _refuse_dates(column, name)
        return (column.cast(pa.timestamp("us")) if pa.types.is_timestamp(type_) else column).cast(
            pa.string()
        )
    if pa.types.is_duration(type_):
        return column.cast(pa.int64()).cast(pa.string())
    if pa.types.is_decimal(type_):
        return sql_values.decimal_texts(column)
    if is_uuid(type_):
        return sql_values.uuid_texts(column)
    return column if pa.types.is_large_string(type_) else pc.cast(column, pa.string())


def array(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array":
    """Return values that were read as an array."""
    import pyarrow as pa

    if pa.types.is_timestamp(type_):  # without a zone, also where the type has one
        return pa.array(values, pa.string()).cast(pa.timestamp("us")).cast(type_)
    return sql_values.array(values, type_)


def _refuse_doubles(column: "pa.Array", name: str) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    # A division tells -0.0 from 0.0.
    negative_zero = pc.less(pc.divide(pa.scalar(1.0), column), pa.scalar(-1.7976931348623157e308))
    negative_zero = pc.and_(negative_zero, pc.equal(column, pa.scalar(0.0)))
    odd = pc.or_(pc.invert(pc.is_finite(column)), negative_zero)
    if pc.any(odd).as_py():
        raise RefusedValueError(
            name, "MySQL has no NaN, Infinity or -0.0.", column.filter(odd)[0].as_py()
        )


def _refuse_dates(column: "pa.Array", name: str) -> None:
    beyond = number_beyond(column, *years(column.type, 1, LAST_YEAR))
    if beyond is not None:
        raise RefusedValueError(name, "MySQL has the years 1 to 9999 only.", shown(beyond))
