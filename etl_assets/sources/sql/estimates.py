"""About how many rows a table has, as the server's own statistics say it."""

from typing import TYPE_CHECKING

from etl_assets.sources.sql.reflection import SqlTable

if TYPE_CHECKING:
    from etl_assets.sources.sql.connection import Snapshot

_ESTIMATES = {
    "postgresql": "SELECT c.relname, CAST(c.reltuples AS bigint) FROM pg_catalog.pg_class c "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind IN ('r', 'p', 'm', 'f') "
    "AND c.reltuples > 0 AND n.nspname = coalesce(CAST(:schema AS text), current_schema())",
    "mysql": "SELECT table_name, table_rows FROM information_schema.tables "
    "WHERE table_rows IS NOT NULL AND table_type = 'BASE TABLE' "
    "AND table_schema = coalesce(:schema, database())",
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
    kind = "mysql" if snapshot.is_mysql else snapshot.dialect
    if kind not in _ESTIMATES:
        return {}
    sql, values = _ESTIMATES[kind], {"schema": schema}
    if name is not None:
        sql, values = sql + _ESTIMATE_OF[kind], {**values, "name": name}
    return {
        str(table): int(rows)
        for table, rows in snapshot.connection.execute(snapshot.core.text(sql), values)
    }


def row_estimate(snapshot: "Snapshot", table: SqlTable) -> int | None:
    """Return about how many rows a table has.

    None where the server has no such number, as of a view or a query.
    """
    if snapshot.is_direct:
        return table.estimate
    import sqlalchemy as sa

    if not isinstance(table.clause, sa.TableClause):
        return None
    return row_estimates(snapshot, table.schema, table.name).get(table.name) or None
