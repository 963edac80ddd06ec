"""DuckDB's types: what each is to be read as."""

from typing import TYPE_CHECKING, Any

from etl_assets.model.schema.types import json_type
from etl_assets.model.values.arrow_columns import normalised
from etl_assets.model.values.duckdb_values import ARROW_TYPES, NESTED, WHOLE, readable
from etl_assets.sources.sql.types import Kind, SqlType

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.sources.sql.connection import Snapshot

_KINDS: dict[str, Kind] = {
    "boolean": "boolean",
    "tinyint": "integer",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "utinyint": "integer",
    "usmallint": "integer",
    "uinteger": "integer",
    "ubigint": "integer",
    "float": "float",
    "double": "float",
    "date": "date",
    "time": "time",
    "time_ns": "other",
    "timestamp": "timestamp",
    "timestamp_s": "timestamp",
    "timestamp_ms": "timestamp",
    "timestamp_ns": "other",
    "varchar": "text",
    "enum": "text",
    "uuid": "uuid",
    "blob": "binary",
}
"""Of the types whose values Arrow has. Nanoseconds are no bookmark: Python has none."""


def types_of(snapshot: "Snapshot", relation: Any) -> dict[str, tuple[SqlType, Any]]:
    """Return how each column of a table, view or query is read, and DuckDB's type.

    Args:
        snapshot: The open connection.
        relation: What to select from.
    """
    import sqlalchemy as sa

    nothing: sa.Select[Any] = (
        sa.select(sa.literal_column("*")).select_from(relation).where(sa.false())
    )
    with snapshot.connection.execute(nothing) as result:
        described: list[Any] = list(result.cursor.description or ())
    return {str(one[0]): (type_of(one[1]), one[1]) for one in described}


def type_of(declared: Any) -> SqlType:
    """Return how values of a type of DuckDB's are read."""
    import pyarrow as pa

    name = str(declared.id)
    if str(declared) == "JSON":
        return SqlType("json", json_type())
    if name in ARROW_TYPES:
        kind, arrow = _KINDS[name], ARROW_TYPES[name]
        # As a text, where a single value is asked for: Python has no infinite date, and gives
        # another one.
        return SqlType(kind, pa.type_for_alias(arrow), "text" if kind in _AS_TEXT else "native")
    if name == "timestamp with time zone":
        return SqlType("instant", pa.timestamp("us", "UTC"), "text")
    if name == "decimal":
        digits = dict(declared.children)
        return SqlType("decimal", pa.decimal128(digits["precision"], digits["scale"]))
    if name in WHOLE:
        return SqlType("number", None, "text")
    is_text = name not in NESTED or readable(declared) == "VARCHAR"
    return SqlType("other", pa.string() if is_text else _nested_type(declared), "text")


_AS_TEXT = {"date", "time", "timestamp", "instant", "uuid", "other"}


def _nested_type(declared: Any) -> "pa.DataType":
    """Return the type in which lists, structs and maps are stored, taken from an empty column."""
    import duckdb

    with duckdb.connect() as connection:
        found = connection.sql(
            f"SELECT CAST(NULL AS {readable(declared) or declared}) AS c"
        ).to_arrow_table()
    return normalised(found.slice(0, 0), "", texts_are_known=True).schema.field(0).type
