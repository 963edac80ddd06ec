"""The columns of a table of PostgreSQL as its catalog has them, where all are of plain types.

One question and no more: SQLAlchemy's reflection takes twenty times as long, and asks for what no
read needs. It is still asked where a column is of any other type, such as an array, a domain or
one of an extension; the tests hold both to the same answer.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.sources.sql.described import postgres_type
from etl_assets.sources.sql.expressions import CHAR, Declared, TableClause
from etl_assets.sources.sql.reflection import SqlColumn, SqlTable
from etl_assets.sources.sql.types import SqlType

if TYPE_CHECKING:
    from etl_assets.sources.sql.connection import Snapshot

_COLUMNS = """
SELECT a.attname, t.typname, t.typtype, n.nspname = 'pg_catalog', t.typcategory,
    pg_catalog.format_type(a.atttypid, a.atttypmod), a.atttypmod, a.attnotnull,
    pg_catalog.col_description(c.oid, a.attnum), a.attcollation <> t.typcollation,
    (SELECT max(length(e.enumlabel)) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
    CASE WHEN c.relkind IN ('r', 'p', 'm', 'f') AND c.reltuples > 0
        AND s.nspname = coalesce(CAST(%(schema)s AS text), current_schema())
        THEN CAST(c.reltuples AS bigint) END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE c.relname = %(name)s AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
AND CASE WHEN CAST(%(schema)s AS text) IS NULL
    THEN pg_catalog.pg_table_is_visible(c.oid) AND s.nspname <> 'pg_catalog'
    ELSE s.nspname = %(schema)s END
ORDER BY a.attnum"""

_DECLARED = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "REAL",
    "float8": "DOUBLE PRECISION",
    "numeric": "NUMERIC",
    "varchar": "VARCHAR",
    "bpchar": "CHAR",
    "text": "TEXT",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP",
    "time": "TIME",
    "uuid": "UUID",
    "json": "JSON",
    "jsonb": "JSONB",
    "bytea": "BYTEA",
}
"""Types whose columns are read as they are, and what SQLAlchemy calls them."""

_BASE, _ENUM = "b", "e"
_WITHOUT_LENGTH = -1


def plain_table(snapshot: "Snapshot", name: str, schema: str | None) -> SqlTable | None:
    """Return a table or view all of whose columns are of plain types.

    It is None where there is no such table, or where SQLAlchemy has to reflect it.

    Args:
        snapshot: A direct connection.
        name: The table's.
        schema: None for the first in the search path that has it.
    """
    given = {"name": name, "schema": schema}
    rows = list(snapshot.connection.exec_driver_sql(_COLUMNS, given))
    if not rows:
        return None
    clause = TableClause(name, [row[0] for row in rows], schema)
    columns = {}
    for column, *described, not_null, comment, is_collated, longest, _ in rows:
        found = None if is_collated else _type(described, longest)
        if found is None:
            return None
        type_, declared = found
        columns[column] = SqlColumn(
            column, type_, declared, not not_null, comment, clause.c[column]
        )
    return SqlTable(name, schema, clause, columns, estimate=rows[0][-1])


def _type(described: Sequence[Any], longest: int | None) -> tuple[SqlType, Any] | None:
    """Return how a column is read, and the type it is declared as; None where it is not plain.

    Args:
        described: The type's name, its kind, whether it is PostgreSQL's own, its category, what it
            is shown as, and its modifier.
        longest: The characters of the longest label of an enum.
    """
    name, kind, is_own, category, shown, modifier = described
    if kind == _ENUM and longest:
        import pyarrow as pa

        return SqlType("text", pa.string(), "text"), Declared(f"VARCHAR({longest})")
    is_plain = kind == _BASE and is_own and name in _DECLARED
    if not is_plain or (name == "bpchar" and modifier == _WITHOUT_LENGTH):
        return None
    type_ = postgres_type(name, category, modifier)
    if type_ is None:
        return None
    arguments = ""
    if name in {"numeric", "varchar", "bpchar"} and "(" in shown:
        arguments = shown[shown.index("(") :].replace(",", ", ")
    return type_, (CHAR if name == "bpchar" else Declared)(_DECLARED[name] + arguments)
