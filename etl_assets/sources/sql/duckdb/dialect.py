"""DuckDB as SQLAlchemy sees it, with our own reflection.

That of `duckdb_engine` asks for what DuckDB does not have. Only SQLAlchemy imports this module,
when an engine is made.
"""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa  # noqa: TID253 - see above
from duckdb_engine import ConnectionWrapper, CursorWrapper
from duckdb_engine import Dialect as DuckDBEngineDialect
from sqlalchemy.engine.default import DefaultDialect  # noqa: TID253
from sqlalchemy.exc import NoSuchTableError  # noqa: TID253
from typing_extensions import override

from etl_assets.sources.sql.clock import Clock

_TYPES: Mapping[str, Any] = {
    "BIGINT": sa.BigInteger(),
    "BLOB": sa.LargeBinary(),
    "BOOLEAN": sa.Boolean(),
    "DATE": sa.Date(),
    "DOUBLE": sa.Double(),
    "FLOAT": sa.Float(),
    "HUGEINT": sa.Numeric(38, 0),
    "INTEGER": sa.Integer(),
    "INTERVAL": sa.Interval(),
    "JSON": sa.JSON(),
    "SMALLINT": sa.SmallInteger(),
    "TIME": sa.Time(),
    "TIMESTAMP": sa.DateTime(),
    "TIMESTAMP WITH TIME ZONE": sa.DateTime(timezone=True),
    "TIMESTAMP_NS": sa.DateTime(),
    "TINYINT": sa.SmallInteger(),
    "UBIGINT": sa.Numeric(20, 0),
    "UINTEGER": sa.BigInteger(),
    "USMALLINT": sa.Integer(),
    "UTINYINT": sa.SmallInteger(),
    "UUID": sa.Uuid(),
    "VARCHAR": sa.String(),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


class Connection(ConnectionWrapper):
    """A connection whose cursors can be closed before their last row.

    Until its cursor is closed, DuckDB 2 does nothing else.

    Args:
        connection: DuckDB's own.
        clock: What interrupts a statement, and the wait for its next rows.
    """

    def __init__(self, connection: Any, clock: Clock) -> None:
        super().__init__(connection)
        self._connection = connection
        self.clock = clock

    @override
    def cursor(self) -> "_Cursor":
        """Return a cursor."""
        return _Cursor(self._connection, self)


class _Cursor(CursorWrapper):
    def __init__(self, connection: Any, wrapper: Connection) -> None:
        super().__init__(connection, wrapper)
        self._connection = connection
        self._clock = wrapper.clock
        self._abort = getattr(connection, "abort", None)

    def _timed(self) -> AbstractContextManager[None]:
        return self._clock.running(self._connection.interrupt)

    @override
    def execute(self, statement: str, parameters: Any = None, context: Any = None) -> None:
        with self._timed():
            super().execute(statement, parameters, context)

    def fetchone(self) -> Any:
        """Return the next row; DuckDB 2 looks for it only now."""
        with self._timed():
            return self._connection.fetchone()

    @override
    def fetchmany(self, size: int | None = None) -> list[Any]:
        with self._timed():
            return super().fetchmany(size)

    def fetchall(self) -> list[Any]:
        """Return the rows that are left."""
        with self._timed():
            return list(self._connection.fetchall())

    @override
    def close(self) -> None:
        if self._abort is not None:
            self._abort()


class Dialect(DuckDBEngineDialect):
    """`duckdb_engine`'s dialect, which reads DuckDB's own catalog in place of PostgreSQL's."""

    supports_statement_cache = True
    reads_only = False
    """Whether its transactions are refused what would write."""
    clock = Clock(None)

    @override
    def connect(self, *args: Any, **options: Any) -> Any:
        """Connect."""
        return Connection(super().connect(*args, **options), self.clock)

    @override
    def do_begin(self, connection: Any) -> None:
        """Begin a transaction."""
        mode = " READ ONLY" if self.reads_only else ""
        connection.execute(f"BEGIN TRANSACTION{mode}")

    @override
    def get_schema_names(self, connection: Any, **kw: Any) -> list[str]:
        """Return the schemas of the database that is open, those of its own catalog left out."""
        asked = (
            "SELECT schema_name FROM duckdb_schemas() "
            "WHERE database_name = current_database() AND NOT internal"
        )
        rows = connection.execute(sa.text(f"{asked} UNION SELECT 'main' ORDER BY 1"))
        return [str(name) for name in rows.scalars()]

    @override
    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        """Return the tables of a schema."""
        return self._named(
            connection, "SELECT table_name FROM duckdb_tables() WHERE NOT internal", schema
        )

    @override
    def get_view_names(
        self, connection: Any, schema: str | None = None, include: Any = None, **kw: Any
    ) -> list[str]:
        """Return the views of a schema."""
        return self._named(
            connection, "SELECT view_name FROM duckdb_views() WHERE NOT internal", schema
        )

    @override
    def has_table(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> bool:
        """Return whether there is such a table or view."""
        asked = "SELECT table_name FROM duckdb_columns() WHERE NOT internal"
        return table_name in self._named(connection, asked, schema)

    def _named(self, connection: Any, asked: str, schema: str | None) -> list[str]:
        where = "database_name = current_database() AND schema_name = :schema"
        rows = connection.execute(
            sa.text(f"{asked} AND {where} ORDER BY 1"), {"schema": self._schema(schema)}
        )
        return [str(name) for name in rows.scalars()]

    def _schema(self, schema: str | None) -> str:
        return schema or self.default_schema_name or "main"

    @override
    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """Return the columns of a table.

        Raises:
            NoSuchTableError: There is none.
        """
        rows = connection.execute(
            sa.text(
                "SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() "
                "WHERE database_name = current_database() AND schema_name = :schema AND table_name "
                "= :name "
                "ORDER BY column_index"
            ),
            {"schema": self._schema(schema), "name": table_name},
        ).all()
        if not rows:
            raise NoSuchTableError(table_name)
        return [
            {
                "name": name,
                "type": _type(type_),
                "nullable": bool(nullable),
                "default": None,
                "autoincrement": False,
                "comment": comment,
            }
            for name, type_, nullable, comment in rows
        ]

    @override
    def get_pk_constraint(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> Any:
        """Return the primary key, which no table of a cache has."""
        found = self._constraints(connection, "PRIMARY KEY", table_name, schema)
        return found[0] if found else {"constrained_columns": [], "name": None}

    @override
    def get_unique_constraints(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> list[Any]:
        """Return what is unique beside the primary key."""
        found = self._constraints(connection, "UNIQUE", table_name, schema)
        return [{"name": one["name"], "column_names": one["constrained_columns"]} for one in found]

    def _constraints(
        self, connection: Any, kind: str, table_name: str, schema: str | None
    ) -> list[dict[str, Any]]:
        rows = connection.execute(
            sa.text(
                "SELECT constraint_column_names FROM duckdb_constraints() WHERE constraint_type = "
                ":kind "
                "AND database_name = current_database() AND schema_name = :schema AND table_name = "
                ":name "
                "ORDER BY constraint_index"
            ),
            {"kind": kind, "schema": self._schema(schema), "name": table_name},
        )
        return [{"constrained_columns": list(names), "name": None} for names in rows.scalars()]

    @override
    def get_foreign_keys(self, *args: Any, **kw: Any) -> list[Any]:
        """Return no foreign keys."""
        return []

    @override
    def get_indexes(self, *args: Any, **kw: Any) -> list[Any]:
        """Return no indexes."""
        return []

    @override
    def get_check_constraints(self, *args: Any, **kw: Any) -> list[Any]:
        """Return no constraints."""
        return []

    @override
    def get_table_options(self, *args: Any, **kw: Any) -> Any:
        """Return no options."""
        return {}

    @override
    def get_table_comment(
        self, connection: Any, table_name: str, schema: str | None = None, **kw: Any
    ) -> Any:
        """Return what is said of a table or view."""
        asked = (
            "SELECT comment FROM (SELECT database_name, schema_name, table_name, comment FROM "
            "duckdb_tables() "
            "UNION ALL SELECT database_name, schema_name, view_name, comment FROM duckdb_views()) "
            "WHERE table_name = :name AND database_name = current_database() AND schema_name = "
            ":schema"
        )
        values = {"schema": self._schema(schema), "name": table_name}
        return {"text": connection.execute(sa.text(asked), values).scalar()}


_HOOKS = (
    "columns",
    "pk_constraint",
    "foreign_keys",
    "indexes",
    "unique_constraints",
    "check_constraints",
)
for _hook in (*_HOOKS, "table_comment", "table_options"):
    # PostgreSQL's ask its catalog for all tables at once; the default asks the hooks above, table
    # by table.
    setattr(Dialect, f"get_multi_{_hook}", getattr(DefaultDialect, f"get_multi_{_hook}"))


def _type(name: str) -> Any:
    found = _DECIMAL.fullmatch(name)
    if found is not None:
        return sa.Numeric(int(found[1]), int(found[2]))
    return _TYPES.get(name, sa.types.NullType())
