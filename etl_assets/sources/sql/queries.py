"""A stream that is a query of the user's: its columns and their types, as the database describes the result."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError
from etl_assets.sources.sql.reflection import SqlColumn, SqlTable
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
}
_MYSQL: Mapping[int, tuple[Kind, str]] = {
    **dict.fromkeys((1, 2, 3, 8, 9), ("integer", "int64")),
    **dict.fromkeys((4, 5), ("float", "float64")),
    7: ("instant", "timestamp[us]"),
    10: ("date", "date32"),
    12: ("timestamp", "timestamp[us]"),
}
"""By the type codes of MySQL's protocol."""

_DECIMALS = {0, 246}


def table_of_query(snapshot: "Snapshot", name: str, sql: str) -> SqlTable:
    """Give a query as something to select from.

    Args:
        snapshot: The open connection.
        name: The stream's.
        sql: One SELECT statement.

    Raises:
        ConfigError: Two columns of the result have one name, or one has none.
        SourceError: The database does not understand the query.
    """
    import sqlalchemy as sa

    # A colon would be a parameter.
    text = sa.text(sql.strip().rstrip(";").replace(":", r"\:"))
    empty: sa.Select[Any] = (
        sa.select(sa.literal_column("*")).select_from(text.columns().subquery("q")).where(sa.false())
    )
    with snapshot.connection.execute(empty) as result:
        described: list[Any] = list(result.cursor.description or ())
    names = [str(one[0]) for one in described]
    twice = {one for one in names if names.count(one) > 1 or not one.strip() or one == "?column?"}
    if twice:
        raise ConfigError(
            f"stream {name!r}: its query gives columns that have no name of their own: {', '.join(sorted(twice))}.",
            hint='Name each of them: SELECT price * 2 AS "double".',
            stream=name,
        )
    types = _types(snapshot, described)
    clause = text.columns(*(sa.column(sa.sql.quoted_name(one, quote=True)) for one in names)).subquery("q")
    columns = {
        one: SqlColumn(one, type_, told, nullable=True, comment=None, expression=clause.c[one])
        for one, (type_, told) in zip(names, types, strict=True)
    }
    return SqlTable(name, None, clause, columns)


def _types(snapshot: "Snapshot", described: list[Any]) -> list[tuple[SqlType, str]]:
    if snapshot.dialect == "postgresql":
        return _postgres_types(snapshot, described)
    if snapshot.is_mysql:
        return [(_mysql_type(one), f"type {one[1]}") for one in described]
    return [(SqlType("any", None), "")] * len(described)


def _postgres_types(snapshot: "Snapshot", described: list[Any]) -> list[tuple[SqlType, str]]:
    import sqlalchemy as sa

    oids = sorted({int(one[1]) for one in described})
    asked = sa.text("SELECT oid, typname, typcategory FROM pg_catalog.pg_type WHERE oid = ANY (:oids)")
    known = {int(oid): (str(n), str(c)) for oid, n, c in snapshot.connection.execute(asked, {"oids": oids})}
    types = []
    for one in described:
        name, category = known.get(int(one[1]), ("", ""))
        types.append((_postgres_type(name, category, one), name))
    return types


def _postgres_type(name: str, category: str, described: Any) -> SqlType:
    import pyarrow as pa

    from etl_assets.protocol.types import json_type

    if name == "numeric":
        return decimal_type(described[4], described[5], as_text=True)
    if category == "A":
        return SqlType("json", json_type(), "json")
    if name in {"json", "jsonb"}:
        return SqlType("json", json_type(), "text")
    if name not in _POSTGRES:
        return SqlType("other", pa.string(), "text")
    kind, arrow = _POSTGRES[name]
    how: Any = "text" if kind in {"uuid", "date", "timestamp", "instant", "time"} else "native"
    return SqlType(kind, _arrow(kind, arrow), "double" if name == "float4" else how)


def _mysql_type(described: Any) -> SqlType:
    if described[1] in _DECIMALS:
        return SqlType("number", None)
    if described[1] not in _MYSQL:
        return SqlType("any", None)
    kind, arrow = _MYSQL[described[1]]
    return SqlType(kind, _arrow(kind, arrow), "text" if kind in {"instant", "date", "timestamp"} else "native")


def _arrow(kind: Kind, name: str) -> Any:
    import pyarrow as pa

    return pa.timestamp("us", "UTC") if kind == "instant" else pa.type_for_alias(name)
