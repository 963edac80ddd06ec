"""DuckDB's types and Arrow's."""

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from etl_assets.exceptions import DestinationError
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, is_json, is_nested, json_type, logical
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

_NAMES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[ns]": "TIMESTAMP_NS",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
    "timestamp[ns, tz=UTC]": "TIMESTAMPTZ_NS",
    "time64[us]": "TIME",
    "time64[ns]": "TIME_NS",
    "duration[us]": "INTERVAL",
    "null": "VARCHAR",
    "extension<arrow.uuid>": "UUID",
}


def type_name(type_: "pa.DataType") -> str:
    """Return DuckDB's name of the type that holds an Arrow type exactly.

    Raises:
        DestinationError: DuckDB has none.
    """
    import pyarrow as pa

    type_ = logical(type_)
    if is_json(type_):
        return "JSON"
    if pa.types.is_decimal(type_):
        return f"DECIMAL({type_.precision},{type_.scale})"
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        return f"{type_name(type_.value_type)}[]"
    if pa.types.is_fixed_size_list(type_):
        return f"{type_name(type_.value_type)}[{type_.list_size}]"
    if pa.types.is_struct(type_):
        inner = [type_.field(index) for index in range(type_.num_fields)]
        return f"STRUCT({', '.join(f'{quote(f.name)} {type_name(f.type)}' for f in inner)})"
    if pa.types.is_map(type_):
        return f"MAP({type_name(type_.key_type)}, {type_name(type_.item_type)})"
    name = _NAMES.get(str(type_))
    if name is None:
        raise DestinationError(f"DuckDB has no type for Arrow's {type_}.")
    return name


def stored_type(type_: "pa.DataType") -> "pa.DataType":
    """Return the type in which DuckDB keeps the values of a type exactly.

    It is the same type, or JSON for the few nested types that DuckDB does not have.
    """
    return json_type() if is_nested(type_) and not _has_inner(type_) else type_


@lru_cache(1024)
def _has_inner(type_: "pa.DataType") -> bool:
    """Return whether DuckDB has a type for what is inside of lists and structs.

    It has no struct without fields, none with two that differ in the case of letters only, and no
    long decimals.
    """
    import pyarrow as pa

    if pa.types.is_decimal(type_):
        return bool(type_.precision <= MAX_DECIMAL_DIGITS)
    if not is_nested(type_):
        return True
    inner = [type_.field(index) for index in range(type_.num_fields)]
    if pa.types.is_struct(type_):
        names = {one.name.casefold() for one in inner}
        if not names or len(names) < len(inner):
            return False
    return all(_has_inner(one.type) for one in inner)


def arrow_schema(found: "pa.Schema", names: Mapping[str, str]) -> "pa.Schema":
    """Return the schema of a table, of which DuckDB's export to Arrow does not say everything.

    Args:
        found: What DuckDB says: JSON and UUID are text there, and an interval has months.
        names: DuckDB's types of the table's columns.
    """
    import pyarrow as pa

    special = {"JSON": json_type(), "INTERVAL": pa.duration("us"), "UUID": pa.uuid()}
    fields = [
        field.with_type(special.get(names[field.name]) or logical(field.type)) for field in found
    ]
    return pa.schema(fields)


def with_json(found: "pa.Table", names: Mapping[str, str]) -> "pa.Table":
    """Return a table in which text that is stored as JSON has JSON's type.

    Args:
        found: Rows of a table.
        names: DuckDB's types of the table's columns.
    """
    for index, field in enumerate(found.schema):
        if names.get(field.name) == "JSON":
            column = found.column(index).cast(json_type())
            found = found.set_column(index, field.with_type(json_type()), column)
    return found
