"""SQLite passes the kit."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from etl_assets.destinations.sqlite.destination import SQLiteDestination
from etl_assets.testing import DestinationConformance


class TestSQLite(DestinationConformance):
    title = "SQLite"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> SQLiteDestination:
        self.folder = tmp_path
        return SQLiteDestination(str(tmp_path / "warehouse.sqlite"))

    def left_over(self) -> Sequence[str]:
        files = [path.name for path in self.folder.iterdir() if path.name != "warehouse.sqlite"]
        with closing(sqlite3.connect(self.folder / "warehouse.sqlite")) as file:
            names = "name LIKE '%etl\\_assets\\_new%' ESCAPE '\\' OR name LIKE '%staged%'"
            return files + [
                name for (name,) in file.execute(f"SELECT name FROM sqlite_master WHERE {names}")
            ]
