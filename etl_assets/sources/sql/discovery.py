"""The streams that a database's tables, views and queries make."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from etl_assets.model.stream import Stream
from etl_assets.naming import OWN_TABLES
from etl_assets.redaction.logs import masked_logger
from etl_assets.sources.sql.estimates import row_estimates
from etl_assets.sources.sql.reflection import (
    SqlColumn,
    SqlTable,
    reflected,
    tables_and_views,
    unknown_types_let_pass,
)
from etl_assets.sources.sql.sqlite.times import type_of_values, values_have_zone
from etl_assets.sources.sql.types import SqlType

if TYPE_CHECKING:
    import sqlalchemy as sa

    from etl_assets.sources.sql.connection import Snapshot

_logger = masked_logger(__name__)

_DENIED = 1142
"""MySQL: a right on this table or view is missing."""

CURSOR_KINDS = frozenset({"integer", "date", "timestamp", "instant"})
"""What is offered as a replication key; more kinds can be one."""


def discovered(
    snapshot: "Snapshot",
    schemas: Sequence[str | None],
    include: Sequence[str],
    exclude: Sequence[str],
    named: Sequence[str] = (),
) -> list[Stream]:
    """Return a stream for each table and view.

    The tables that this library keeps for itself are left out, unless a glob names them.

    Args:
        snapshot: The open connection.
        schemas: Where to look; None is the default schema.
        include: Globs for `table` or `schema.table`; none for all.
        exclude: The same, for what to leave out.
        named: The same, for what is asked for; nothing else is left out by it.
    """
    import sqlalchemy as sa

    inspector = sa.inspect(snapshot.connection)
    streams = []
    for schema in schemas:
        estimates = row_estimates(snapshot, schema)
        for name, is_view in tables_and_views(snapshot, inspector, schema):
            if _is_left_out(schema, name, include, exclude, named):
                continue
            try:
                found = _found(snapshot, inspector, name, schema, is_view=is_view)
            except sa.exc.SQLAlchemyError as error:
                reason = _closed_view(error, snapshot) if is_view else None
                if reason is None:
                    raise
                place = f"{schema}.{name}" if schema else name
                _logger.warning("The view %r is left out: %s", place, reason)
            else:
                streams.append(_stream(snapshot, found, rows=estimates.get(name)))
    for glob in include:
        if not any(_matches(one.namespace, one.stream, glob) for one in streams):
            _logger.warning("include: no table or view matches %r", glob)
    return streams


def _is_left_out(
    schema: str | None,
    name: str,
    include: Sequence[str],
    exclude: Sequence[str],
    named: Sequence[str],
) -> bool:
    def is_any(globs: Iterable[str]) -> bool:
        return any(_matches(schema, name, glob) for glob in globs)

    if _is_ours(name) and not is_any(glob for glob in (*include, *named) if _is_ours(glob)):
        return True
    return (bool(include) and not is_any(include)) or is_any(exclude)


def _is_ours(name: str) -> bool:
    """Return whether a name belongs to the tables that this library keeps, which are no data.

    It may be a glob, of which `*` does not.
    """
    return name.rpartition(".")[2].casefold().startswith(OWN_TABLES)


def _matches(schema: str | None, name: str, glob: str) -> bool:
    """Return whether a glob for `table` or `schema.table` means a table."""
    return fnmatchcase(name, glob) or (bool(schema) and fnmatchcase(f"{schema}.{name}", glob))


def _closed_view(error: "sa.exc.SQLAlchemyError", snapshot: "Snapshot") -> str | None:
    """Return why a database does not tell a view's columns.

    It is None where the cause is not the view itself.
    """
    import sqlalchemy as sa

    of_driver = isinstance(error, sa.exc.DBAPIError)
    if snapshot.dialect == "duckdb":
        return "what it selects from is gone, or cannot be read." if of_driver else None
    if not snapshot.is_mysql:
        return None
    if isinstance(error, sa.exc.UnreflectableTableError):
        return "what it selects from is gone, or its definer may not read it."
    of_server = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    if of_server is not None and of_server.args[:1] == (_DENIED,):
        return "this user may not see its columns: GRANT SELECT, SHOW VIEW."
    return None


@dataclass(frozen=True)
class _Found:
    """A table or view, and what is said of it as a whole."""

    table: SqlTable
    is_view: bool
    key: Sequence[str]
    unique: Sequence[Sequence[str]]
    comment: str | None


def _found(
    snapshot: "Snapshot", inspector: "sa.Inspector", name: str, schema: str | None, *, is_view: bool
) -> _Found:
    with unknown_types_let_pass(name):
        table = reflected(snapshot, name, schema, inspector.get_columns(name, schema=schema))
        constraint = inspector.get_pk_constraint(name, schema=schema) or {}
        key = tuple(constraint.get("constrained_columns") or ())
        unique = [] if is_view else _unique_keys(inspector, table)
        comment = _comment(inspector, table)
    if unique and not key:
        key = unique[0]  # it tells rows apart just as well
    return _Found(table, is_view, key, unique, comment)


def _stream(snapshot: "Snapshot", found: _Found, *, rows: int | None) -> Stream:
    table = found.table
    properties = {one.name: _property(snapshot, one) for one in table.columns.values()}
    of_columns = [_metadata(one, is_key=one.name in found.key) for one in table.columns.values()]
    return Stream(
        table.name,
        namespace=table.schema,
        schema={"type": "object", "properties": properties},
        primary_key=tuple(found.key),
        metadata=[{"breadcrumb": [], "metadata": _own_metadata(found, rows)}, *of_columns],
        description=found.comment,
    )


def _own_metadata(found: _Found, rows: int | None) -> dict[str, Any]:
    """Return the metadata of a stream as a whole, in Singer's words."""
    own: dict[str, Any] = {
        "inclusion": "available",
        "selected-by-default": True,
        "is-view": found.is_view,
    }
    if rows is not None:
        own["row-count"] = rows
    if found.unique:
        own["unique-keys"] = [list(one) for one in found.unique]
    own["view-key-properties" if found.is_view else "table-key-properties"] = list(found.key)
    own["valid-replication-keys"] = _replication_keys(found.table)
    return own


def _metadata(column: SqlColumn, *, is_key: bool) -> dict[str, Any]:
    """Return the metadata of a column.

    It says nothing of selection: a stream none of whose columns is picked is read whole, with its
    new ones if it takes them.
    """
    is_known = type(column.declared).__name__ != "NullType"
    said = {
        "inclusion": "automatic" if is_key else "available",
        "sql-datatype": str(column.declared) if is_known else "",
    }
    return {"breadcrumb": ["properties", column.name], "metadata": said}


def _replication_keys(table: SqlTable) -> list[str]:
    """Return the columns that can be a replication key."""
    return [one.name for one in table.columns.values() if one.type.kind in CURSOR_KINDS]


def stream_of_query(table: SqlTable) -> Stream:
    """Return the stream of a query; its keys are for the user to say."""
    own = {
        "inclusion": "available",
        "selected-by-default": True,
        "is-view": True,
        "valid-replication-keys": _replication_keys(table),
    }
    of_values = {"x-arrow": "values"}  # what no database says beforehand, the rows will
    properties = {
        c.name: c.type.property(nullable=True) or of_values for c in table.columns.values()
    }
    return Stream(
        table.name,
        schema={"type": "object", "properties": properties},
        metadata=[{"breadcrumb": [], "metadata": own}],
    )


def _unique_keys(inspector: "sa.Inspector", table: SqlTable) -> list[tuple[str, ...]]:
    """Return the unique constraints none of whose columns can be NULL, the shortest first."""
    try:
        found = inspector.get_unique_constraints(table.name, schema=table.schema)
    except NotImplementedError:  # a database without them
        return []
    never_null = {one.name for one in table.columns.values() if not one.nullable}
    keys = {tuple(one["column_names"]) for one in found}
    whole = [key for key in keys if key and never_null.issuperset(key)]
    return sorted(whole, key=lambda key: (len(key), key))


def _property(snapshot: "Snapshot", column: SqlColumn) -> dict[str, Any]:
    import pyarrow as pa

    type_ = column.type
    if snapshot.dialect == "sqlite" and type_.kind == "timestamp":
        # SQLite's type does not say whether its texts have a zone; the texts do.
        zoned = values_have_zone(snapshot, column.expression)
        type_ = SqlType("timestamp", pa.timestamp("us", "UTC" if zoned else None))
    elif snapshot.dialect == "sqlite" and type_.kind == "any":
        type_ = SqlType("any", type_of_values(snapshot, column.expression))
    elif snapshot.is_mysql and type_.kind == "time":
        # A time beyond a day stays text; a batch without such a value says that it is a time.
        type_ = SqlType("time", pa.string())
    prop = type_.property(nullable=column.nullable)
    if column.comment:
        prop["description"] = column.comment
    return prop


def _comment(inspector: "sa.Inspector", table: SqlTable) -> str | None:
    with suppress(NotImplementedError):  # a database without comments
        return inspector.get_table_comment(table.name, schema=table.schema).get("text") or None
    return None
