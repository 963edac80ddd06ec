"""DuckDB as SQLAlchemy sees it, with reflection of our own: that of `duckdb_engine` asks for what DuckDB does not have.

Only SQLAlchemy imports this module, when an engine is made.
"""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa  # noqa: TID253 - see above
from duckdb_engine import Dialect as DuckDBEngineDialect
from sqlalchemy.engine.default import DefaultDialect  # noqa: TID253
from sqlalchemy.exc import NoSuchTableError  # noqa: TID253
from typing_extensions import override

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


class Dialect(DuckDBEngineDialect):
    """`duckdb_engine`'s dialect, which reads DuckDB's own catalog in place of PostgreSQL's."""

    supports_statement_cache = True

    @override
    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        """Return the columns of a table.

        Raises:
            NoSuchTableError: There is none.
        """
        rows = connection.execute(
            sa.text(
                "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
                "WHERE database_name = current_database() AND schema_name = :schema AND table_name = :name "
                "ORDER BY column_index"
            ),
            {"schema": schema or self.default_schema_name or "main", "name": table_name},
        ).all()
        if not rows:
            raise NoSuchTableError(table_name)
        return [
            {"name": name, "type": _type(type_), "nullable": bool(nullable), "default": None, "autoincrement": False}
            for name, type_, nullable in rows
        ]

    @override
    def get_pk_constraint(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> Any:
        """Return no primary key: the tables of a cache have none."""
        return {"constrained_columns": [], "name": None}

    @override
    def get_foreign_keys(self, *args: Any, **kw: Any) -> list[Any]:
        """Return no foreign keys."""
        return []

    @override
    def get_indexes(self, *args: Any, **kw: Any) -> list[Any]:
        """Return no indexes."""
        return []

    @override
    def get_unique_constraints(self, *args: Any, **kw: Any) -> list[Any]:
        """Return no constraints."""
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
    def get_table_comment(self, *args: Any, **kw: Any) -> Any:
        """Return no comment."""
        return {"text": None}


_HOOKS = ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints")
for _hook in (*_HOOKS, "table_comment", "table_options"):
    # PostgreSQL's ask its catalog for all tables at once; the default asks the hooks above, table by table.
    setattr(Dialect, f"get_multi_{_hook}", getattr(DefaultDialect, f"get_multi_{_hook}"))


def _type(name: str) -> Any:
    found = _DECIMAL.fullmatch(name)
    if found is not None:
        return sa.Numeric(int(found[1]), int(found[2]))
    return _TYPES.get(name, sa.types.NullType())
