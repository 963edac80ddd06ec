"""The databases whose syncs are failed and killed: each gives a fresh one, and says what is left in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from etl_assets.destinations.database import DatabaseDestination
from etl_assets.destinations.duckdb import DuckDBDestination
from etl_assets.destinations.mysql import MySQLDestination
from etl_assets.destinations.postgres import PostgresDestination
from etl_assets.destinations.sqlite import SQLiteDestination
from tests.faults.loads import MEMORY
from tests.servers import MYSQL, POSTGRES, mysql_left_over, mysql_schema, postgres_schema, query


@dataclass
class Place:
    """A fresh database."""

    destination: DatabaseDestination
    left_over: Callable[[], Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    """By which `project.py` finds it."""


@contextmanager
def duckdb_place(folder: Path) -> Iterator[Place]:
    warehouse = folder / "warehouse.duckdb"
    destination = DuckDBDestination(str(warehouse), staging_memory_bytes=MEMORY)
    yield Place(destination, lambda: [path.name for path in folder.iterdir() if path != warehouse])


@contextmanager
def sqlite_place(folder: Path) -> Iterator[Place]:
    warehouse = folder / "warehouse.sqlite"
    destination = SQLiteDestination(str(warehouse), staging_memory_bytes=MEMORY)
    yield Place(
        destination,
        lambda: [path.name for path in folder.iterdir() if path != warehouse],
        {"WAREHOUSE": str(warehouse)},
    )


@contextmanager
def postgres_place(folder: Path) -> Iterator[Place]:
    def left_over() -> list[str]:
        tables = query(
            f"SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('{name}') AND relkind = 'r' "
            "AND relname NOT IN ('append', 'merge', 'replace')"
        )
        return [path.name for path in folder.iterdir()] + [table for (table,) in tables]

    with postgres_schema() as name:
        options = {"schema_name": name, "state_schema": f"{name}_state", "staging_dir": str(folder / "staging")}
        yield Place(
            PostgresDestination(POSTGRES, staging_memory_bytes=MEMORY, **options),
            left_over,
            {"WAREHOUSE": POSTGRES, "SCHEMA": name},
        )


@contextmanager
def mysql_place(folder: Path) -> Iterator[Place]:
    with mysql_schema() as name:
        options = {"schema_name": name, "state_schema": name, "staging_dir": str(folder / "staging")}
        destination = MySQLDestination(MYSQL, staging_memory_bytes=MEMORY, **options)
        yield Place(
            destination,
            lambda: [path.name for path in folder.iterdir()] + mysql_left_over(name),
            {"WAREHOUSE": MYSQL, "SCHEMA": name},
        )


PLACES = {"duckdb": duckdb_place, "postgresql": postgres_place, "sqlite": sqlite_place, "mysql": mysql_place}
