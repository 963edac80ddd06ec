"""A destination of each kind, with a place of its own that is dropped behind the test."""

from contextlib import ExitStack
from pathlib import Path

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlite.destination import SQLiteDestination
from tests.servers import MYSQL, POSTGRES, mysql_schema, postgres_schema

DESTINATIONS = ("duckdb", "postgresql", "mysql", "sqlite")


def destination(kind: str, folder: Path, stack: ExitStack) -> DatabaseDestination:
    """Make a destination of a kind; skips the test where its server is missing.

    Args:
        kind: One of `DESTINATIONS`.
        folder: For files.
        stack: Drops the place when it is closed.
    """
    if kind == "duckdb":
        return DuckDBDestination(str(folder / "w.duckdb"))
    if kind == "sqlite":
        return SQLiteDestination(str(folder / "w.sqlite"))
    staging = str(folder / "staging")
    if kind == "postgresql":
        name = stack.enter_context(postgres_schema())
        return PostgresDestination(
            POSTGRES, schema_name=name, state_schema=name, staging_dir=staging
        )
    name = stack.enter_context(mysql_schema())
    return MySQLDestination(MYSQL, schema_name=name, state_schema=name, staging_dir=staging)
