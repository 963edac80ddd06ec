"""Types as a database describes a result: of a query of the user's, and of columns that reflection cannot tell."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.protocol.types import json_type
from etl_assets.sources.sql.types import Kind, SqlType, decimal_type

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


def described_types(snapshot: "Snapshot", described: Sequence[Any]) -> list[tuple[SqlType, str]]:
    """Give how each column of a result is read, and what its type is called.

    Args:
        snapshot: The open connection.
        described: The cursor's description.
    """
    if snapshot.dialect == "postgresql":
        found = postgres_types(snapshot, described)
        return [(type_ or SqlType("other", _arrow("text", "string"), "text"), name) for type_, name in found]
    if snapshot.is_mysql:
        return [(_mysql_type(one), f"type {one[1]}") for one in described]
    return [(SqlType("any", None), "")] * len(described)


def postgres_types(snapshot: "Snapshot", described: Sequence[Any]) -> list[tuple[SqlType | None, str]]:
    """Give how each column of a result is read, None where only its text is left, and the type's name.

    Of a domain PostgreSQL describes the type below, with precision and scale.
    """
    import sqlalchemy as sa

    oids = sorted({int(one[1]) for one in described})
    asked = sa.text("SELECT oid, typname, typcategory FROM pg_catalog.pg_type WHERE oid = ANY (:oids)")
    known = {int(oid): (str(n), str(c)) for oid, n, c in snapshot.connection.execute(asked, {"oids": oids})}
    types = []
    for one in described:
        name, category = known.get(int(one[1]), ("", ""))
        types.append((_postgres_type(name, category, one), name))
    return types


def _postgres_type(name: str, category: str, described: Any) -> SqlType | None:
    if name == "numeric":
        return decimal_type(described[4], described[5], as_text=True)
    if category == "A":
        return SqlType("json", json_type(), "json")
    if name in {"json", "jsonb"}:
        return SqlType("json", json_type(), "text")
    if name not in _POSTGRES:
        return None
    kind, arrow = _POSTGRES[name]
    how: Any = "text" if kind in {"uuid", "date", "timestamp", "instant", "time", "other"} else "native"
    return SqlType(kind, _arrow(kind, arrow), "double" if name == "float4" else how)


def _mysql_type(described: Any) -> SqlType:
    code = described[1]
    if code in _DECIMALS:
        return SqlType("number", None)
    if code not in _MYSQL:
        return SqlType("any", None)
    kind, arrow = _MYSQL[code]
    how: Any = {_SINGLE: "double", _BITS: "integer"}.get(code, "native")
    return SqlType(kind, _arrow(kind, arrow), "text" if kind in {"instant", "date", "timestamp", "time"} else how)


def _arrow(kind: Kind, name: str) -> Any:
    import pyarrow as pa

    return pa.timestamp("us", "UTC") if kind == "instant" else pa.type_for_alias(name)
