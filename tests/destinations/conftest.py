"""A DuckDB file of each test's own, and how to look into it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def warehouse(path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(path))


@pytest.fixture
def query(path: Path) -> Callable[[str], list[tuple[Any, ...]]]:
    def run(sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(path)) as connection:
            return connection.sql(sql).fetchall()

    return run
