"""What a database says of its tables: columns, keys, comments, and the streams they make."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError, SourceError, did_you_mean
from etl_assets.model import selection
from etl_assets.model.stream import Stream
from etl_assets.naming import OWN_TABLES
from etl_assets.redaction.logs import masked_logger
from etl_assets.sources.sql.described import postgres_column_types
from etl_assets.sources.sql.duckdb.types import types_of
from etl_assets.sources.sql.sqlite.times import type_of_values, values_have_zone
from etl_assets.sources.sql.types import MySqlGeometry, SqlType, sql_type

if TYPE_CHECKING:
    import sqlalchemy as sa

    from etl_assets.sources.sql.connection import Snapshot

_logger = masked_logger(__name__)

_DENIED = 1142
"""MySQL: a right on this table or view is missing."""

CURSOR_KINDS = frozenset({"integer", "date", "timestamp", "instant"})
"""What is offered as a replication key; more kinds can be one."""


@dataclass(frozen=True)
class SqlColumn:
    """One column of a table.

    Args:
        name: Its name.
        type: How its values are read.
        declared: Its reflected type.
        nullable: Whether it may be NULL; True where the database does not say.
        comment: The database's comment.
        expression: The column in a statement.
    """

    name: str
    type: SqlType
    declared: Any
    nullable: bool
    comment: str | None
    expression: Any


@dataclass(frozen=True)
class SqlTable:
    """A table or view as it is in the snapshot."""

    name: str
    schema: str | None
    clause: "sa.FromClause"
    columns: Mapping[str, SqlColumn]

    def column(self, name: str, *, stream: str, role: str) -> SqlColumn:
        """Return a column.

        Raises:
            ConfigError: There is none of this name; the error names the nearest.
        """
        if name not in self.columns:
            raise ConfigError(
                f"stream {stream!r}: its {role} {name!r} is no column of {self.name!r}.",
                hint=did_you_mean(name, self.columns),
                stream=stream,
            )
        return self.columns[name]


def table_of(snapshot: "Snapshot", stream: Stream, default_schema: str | None) -> SqlTable:
    """Look up the table a stream is read from.

    Raises:
        ConfigError: There is no such table or view; the error names the nearest.
    """
    import sqlalchemy as sa

    name = stream.table or stream.stream
    schema = stream.namespace or default_schema
    inspector = sa.inspect(snapshot.connection)
    try:
        with _quietly(name):
            columns = inspector.get_columns(name, schema=schema)
    except sa.exc.NoSuchTableError:
        columns = []
    if not columns:
        if inspector.has_table(name, schema=schema):  # PostgreSQL lets a table have none
            raise ConfigError(
                f"stream {stream.name!r}: the table {f'{schema}.{name}' if schema else name!r} has no columns.",
                hint="There is nothing to read in it: leave the stream out.",
                stream=stream.name,
            )
        known = [one for one, _ in _names(snapshot, inspector, schema)]
        raise ConfigError(
            f"stream {stream.name!r}: there is no table or view {f'{schema}.{name}' if schema else name!r}.",
            hint=_elsewhere(snapshot, inspector, name) or did_you_mean(name, known),
            stream=stream.name,
        )
    return _table(snapshot, name, schema, columns)


def _elsewhere(snapshot: "Snapshot", inspector: Any, name: str) -> str:
    """Return in which other schemas there is a table of this name: not to say the schema is the usual mistake."""
    if snapshot.dialect == "sqlite":
        return ""
    found = [schema for schema in all_schemas(snapshot) if inspector.has_table(name, schema=schema)]
    return (
        f"There is one in {', '.join(map(repr, found))}: say schema={found[0]!r}." if found else ""
    )


SYSTEM_SCHEMAS = (
    "information_schema",
    "mysql",
    "performance_schema",
    "sys",
    "pg_*",
    "INFORMATION_SCHEMA",
)


def all_schemas(snapshot: "Snapshot") -> list[str]:
    """Return the schemas that are not the database's own."""
    import sqlalchemy as sa

    names = sa.inspect(snapshot.connection).get_schema_names()
    return [name for name in names if not any(fnmatchcase(name, glob) for glob in SYSTEM_SCHEMAS)]


def usable_schemas(snapshot: "Snapshot") -> list[str]:
    """Return the schemas to discover in: of PostgreSQL's those that the user may use."""
    import sqlalchemy as sa

    names = all_schemas(snapshot)
    if snapshot.dialect != "postgresql":
        return names
    asked = sa.text(
        "SELECT nspname FROM pg_catalog.pg_namespace WHERE pg_catalog.has_schema_privilege(oid, 'USAGE')"
    )
    usable = set(snapshot.connection.execute(asked).scalars())
    return [name for name in names if name in usable]


def discovered(
    snapshot: "Snapshot",
    schemas: Sequence[str | None],
    include: Sequence[str],
    exclude: Sequence[str],
    named: Sequence[str] = (),
) -> list[Stream]:
    """Return a stream for each table and view.

    Those of this library's own have to be named, by a glob of their own.

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
        for name, is_view in _names(snapshot, inspector, schema):
            if _is_left_out(schema, name, include, exclude, named):
                continue
            try:
                found = _stream(
                    snapshot, inspector, name, schema, is_view=is_view, rows=estimates.get(name)
                )
            except sa.exc.SQLAlchemyError as error:
                reason = _closed_view(error, snapshot) if is_view else None
                if reason is None:
                    raise
                _logger.warning(
                    "The view %r is left out: %s", f"{schema}.{name}" if schema else name, reason
                )
            else:
                streams.append(found)
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
    """Return whether a name, or a glob (`*` does not), is of tables that this library keeps: they are no data."""
    return name.rpartition(".")[2].casefold().startswith(OWN_TABLES)


def _matches(schema: str | None, name: str, glob: str) -> bool:
    """Return whether a glob for `table` or `schema.table` means a table."""
    return fnmatchcase(name, glob) or (bool(schema) and fnmatchcase(f"{schema}.{name}", glob))


def _closed_view(error: "sa.exc.SQLAlchemyError", snapshot: "Snapshot") -> str | None:
    """Return why a database does not tell a view's columns, if the view itself is the cause.

    Else None.
    """
    import sqlalchemy as sa

    if snapshot.dialect == "duckdb":
        return (
            "what it selects from is gone, or cannot be read."
            if isinstance(error, sa.exc.DBAPIError)
            else None
        )
    if not snapshot.is_mysql:
        return None
    if isinstance(error, sa.exc.UnreflectableTableError):
        return "what it selects from is gone, or its definer may not read it."
    denied = isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "args", ())[:1] == (
        _DENIED,
    )
    return "this user may not see its columns: GRANT SELECT, SHOW VIEW." if denied else None


_ESTIMATES = {
    "postgresql": "SELECT c.relname, CAST(c.reltuples AS bigint) FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm', 'f') "
    "AND c.reltuples > 0 AND n.nspname = coalesce(CAST(:schema AS text), current_schema())",
    "mysql": "SELECT table_name, table_rows FROM information_schema.tables WHERE table_rows IS NOT NULL "
    "AND table_type = 'BASE TABLE' AND table_schema = coalesce(:schema, database())",
}


_ESTIMATE_OF = {"postgresql": " AND c.relname = :name", "mysql": " AND table_name = :name"}


def row_estimates(
    snapshot: "Snapshot", schema: str | None, name: str | None = None
) -> dict[str, int]:
    """Return about how many rows the tables of a schema have, where the server keeps such a number.

    No row is counted.

    Args:
        snapshot: The open connection.
        schema: None for the default schema.
        name: Only this table.
    """
    import sqlalchemy as sa

    kind = "mysql" if snapshot.is_mysql else snapshot.dialect
    if kind not in _ESTIMATES:
        return {}
    sql, values = _ESTIMATES[kind], {"schema": schema}
    if name is not None:
        sql, values = sql + _ESTIMATE_OF[kind], {**values, "name": name}
    return {
        str(table): int(rows) for table, rows in snapshot.connection.execute(sa.text(sql), values)
    }


def row_estimate(snapshot: "Snapshot", table: SqlTable) -> int | None:
    """Return about how many rows a table has.

    None where the server has no such number, as of a view or a query.
    """
    import sqlalchemy as sa

    if not isinstance(table.clause, sa.TableClause):
        return None
    return row_estimates(snapshot, table.schema, table.name).get(table.name) or None


def selected_columns(stream: Stream, table: SqlTable) -> tuple[list[SqlColumn], list[str]]:
    """Return the columns to read, in the table's order, and the declared ones that the table does not have (any more).

    Keys and replication keys are always read. A column that the stream's schema does not know is
    left out unless the stream takes new ones (`auto_add_new_fields`) or has no schema.
    """
    for role, names in (("primary key", stream.primary_key), ("replication key", stream.cursor)):
        for name in names:
            table.column(name, stream=stream.name, role=role)
    declared = selection.selected_columns(stream)
    if declared is None:
        return [
            c for c in table.columns.values() if selection.is_column_selected(stream, c.name)
        ], []
    known = set((stream.schema or {}).get("properties") or ())
    chosen = {*declared, *selection.key_columns(stream)}
    if stream.auto_add_new_fields:
        chosen |= {name for name in table.columns if name not in known}
    missing = [name for name in declared if name not in table.columns]
    return [column for column in table.columns.values() if column.name in chosen], missing


def _table(snapshot: "Snapshot", name: str, schema: str | None, columns: Iterable[Any]) -> SqlTable:
    import sqlalchemy as sa

    dialect = snapshot.connection.dialect
    # A dialect that folds names to upper case must be left to quote as it likes.
    force = None if getattr(dialect, "requires_name_normalize", False) else True
    columns = list(columns)
    if (
        snapshot.is_mysql
    ):  # of whose statements SQLAlchemy reads a quote in a name as it is written there, twice
        columns = [{**one, "name": one["name"].replace("``", "`")} for one in columns]
    clause = sa.table(
        sa.sql.quoted_name(name, force),
        *(sa.column(sa.sql.quoted_name(one["name"], force)) for one in columns),
        **({"schema": sa.sql.quoted_name(schema, force)} if schema else {}),
    )
    made = {}
    unknown = snapshot.is_mysql and any(type(one["type"]).__name__ == "NullType" for one in columns)
    geometries = _geometries(snapshot, name, schema) if unknown else set()
    described = (
        _described(snapshot, name, schema, columns) if snapshot.dialect == "postgresql" else {}
    )
    of_duckdb = types_of(snapshot, clause) if snapshot.dialect == "duckdb" else {}
    for one in columns:
        declared = MySqlGeometry() if one["name"] in geometries else one["type"]
        type_, padded = described.get(one["name"], (None, False))
        if one["name"] in of_duckdb:
            type_, declared = of_duckdb[one["name"]]
        made[one["name"]] = SqlColumn(
            name=one["name"],
            type=type_ or sql_type(declared, snapshot.dialect),
            declared=sa.CHAR() if padded else declared,
            nullable=one.get("nullable") is not False,
            comment=one.get("comment"),
            expression=clause.c[one["name"]],
        )
    return SqlTable(name, schema, clause, made)


def _described(
    snapshot: "Snapshot", name: str, schema: str | None, columns: Sequence[Any]
) -> dict[str, tuple[SqlType | None, bool]]:
    """Return how the columns of domains and of types unknown to SQLAlchemy are read, and whether their text is padded.

    Of a domain SQLAlchemy keeps neither precision and scale nor, beside a precision, the time zone.
    """
    kinds = {str(one["name"]): type(one["type"]).__name__ for one in columns}
    if not {"DOMAIN", "NullType"} & set(kinds.values()):
        return {}
    return {
        column: (type_, told == "bpchar")
        for column, (type_, told) in postgres_column_types(snapshot, name, schema).items()
        if kinds.get(column) == "DOMAIN" or (kinds.get(column) == "NullType" and told == "bpchar")
    }


def _names(snapshot: "Snapshot", inspector: Any, schema: str | None) -> Iterator[tuple[str, bool]]:
    """Yield the tables and views of a schema, and whether each is a view.

    A partition is part of its table.
    """
    partitions = _partitions(snapshot, schema) if snapshot.dialect == "postgresql" else set()
    tables = list(inspector.get_table_names(schema=schema))
    views = list(inspector.get_view_names(schema=schema))
    if snapshot.dialect == "postgresql":
        tables += inspector.get_foreign_table_names(schema=schema)
        views += inspector.get_materialized_view_names(schema=schema)
    yield from sorted((name, False) for name in tables if name not in partitions)
    yield from sorted((name, True) for name in views)


def _partitions(snapshot: "Snapshot", schema: str | None) -> set[str]:
    import sqlalchemy as sa

    statement = sa.text(
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relispartition AND n.nspname = coalesce(CAST(:schema AS text), current_schema())"
    )
    return set(snapshot.connection.execute(statement, {"schema": schema}).scalars())


def _geometries(snapshot: "Snapshot", name: str, schema: str | None) -> set[str]:
    import sqlalchemy as sa

    statement = sa.text(
        "SELECT column_name FROM information_schema.columns WHERE table_name = :name "
        "AND table_schema = coalesce(:schema, database()) AND (data_type IN ('point', 'linestring', 'polygon') "
        "OR data_type LIKE 'geom%' OR data_type LIKE 'multi%')"
    )
    return set(snapshot.connection.execute(statement, {"name": name, "schema": schema}).scalars())


def _stream(
    snapshot: "Snapshot",
    inspector: Any,
    name: str,
    schema: str | None,
    *,
    is_view: bool,
    rows: int | None,
) -> Stream:
    with _quietly(name):
        table = _table(snapshot, name, schema, inspector.get_columns(name, schema=schema))
        key = tuple(
            (inspector.get_pk_constraint(name, schema=schema) or {}).get("constrained_columns")
            or ()
        )
        unique = [] if is_view else _unique_keys(inspector, name, schema, table)
        comment = _comment(inspector, name, schema)
    own: dict[str, Any] = {
        "inclusion": "available",
        "selected-by-default": True,
        "is-view": is_view,
    }
    if rows is not None:
        own["row-count"] = rows
    if unique:
        own["unique-keys"] = [list(one) for one in unique]
        key = key or unique[0]  # it tells rows apart just as well
    own["view-key-properties" if is_view else "table-key-properties"] = list(key)
    valid = [c.name for c in table.columns.values() if c.type.kind in CURSOR_KINDS]
    own["valid-replication-keys"] = valid
    metadata: list[dict[str, Any]] = [{"breadcrumb": [], "metadata": own}]
    properties = {}
    for column in table.columns.values():
        properties[column.name] = _property(snapshot, column)
        # No word on selection: a stream none of whose columns is picked is read whole, new ones too
        # if it takes them.
        said = {
            "inclusion": "automatic" if column.name in key else "available",
            "sql-datatype": str(column.declared)
            if type(column.declared).__name__ != "NullType"
            else "",
        }
        metadata.append({"breadcrumb": ["properties", column.name], "metadata": said})
    schema_of_rows = {"type": "object", "properties": properties}
    return Stream(
        name,
        namespace=schema,
        schema=schema_of_rows,
        primary_key=key,
        metadata=metadata,
        description=comment,
    )


def stream_of_query(table: SqlTable) -> Stream:
    """Return the stream of a query; its keys are for the user to say."""
    valid = [c.name for c in table.columns.values() if c.type.kind in CURSOR_KINDS]
    own = {
        "inclusion": "available",
        "selected-by-default": True,
        "is-view": True,
        "valid-replication-keys": valid,
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


def _unique_keys(
    inspector: Any, name: str, schema: str | None, table: SqlTable
) -> list[tuple[str, ...]]:
    """Return the unique constraints none of whose columns can be NULL, the shortest first."""
    try:
        found = inspector.get_unique_constraints(name, schema=schema)
    except NotImplementedError:  # a database without them
        return []
    keys = {tuple(one["column_names"]) for one in found}
    whole = [
        key
        for key in keys
        if key and all(n in table.columns and not table.columns[n].nullable for n in key)
    ]
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
        type_ = SqlType(
            "time", pa.string()
        )  # beyond a day it stays text, and a batch without such says it is a time
    prop = type_.property(nullable=column.nullable)
    if column.comment:
        prop["description"] = column.comment
    return prop


def _comment(inspector: Any, name: str, schema: str | None) -> str | None:
    try:
        comment = inspector.get_table_comment(name, schema=schema).get("text")
    except NotImplementedError:  # a database without comments
        return None
    return comment or None


@contextmanager
def _quietly(name: str) -> Iterator[None]:
    """Leave out SQLAlchemy's warning about a type it does not know: such a column is read as its text.

    Raises:
        SourceError: SQLAlchemy has left a column out, and would only have warned.
    """
    import sqlalchemy as sa

    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Did not recognize type", category=sa.exc.SAWarning
        )
        warnings.filterwarnings(
            "error", message="Unknown column definition", category=sa.exc.SAWarning
        )
        try:
            yield
        except sa.exc.SAWarning as warning:
            raise SourceError(
                f"the table {name!r} has a column that cannot be read: {warning}.",
                hint="Is there a line break in its name? Rename it, read it by a query, or leave the table out "
                "(exclude).",
            ) from warning
