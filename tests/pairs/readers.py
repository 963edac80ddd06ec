"""Each destination read by its own driver, none of our code between: what its catalog calls the columns, and values.

A column is read as the type it was meant to have, so that the values of all four can be held
against one list.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from tests.servers import mysql_connect, postgres_server

DUCKDB = {
    "bool": "BOOLEAN", "int8": "TINYINT", "int16": "SMALLINT", "int32": "INTEGER", "int64": "BIGINT",
    "uint8": "UTINYINT", "uint32": "UINTEGER", "uint64": "UBIGINT", "float": "FLOAT", "double": "DOUBLE",
    "string": "VARCHAR", "json": "JSON", "uuid": "UUID", "binary": "BLOB", "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP", "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE", "time64[us]": "TIME",
    "timestamp[ns]": "TIMESTAMP_NS", "decimal": "DECIMAL({0},{1})",
}  # fmt: skip
POSTGRES = {
    "bool": "boolean", "int8": "smallint", "int16": "smallint", "int32": "integer", "int64": "bigint",
    "uint8": "smallint", "uint32": "bigint", "uint64": "numeric(20,0)", "float": "real", "double": "double precision",
    "string": "text", "json": "json", "uuid": "uuid", "binary": "bytea", "date32[day]": "date",
    "timestamp[us]": "timestamp without time zone", "timestamp[us, tz=UTC]": "timestamp with time zone",
    "time64[us]": "time without time zone", "timestamp[ns]": "text", "decimal": "numeric({0},{1})",
}  # fmt: skip
MYSQL = {
    "bool": "tinyint(1)", "int8": "smallint(6)", "int16": "smallint(6)", "int32": "int(11)", "int64": "bigint(20)",
    "uint8": "smallint(6)", "uint32": "bigint(20)", "uint64": "bigint(20) unsigned", "float": "double",
    "double": "double", "string": "longtext", "json": "longtext JSON", "uuid": "char(36) UUID", "binary": "longblob",
    "date32[day]": "date", "timestamp[us]": "datetime(6)", "timestamp[us, tz=UTC]": "datetime(6) UTC",
    "time64[us]": "time(6)", "timestamp[ns]": "longtext", "decimal": "decimal({0},{1})",
}  # fmt: skip
SQLITE = {
    "bool": "BOOLEAN", "int8": "INTEGER", "int16": "INTEGER", "int32": "INTEGER", "int64": "INTEGER",
    "uint8": "INTEGER", "uint32": "INTEGER", "uint64": "DECIMAL_TEXT(20,0)", "float": "FLOAT_BLOB",
    "double": "DOUBLE_BLOB", "string": "TEXT", "json": "JSON_TEXT", "uuid": "UUID_TEXT", "binary": "BLOB",
    "date32[day]": "DATE", "timestamp[us]": "TIMESTAMP", "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "time64[us]": "TIME", "timestamp[ns]": "TEXT", "decimal": "DECIMAL_TEXT({0},{1})",
}  # fmt: skip
NAMES = {"duckdb": DUCKDB, "postgresql": POSTGRES, "mysql": MYSQL, "sqlite": SQLITE}


@dataclass(frozen=True)
class Held:
    """A table as its database holds it."""

    types: Mapping[str, str]
    rows: list[dict[str, Any]]


def expected_name(kind: str, type_: pa.DataType) -> str:
    """Return what a destination's catalog is to call the column for an Arrow type."""
    if pa.types.is_decimal(type_):
        return NAMES[kind]["decimal"].format(type_.precision, type_.scale)
    named = getattr(type_, "extension_name", "").removeprefix("arrow.") or str(type_)
    return NAMES[kind][named]


def held(destination: DatabaseDestination, table: str) -> Held:
    """Read a table whole. Values come as the driver gives them, or as the database's text."""
    if isinstance(destination, DuckDBDestination):
        return _in_duckdb(destination.path, table)
    schema = destination.options.schema_name
    if isinstance(destination, PostgresDestination):
        return _in_postgres(str(schema), table)
    if isinstance(destination, MySQLDestination):
        return _in_mysql(str(schema), table)
    assert isinstance(destination, SQLiteDestination)
    return _in_sqlite(destination.path, table)


def _dicts(names: Mapping[str, str], rows: Any) -> list[dict[str, Any]]:
    return [dict(zip(names, row, strict=True)) for row in rows]


def quoted(name: str, mark: str = '"') -> str:
    return mark + name.replace(mark, mark * 2) + mark


def _in_duckdb(path: str, table: str) -> Held:
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        asked = "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'shop' AND table_name = ?"
        types = dict(connection.execute(f"{asked} ORDER BY column_index", [table]).fetchall())
        rows = connection.execute(f"SELECT * FROM shop.{quoted(table)}").fetchall()
    return Held(types, _dicts(types, rows))


def _in_postgres(schema: str, table: str) -> Held:
    server = postgres_server()
    server.execute("SET timezone = 'UTC'")
    types: dict[str, str] = dict(
        server.execute(
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON "
            "c.oid = a.attrelid WHERE c.relnamespace = to_regnamespace(%s) AND c.relname = %s AND a.attnum > 0 "
            "AND NOT a.attisdropped ORDER BY a.attnum",
            [schema, table],
        ).fetchall()
    )
    texts = ", ".join(f"{quoted(name)}::text" for name in types)
    rows = server.execute(f"SELECT {texts} FROM {schema}.{quoted(table)}".encode()).fetchall()
    return Held(types, _dicts(types, rows))


def _in_mysql(schema: str, table: str) -> Held:
    connection = mysql_connect(conv={})
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name, trim(concat(column_type, ' ', column_comment)) FROM information_schema.columns "
                f"WHERE table_schema = '{schema}' AND table_name = '{table}' ORDER BY ordinal_position"
            )
            types: dict[str, str] = dict(cursor.fetchall())
            cursor.execute(f"SELECT * FROM {schema}.{quoted(table, '`')}")
            return Held(types, _dicts(types, cursor.fetchall()))
    finally:
        connection.close()


def _in_sqlite(path: str, table: str) -> Held:
    connection = sqlite3.connect(path)
    try:
        name = f"shop__{table}"
        types = dict(
            connection.execute("SELECT name, type FROM pragma_table_info(?)", [name]).fetchall()
        )
        return Held(
            types, _dicts(types, connection.execute(f"SELECT * FROM {quoted(name)}").fetchall())
        )
    finally:
        connection.close()


def as_type(value: Any, type_: pa.DataType) -> Any:  # noqa: C901, PLR0911 - one line per family
    """Return a value as Python's of a type: what is text is read, what the driver has read is taken as it is."""
    if value is None:
        return None
    if pa.types.is_boolean(type_):
        return {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
    if pa.types.is_integer(type_):
        return int(value)
    if pa.types.is_decimal(type_):
        return Decimal(value)
    if pa.types.is_float32(type_):
        return float(np.float32(value))
    if pa.types.is_floating(type_):
        return float(value)
    if pa.types.is_binary(type_):
        return bytes.fromhex(value[2:]) if isinstance(value, str) else value
    if pa.types.is_date(type_):
        return date.fromisoformat(str(value))
    if pa.types.is_time(type_):
        return time.fromisoformat(str(value))
    if pa.types.is_timestamp(type_):
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if type_.tz is None:
            assert moment.tzinfo is None
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return str(value)
