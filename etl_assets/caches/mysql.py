"""A cache in MySQL or MariaDB."""

from typing import Any, ClassVar
from urllib.parse import quote

from pydantic import Field
from typing_extensions import override

from etl_assets.caches.base import CacheBase
from etl_assets.destinations.mysql import MySQLDestination
from etl_assets.secrets.option import SecretOption
from etl_assets.secrets.references import resolve
from etl_assets.secrets.string import SecretString


class MySQLCache(CacheBase):
    """A database of a MySQL or MariaDB server.

    Args:
        host: The server.
        port: Its port.
        database: The database of the tables and of the states.
        username: Who connects.
        password: With what; may be empty, or a reference.
        schema_name: Another database for the tables; by default `database`.
    """

    host: str
    port: int = 3306
    database: str
    username: str
    password: SecretOption = Field(default_factory=SecretString)
    schema_name: str = ""

    paired_destination_name: ClassVar[str | None] = "destination-mysql"

    @override
    def make_destination(self) -> MySQLDestination:
        user = quote(self.username, safe="")
        return MySQLDestination(
            f"mysql://{user}@{self.host}:{self.port}/{quote(self.database, safe='')}",
            password=None if self.password == "" else self.password,
            schema_name=self.schema_name or self.database,
            staging_dir=str(self.cache_dir / "staging"),
        )

    @override
    def get_database_name(self) -> str:
        return self.database

    @override
    def get_sql_alchemy_url(self) -> Any:
        from sqlalchemy import URL

        return URL.create(
            "mysql+pymysql",
            username=self.username,
            password=str(resolve(self.password)) or None,
            host=self.host,
            port=self.port,
            database=self.database,
            query={"charset": "utf8mb4"},
        )
