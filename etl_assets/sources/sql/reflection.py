"""What a database says of its tables and views: which there are, and their columns."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError, SourceError, did_you_mean
from etl_assets.model import selection
from etl_assets.sources.sql.described import postgres_column_types
from etl_assets.sources.sql.types import MySqlGeometry, SqlType, sql_type

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.engine.interfaces import ReflectedColumn

    from etl_assets.model.stream import Stream
    from etl_assets.sources.sql.connection import Snapshot
    from etl_assets.sources.sql.types import Expression

SYSTEM_SCHEMAS = (
    "information_schema",
    "mysql",
    "performance_schema",
    "sys",
    "pg_*",
    "INFORMATION_SCHEMA",
)


@dataclass(frozen=True)
class SqlColumn:
    """One column of a table.

    Args:
        name: Its name.
        type: How its values are read.
        declared: Its type as SQLAlchemy has reflected it, or as DuckDB describes it.
        nullable: Whether it may be NULL; True where the database does not say.
        comment: The database's comment.
        expression: The column in a statement.
    """

    name: str
    type: SqlType
    declared: Any
    nullable: bool
    comment: str | None
    expression: "Expression"


@dataclass(frozen=True)
class SqlTable:
    """A table or view as it is in the snapshot.

    Args:
        name: Its name.
        schema: None for the connection's default.
        clause: What a statement selects from: of SQLAlchemy, or of `expressions`.
        columns: By their names.
        estimate: About how many rows it has, where the same question told it.
    """

    name: str
    schema: str | None
    clause: Any
    columns: Mapping[str, SqlColumn]
    estimate: int | None = None

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


def table_of(snapshot: "Snapshot", stream: "Stream", default_schema: str | None) -> SqlTable:
    """Look up the table a stream is read from.

    Raises:
        ConfigError: There is no such table or view; the error names the nearest.
    """
    import sqlalchemy as sa

    name = stream.table or stream.stream
    schema = stream.namespace or default_schema
    inspector = sa.inspect(snapshot.connection)
    try:
        with unknown_types_let_pass(name):
            columns = inspector.get_columns(name, schema=schema)
    except sa.exc.NoSuchTableError:
        columns = []
    if columns:
        return reflected(snapshot, name, schema, columns)
    place = f"{schema}.{name}" if schema else repr(name)
    if inspector.has_table(name, schema=schema):  # PostgreSQL lets a table have none
        raise ConfigError(
            f"stream {stream.name!r}: the table {place} has no columns.",
            hint="There is nothing to read in it: leave the stream out.",
            stream=stream.name,
        )
    known = [one for one, _ in tables_and_views(snapshot, inspector, schema)]
    raise ConfigError(
        f"stream {stream.name!r}: there is no table or view {place}.",
        hint=_elsewhere(snapshot, inspector, name) or did_you_mean(name, known),
        stream=stream.name,
    )


def selected_columns(stream: "Stream", table: SqlTable) -> tuple[list[SqlColumn], list[str]]:
    """Return the columns to read, and the declared ones that the table does not have.

    The columns to read are in the table's order. Keys and replication keys are always read. A
    column that the stream's schema does not know is left out unless the stream takes new ones
    (`auto_add_new_fields`) or has no schema.
    """
    for role, names in (("primary key", stream.primary_key), ("replication key", stream.cursor)):
        for name in names:
            table.column(name, stream=stream.name, role=role)
    declared = selection.selected_columns(stream)
    columns = table.columns.values()
    if declared is None:
        return [one for one in columns if selection.is_column_selected(stream, one.name)], []
    known = set((stream.schema or {}).get("properties") or ())
    chosen = {*declared, *selection.key_columns(stream)}
    if stream.auto_add_new_fields:
        chosen |= {name for name in table.columns if name not in known}
    missing = [name for name in declared if name not in table.columns]
    return [one for one in columns if one.name in chosen], missing


def _elsewhere(snapshot: "Snapshot", inspector: "sa.Inspector", name: str) -> str:
    """Return a hint at the other schemas that have a table of this name, if there are any.

    A schema is easily left out.
    """
    if snapshot.dialect == "sqlite":
        return ""
    found = [schema for schema in all_schemas(snapshot) if inspector.has_table(name, schema=schema)]
    if not found:
        return ""
    return f"There is one in {', '.join(map(repr, found))}: say schema={found[0]!r}."


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
        "SELECT nspname FROM pg_catalog.pg_namespace WHERE pg_catalog.has_schema_privilege(oid, "
        "'USAGE')"
    )
    usable = set(snapshot.connection.execute(asked).scalars())
    return [name for name in names if name in usable]


def reflected(
    snapshot: "Snapshot", name: str, schema: str | None, columns: "Iterable[ReflectedColumn]"
) -> SqlTable:
    """Return a table by what SQLAlchemy has reflected of its columns."""
    import sqlalchemy as sa

    dialect = snapshot.connection.dialect
    # A dialect that folds names to upper case must be left to quote as it likes.
    force = None if getattr(dialect, "requires_name_normalize", False) else True
    columns = [one.copy() for one in columns]
    if snapshot.is_mysql:
        # SQLAlchemy reads CREATE TABLE, and leaves a quote in a name doubled, as it stands there.
        for column in columns:
            column["name"] = column["name"].replace("``", "`")
    clause = sa.table(
        sa.sql.quoted_name(name, force),
        *(sa.column(sa.sql.quoted_name(one["name"], force)) for one in columns),
        **({"schema": sa.sql.quoted_name(schema, force)} if schema else {}),
    )
    types = _better_types(snapshot, name, schema, clause, columns)
    made = {}
    for one in columns:
        type_, declared = types.get(one["name"], (None, one["type"]))
        made[one["name"]] = SqlColumn(
            name=one["name"],
            type=type_ or sql_type(declared, snapshot.dialect),
            declared=declared,
            nullable=one.get("nullable") is not False,
            comment=one.get("comment"),
            expression=clause.c[one["name"]],
        )
    return SqlTable(name, schema, clause, made)


def tables_and_views(
    snapshot: "Snapshot", inspector: "sa.Inspector", schema: str | None
) -> Iterator[tuple[str, bool]]:
    """Yield the tables and views of a schema, and whether each is a view.

    A partition is part of its table.
    """
    partitions = _partitions(snapshot, schema) if snapshot.dialect == "postgresql" else set()
    tables = list(inspector.get_table_names(schema=schema))
    views = list(inspector.get_view_names(schema=schema))
    if snapshot.dialect == "postgresql":
        of_postgres: Any = inspector  # PostgreSQL's dialect has an inspector with more methods
        tables += of_postgres.get_foreign_table_names(schema=schema)
        views += inspector.get_materialized_view_names(schema=schema)
    yield from sorted((name, False) for name in tables if name not in partitions)
    yield from sorted((name, True) for name in views)


def _partitions(snapshot: "Snapshot", schema: str | None) -> set[str]:
    import sqlalchemy as sa

    statement = sa.text(
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
        "c.relnamespace "
        "WHERE c.relispartition AND n.nspname = coalesce(CAST(:schema AS text), current_schema())"
    )
    return set(snapshot.connection.execute(statement, {"schema": schema}).scalars())


def _better_types(
    snapshot: "Snapshot",
    name: str,
    schema: str | None,
    clause: "sa.FromClause",
    columns: "Sequence[ReflectedColumn]",
) -> Mapping[str, tuple[SqlType | None, Any]]:
    """Return the types of columns of which SQLAlchemy says too little.

    Of each: how it is read, and the type it is declared as. The former is None where the declared
    type says it.
    """
    if snapshot.dialect == "postgresql":
        return _described(snapshot, name, schema, columns)
    if snapshot.dialect == "duckdb":
        from etl_assets.sources.sql.duckdb.types import types_of

        return types_of(snapshot, clause)
    if snapshot.is_mysql and any(type(one["type"]).__name__ == "NullType" for one in columns):
        return dict.fromkeys(_geometries(snapshot, name, schema), (None, MySqlGeometry()))
    return {}


def _described(
    snapshot: "Snapshot", name: str, schema: str | None, columns: "Sequence[ReflectedColumn]"
) -> dict[str, tuple[SqlType | None, Any]]:
    """Return the types of columns of domains, and of those that are unknown to SQLAlchemy.

    Of a domain SQLAlchemy keeps neither precision and scale nor, beside a precision, the time zone.
    """
    import sqlalchemy as sa

    declared = {str(one["name"]): one["type"] for one in columns}
    kinds = {column: type(type_).__name__ for column, type_ in declared.items()}
    if not {"DOMAIN", "NullType"} & set(kinds.values()):
        return {}
    found: dict[str, tuple[SqlType | None, Any]] = {}
    for column, (type_, told) in postgres_column_types(snapshot, name, schema).items():
        padded = told == "bpchar"
        if kinds.get(column) == "DOMAIN" or (kinds.get(column) == "NullType" and padded):
            found[column] = (type_, sa.CHAR() if padded else declared[column])
    return found


def _geometries(snapshot: "Snapshot", name: str, schema: str | None) -> set[str]:
    import sqlalchemy as sa

    statement = sa.text(
        "SELECT column_name FROM information_schema.columns WHERE table_name = :name "
        "AND table_schema = coalesce(:schema, database()) AND (data_type IN ('point', "
        "'linestring', 'polygon') "
        "OR data_type LIKE 'geom%' OR data_type LIKE 'multi%')"
    )
    return set(snapshot.connection.execute(statement, {"name": name, "schema": schema}).scalars())


@contextmanager
def unknown_types_let_pass(name: str) -> Iterator[None]:
    """Silence SQLAlchemy's warning about a type that it does not know.

    Such a column is read as its text.

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
                hint="Is there a line break in its name? Rename it, read it by a query, or leave "
                "the table out (exclude).",
            ) from warning
