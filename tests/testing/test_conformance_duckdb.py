"""DuckDB passes the kit."""

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.testing import DestinationConformance
from etl_assets.testing.place import SMALL_STAGING_BYTES


class TestDuckDB(DestinationConformance):
    title = "DuckDB"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> DuckDBDestination:
        self.folder = tmp_path
        return DuckDBDestination(
            str(tmp_path / "warehouse.duckdb"), staging_memory_bytes=SMALL_STAGING_BYTES
        )

    def left_over(self) -> Sequence[str]:
        files = [path.name for path in self.folder.iterdir() if path.name != "warehouse.duckdb"]
        with duckdb.connect(str(self.folder / "warehouse.duckdb")) as connection:
            tables = connection.sql(
                "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%stag%'"
            ).fetchall()
        return files + [name for (name,) in tables]
