"""PostgreSQL passes the kit."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.testing import DestinationConformance
from tests.servers import POSTGRES, postgres_schema, postgres_server, query


class TestPostgres(DestinationConformance):
    title = "PostgreSQL"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Iterator[PostgresDestination]:
        self.staging = tmp_path / "staging"
        with postgres_schema() as name:
            self.schema = name
            yield PostgresDestination(
                POSTGRES,
                schema_name=name,
                state_schema=f"{name}_state",
                staging_dir=str(self.staging),
            )

    def left_over(self) -> Sequence[str]:
        files = [path.name for path in self.staging.iterdir()] if self.staging.exists() else []
        tables = query(
            f"SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('{self.schema}') "
            "AND relname ~ '_etl_assets_(new|staged)'"
        )
        return files + [name for (name,) in tables]


@pytest.mark.full
class TestPostgresWithFewRights(TestPostgres):
    """The same as a role that may use and fill two schemas, and nothing else."""

    title = "PostgreSQL, few rights"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Iterator[PostgresDestination]:
        self.staging = tmp_path / "staging"
        server = postgres_server()
        with postgres_schema() as name:
            self.schema = name
            role = f"{name}_loader"
            for statement in (
                f"CREATE ROLE {role} LOGIN",
                f"CREATE SCHEMA {name}",
                f"CREATE SCHEMA {name}_state",
                f"GRANT USAGE, CREATE ON SCHEMA {name}, {name}_state TO {role}",
            ):
                server.execute(statement.encode())
            try:
                yield PostgresDestination(
                    POSTGRES.replace("postgres@", f"{role}@"),
                    schema_name=name, state_schema=f"{name}_state", staging_dir=str(self.staging),
                )  # fmt: skip
            finally:
                server.execute(f"DROP OWNED BY {role}".encode())
                server.execute(f"DROP ROLE {role}".encode())
