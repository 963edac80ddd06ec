"""Storage engines of MySQL and MariaDB that cannot roll back, and would keep half a failed load."""

from collections.abc import Callable, Sequence
from typing import Any

from etl_assets.model.stored import TableName
from etl_assets.naming import quote

_ENGINE = (
    "SELECT t.TABLE_SCHEMA, t.ENGINE FROM information_schema.TABLES t "
    "LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE "
    "WHERE t.TABLE_SCHEMA = COALESCE(?, DATABASE()) AND t.TABLE_NAME = ? AND t.ENGINE IS NOT NULL "
    "AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES'"
)


def rolls_nothing_back(
    execute: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]], table: TableName
) -> str | None:
    """Return why a table's rows cannot be rolled back, and the statement that helps, or None.

    Args:
        execute: Runs a statement; `?` stands for a parameter.
        table: The table; without a schema it is in the connection's own database.
    """
    found = execute(_ENGINE, (table.schema or None, table.name))
    if not found:
        return None
    schema, engine = map(str, found[0])
    name = f"{quote(schema, '`')}.{quote(table.name, '`')}"
    return (
        f"the table {name} has the engine {engine}, which cannot roll back: a load that fails "
        f"would leave a part of its rows. Change the engine: ALTER TABLE {name} ENGINE=InnoDB"
    )
