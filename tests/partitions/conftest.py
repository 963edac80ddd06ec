"""What the tests of partitioned assets share: an instance, a warehouse, a shop."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from tests.partitions.orders import Shop


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def warehouse(path: Path) -> DuckDBDestination:
    return DuckDBDestination(str(path))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
