"""A cache in PostgreSQL."""

from typing import Any, ClassVar

from typing_extensions import override

from etl_assets.caches.server import ServerCache
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.packages import require
from etl_assets.secrets.references import resolve


class PostgresCache(ServerCache):
    """A schema of a PostgreSQL database.

    Args:
        host: The server.
        port: Its port.
        database: The database.
        username: Who connects.
        password: With what; may be empty, or a reference.
        schema_name: The schema of its tables, and of the states.
    """

    port: int = 5432
    schema_name: str = "public"

    scheme: ClassVar[str] = "postgresql"
    driver: ClassVar[str] = "psycopg"
    paired_destination_name: ClassVar[str | None] = "destination-postgres"

    @override
    def make_destination(self) -> PostgresDestination:
        return PostgresDestination(
            **self.destination_options(),
            schema_name=self.schema_name,
            state_schema=self.schema_name,
        )

    @override
    def get_vendor_client(self) -> Any:
        return require("psycopg", "PostgreSQL").connect(
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=self.username,
            password=str(resolve(self.password)) or None,
        )


PostgresConfig = PostgresCache
"""The configuration by itself, by PyAirbyte's name: a cache is one."""
