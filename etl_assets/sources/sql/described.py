"""The types of a result, as the database describes it.

They are asked for where the result is that of the user's query, and for columns that reflection
knows too little of.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.model.schema.types import json_type
from etl_assets.sources.sql.types import TIMES, How, Kind, SqlType, decimal_type

if TYPE_CHECKING:
    from etl_assets.sources.sql.connection import Snapshot

_POSTGRES: Mapping[str, tuple[Kind, str]] = {
    "bool": ("boolean", "bool"),
    "int2": ("integer", "int16"),
    "int4": ("integer", "int32"),
    "int8": ("integer", "int64"),
    "oid": ("integer", "uint32"),
    "float4": ("float", "float32"),
    "float8": ("float", "float64"),
    "date": ("date", "date32"),
    "timestamp": ("timestamp", "timestamp[us]"),
    "timestamptz": ("instant", "timestamp[us]"),
    "time": ("time", "time64[us]"),
    "bytea": ("binary", "binary"),
    "text": ("text", "string"),
    "varchar": ("text", "string"),
    "bpchar": ("text", "string"),
    "uuid": ("uuid", "string"),
    "timetz": ("other", "string"),
}
_MYSQL: Mapping[int, tuple[Kind, str]] = {
    **dict.fromkeys((1, 2, 3, 8, 9), ("integer", "int64")),
    4: ("float", "float32"),
    5: ("float", "float64"),
    7: ("instant", "timestamp[us]"),
    10: ("date", "date32"),
    11: ("time", "time64[us]"),
    12: ("timestamp", "timestamp[us]"),
    16: ("integer", "uint64"),
}
"""By the type codes of MySQL's protocol."""

_DECIMALS = {0, 246}
_SINGLE, _BITS = 4, 16


def described_types(snapshot: "Snapshot", described: Sequence[Any]) -> list[tuple[SqlType, Any]]:
    """Return how each column of a result is read, and its type as the database has it, or calls it.

    Args:
        snapshot: The open connection.
        described: The cursor's description.
    """
    if snapshot.dialect == "postgresql":
        found = postgres_types(snapshot, described)
        return [
            (type_ or SqlType("other", _arrow("text", "string"), "text"), name)
            for type_, name in found
        ]
    if snapshot.is_mysql:
        return [(_mysql_type(one), f"type {one[1]}") for one in described]
    if snapshot.dialect == "duckdb":
        from etl_assets.sources.sql.duckdb.types import type_of

        return [(type_of(one[1]), one[1]) for one in described]
    return [(SqlType("any", None), "")] * len(described)


def postgres_types(
    snapshot: "Snapshot", described: Sequence[Any]
) -> list[tuple[SqlType | None, str]]:
    """Return how each column of a result is read, and the name of its type.

    The way of reading is None where there is only a column's text to read. Of a domain PostgreSQL
    describes the type below, with precision and scale.
    """
    import sqlalchemy as sa

    oids = sorted({int(one[1]) for one in described})
    asked = sa.text(
        "SELECT oid, typname, typcategory FROM pg_catalog.pg_type WHERE oid = ANY (:oids)"
    )
    known = {
        int(oid): (str(n), str(c))
        for oid, n, c in snapshot.connection.execute(asked, {"oids": oids})
    }
    types = []
    for one in described:
        name, category = known.get(int(one[1]), ("", ""))
        types.append((_postgres_type(name, category, one[4], one[5]), name))
    return types


_COLUMNS = """
WITH RECURSIVE below (name, type, modifier) AS (
    SELECT a.attname, a.atttypid, a.atttypmod
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relname = :name
    AND CASE WHEN CAST(:schema AS text) IS NULL
        THEN pg_catalog.pg_table_is_visible(c.oid) AND n.nspname <> 'pg_catalog'
        ELSE n.nspname = :schema END
    UNION ALL
    SELECT b.name, t.typbasetype, t.typtypmod
    FROM below b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
)
SELECT b.name, t.typname, t.typcategory, b.modifier
FROM below b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype <> 'd'
"""
"""The type of each column of a table.

A domain's is the type at its bottom, which alone can have a modifier.
"""


def postgres_column_types(
    snapshot: "Snapshot", name: str, schema: str | None
) -> dict[str, tuple[SqlType | None, str]]:
    """Return how each column of a table is read, and the name of its type.

    The way of reading is None where there is only a column's text to read. Only the catalog is
    asked: of a table that the user may not read, it tells the same.

    Args:
        snapshot: The open connection.
        name: The table's or view's.
        schema: None for the first in the search path that has it.
    """
    import sqlalchemy as sa

    types = {}
    for column, type_, category, modifier in snapshot.connection.execute(
        sa.text(_COLUMNS), {"name": name, "schema": schema}
    ):
        found = postgres_type(str(type_), str(category), int(modifier))
        types[str(column)] = (found, str(type_))
    return types


def postgres_type(name: str, category: str, modifier: int) -> SqlType | None:
    """Return how a column of a type of PostgreSQL's own is read; None for any other.

    Args:
        name: The type's.
        category: Its category in the catalog.
        modifier: What is said of it beside its name.
    """
    return _postgres_type(name, category, *_digits(modifier))


def _digits(modifier: int) -> tuple[int | None, int | None]:
    """Return the precision and scale that a numeric's modifier says.

    The scale has eleven bits, one for its sign.
    """
    if modifier < 0:
        return None, None
    packed = modifier - 4
    return packed >> 16, ((packed & 0x7FF) ^ 0x400) - 0x400


def _postgres_type(
    name: str, category: str, precision: int | None, scale: int | None
) -> SqlType | None:
    if name == "numeric":
        return decimal_type(precision, scale, as_text=True)
    if category == "A":
        return SqlType("json", json_type(), "json")
    if name in {"json", "jsonb"}:
        return SqlType("json", json_type(), "text")
    if name not in _POSTGRES:
        return None
    kind, arrow = _POSTGRES[name]
    how: How = "native"
    if kind in {"uuid", "other", *TIMES}:
        how = "text"
    elif name == "float4":
        how = "double"
    return SqlType(kind, _arrow(kind, arrow), how)


def _mysql_type(described: Any) -> SqlType:
    code = described[1]
    if code in _DECIMALS:
        return SqlType("number", None)
    if code not in _MYSQL:
        return SqlType("any", None)
    kind, arrow = _MYSQL[code]
    how: How = "native"
    if kind in TIMES:
        how = "text"
    elif code == _SINGLE:
        how = "double"
    elif code == _BITS:
        how = "integer"
    return SqlType(kind, _arrow(kind, arrow), how)


def _arrow(kind: Kind, name: str) -> Any:
    import pyarrow as pa

    return pa.timestamp("us", "UTC") if kind == "instant" else pa.type_for_alias(name)
