"""A cache in PostgreSQL."""

from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field
from typing_extensions import override

from etl_assets.caches.base import CacheBase
from etl_assets.destinations.postgres import PostgresDestination
from etl_assets.exceptions import ConfigError
from etl_assets.secrets.option import SecretOption
from etl_assets.secrets.references import resolve
from etl_assets.secrets.string import SecretString


class PostgresCache(CacheBase):
    """A schema of a PostgreSQL database.

    Args:
        host: The server.
        port: Its port.
        database: The database.
        username: Who connects.
        password: With what; may be empty, or a reference.
        schema_name: The schema of its tables, and of the states.
    """

    host: str
    port: int = 5432
    database: str
    username: str
    password: SecretOption = Field(default_factory=SecretString)
    schema_name: str = "public"

    paired_destination_name: ClassVar[str | None] = "destination-postgres"

    @override
    def make_destination(self) -> PostgresDestination:
        user = quote(self.username, safe="")
        return PostgresDestination(
            f"postgresql://{user}@{self.host}:{self.port}/{quote(self.database, safe='')}",
            password=None if self.password == "" else self.password,
            schema_name=self.schema_name,
            state_schema=self.schema_name,
            staging_dir=str(self.cache_dir / "staging"),
        )

    @override
    def get_database_name(self) -> str:
        return self.database

    @override
    def get_sql_alchemy_url(self) -> Any:
        from sqlalchemy import URL

        return URL.create(
            "postgresql+psycopg",
            username=self.username,
            password=str(resolve(self.password)) or None,
            host=self.host,
            port=self.port,
            database=self.database,
        )

    @override
    def get_vendor_client(self) -> Any:
        try:
            import psycopg
        except ImportError as error:
            raise ConfigError("psycopg is not installed.", hint='pip install "etl-assets[postgres]"') from error
        return psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=self.database,
            user=self.username,
            password=str(resolve(self.password)) or None,
        )
