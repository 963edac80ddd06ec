"""PostgreSQL passes the kit."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from etl_assets.destinations.postgres import PostgresDestination
from etl_assets.testing import DestinationConformance
from tests.servers import POSTGRES, postgres_schema, query


class TestPostgres(DestinationConformance):
    title = "PostgreSQL"
    known_gaps = {
        "change_bytes_to_text": "refused by an error that names the column, and not the stream",
    }

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Iterator[PostgresDestination]:
        self.staging = tmp_path / "staging"
        with postgres_schema() as name:
            self.schema = name
            yield PostgresDestination(
                POSTGRES, schema_name=name, state_schema=f"{name}_state", staging_dir=str(self.staging)
            )

    def left_over(self) -> Sequence[str]:
        files = [path.name for path in self.staging.iterdir()] if self.staging.exists() else []
        tables = query(
            f"SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('{self.schema}') "
            "AND relname ~ '_etl_assets_(new|staged)'"
        )
        return files + [name for (name,) in tables]
