"""A stored table as SQLAlchemy's `Table`, made of its Arrow types.

Reflection does not work for every database.
"""

from typing import TYPE_CHECKING, Any

from etl_assets.model.stored import TableName

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlalchemy import Table


def to_sql_table(table: TableName, schema: "pa.Schema | None") -> "Table":
    """Return a table as SQLAlchemy's.

    Args:
        table: Its name.
        schema: Its columns.
    """
    from sqlalchemy import Column, MetaData, Table

    columns = [Column(field.name, sql_type(field.type)) for field in schema or ()]
    return Table(table.name, MetaData(), *columns, schema=table.schema or None)


def sql_type(type_: "pa.DataType") -> Any:
    """Return SQLAlchemy's type of values of an Arrow type."""
    import sqlalchemy as sa
    from pyarrow import types as t

    from etl_assets.model.schema.types import is_json

    if t.is_decimal(type_):
        return sa.Numeric(type_.precision, type_.scale)
    if t.is_timestamp(type_):
        return sa.DateTime(timezone=type_.tz is not None)
    kinds: list[tuple[Any, Any]] = [
        (t.is_boolean, sa.Boolean),
        (t.is_integer, sa.BigInteger),
        (t.is_floating, sa.Double),
        (t.is_date, sa.Date),
        (t.is_time, sa.Time),
        (t.is_duration, sa.Interval),
        (_is_binary, sa.LargeBinary),
        (_is_text, sa.String),
        (is_json, sa.JSON),
    ]
    for test, kind in kinds:
        if test(type_):
            return kind()
    return sa.types.NullType()


def _is_binary(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    return bool(t.is_binary(type_) or t.is_large_binary(type_))


def _is_text(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    return bool(t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_))
