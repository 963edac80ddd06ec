"""What the tests of assets share: an instance, a warehouse, a shop."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from tests.assets.shop import Shop, people


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
def shop() -> Shop:
    return Shop({"customers": people(3), "orders": people(5)})
