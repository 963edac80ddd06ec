"""DuckDB's types: what each is to be read as, and which ones Arrow would change."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.model.schema.types import json_type
from etl_assets.model.values.arrow_columns import normalised
from etl_assets.sources.sql.types import Kind, SqlType

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.sources.sql.connection import Snapshot

_PLAIN: dict[str, tuple[Kind, str]] = {
    "boolean": ("boolean", "bool"),
    "tinyint": ("integer", "int8"),
    "smallint": ("integer", "int16"),
    "integer": ("integer", "int32"),
    "bigint": ("integer", "int64"),
    "utinyint": ("integer", "uint8"),
    "usmallint": ("integer", "uint16"),
    "uinteger": ("integer", "uint32"),
    "ubigint": ("integer", "uint64"),
    "float": ("float", "float"),
    "double": ("float", "double"),
    "date": ("date", "date32"),
    "time": ("time", "time64[us]"),
    "time_ns": ("other", "time64[ns]"),
    "timestamp": ("timestamp", "timestamp[us]"),
    "timestamp_s": ("timestamp", "timestamp[s]"),
    "timestamp_ms": ("timestamp", "timestamp[ms]"),
    "timestamp_ns": ("other", "timestamp[ns]"),
    "varchar": ("text", "string"),
    "enum": ("text", "string"),
    "uuid": ("uuid", "string"),
    "blob": ("binary", "binary"),
}
"""The types whose values Arrow has, by DuckDB's names. Nanoseconds are no bookmark: Python has none."""

WHOLE = {"hugeint", "uhugeint", "bignum"}
"""Whole numbers of more digits than Arrow's decimals have, which come out as other numbers."""

_NESTED = {"list", "array", "struct", "map", "union"}


def types_of(snapshot: "Snapshot", relation: Any) -> dict[str, tuple[SqlType, Any]]:
    """Give how each column of a table, view or query is read, and DuckDB's type.

    Args:
        snapshot: The open connection.
        relation: What to select from.
    """
    import sqlalchemy as sa

    nothing: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(relation).where(sa.false())
    with snapshot.connection.execute(nothing) as result:
        described: list[Any] = list(result.cursor.description or ())
    return {str(one[0]): (type_of(one[1]), one[1]) for one in described}


def type_of(declared: Any) -> SqlType:
    """Give how values of a type of DuckDB's are read."""
    import pyarrow as pa

    name = str(declared.id)
    if str(declared) == "JSON":
        return SqlType("json", json_type())
    if name in _PLAIN:
        kind, arrow = _PLAIN[name]
        # As a text, where a single value is asked for: Python has no infinite date, and gives another one.
        return SqlType(kind, pa.type_for_alias(arrow), "text" if kind in _AS_TEXT else "native")
    if name == "timestamp with time zone":
        return SqlType("instant", pa.timestamp("us", "UTC"), "text")
    if name == "decimal":
        digits = dict(declared.children)
        return SqlType("decimal", pa.decimal128(digits["precision"], digits["scale"]))
    if name in WHOLE:
        return SqlType("number", None, "text")
    is_text = name not in _NESTED or readable(declared) == "VARCHAR"
    return SqlType("other", pa.string() if is_text else _nested_type(declared), "text")


_AS_TEXT = {"date", "time", "timestamp", "instant", "uuid", "other"}


def _nested_type(declared: Any) -> "pa.DataType":
    """Give the type in which lists, structs and maps are stored: that of a column without a row."""
    import duckdb

    with duckdb.connect() as connection:
        found = connection.sql(f"SELECT CAST(NULL AS {readable(declared) or declared}) AS c").to_arrow_table()
    return normalised(found.slice(0, 0), "", texts_are_known=True).schema.field(0).type


def readable(declared: Any) -> str | None:
    """Give the type to cast to before Arrow has the values; None where they are those of Arrow as they are."""
    name = str(declared.id)
    if name == "struct" and not all(of for of, _ in declared.children):
        return "VARCHAR"  # what Arrow could not tell apart
    if name in _NESTED:
        inner = [(of, child, readable(child)) for of, child in declared.children if hasattr(child, "id")]
        return None if all(cast is None for _, _, cast in inner) else _renewed(declared, name, inner)
    known = name in _PLAIN or name in {"decimal", "timestamp with time zone", '"null"', "null", "sqlnull"}
    return None if known else "VARCHAR"


def _renewed(declared: Any, name: str, inner: Sequence[tuple[str, Any, str | None]]) -> str:
    types = [cast or str(child) for _, child, cast in inner]
    if name == "list":
        return f"{types[0]}[]"
    if name == "array":
        return f"{types[0]}[{dict(declared.children)['size']}]"
    if name == "map":
        return f"MAP({types[0]}, {types[1]})"
    # A union's first child is the number of the one that it holds.
    named = [(of, type_) for (of, _, _), type_ in zip(inner, types, strict=True) if not (name == "union" and not of)]
    quoted = ", ".join(f'"{of.replace(chr(34), 2 * chr(34))}" {type_}' for of, type_ in named)
    return f"{'UNION' if name == 'union' else 'STRUCT'}({quoted})"
