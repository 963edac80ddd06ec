"""MariaDB (or MySQL) passes the kit."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.testing import DestinationConformance
from tests.servers import MYSQL, mysql_left_over, mysql_schema


class TestMySQL(DestinationConformance):
    title = "MariaDB"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Iterator[MySQLDestination]:
        self.staging = tmp_path / "staging"
        with mysql_schema() as name:
            self.schema = name
            yield MySQLDestination(
                MYSQL, schema_name=name, state_schema=name, staging_dir=str(self.staging)
            )

    def left_over(self) -> Sequence[str]:
        files = [path.name for path in self.staging.iterdir()] if self.staging.exists() else []
        return files + mysql_left_over(self.schema)
