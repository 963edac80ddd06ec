"""A cache in whatever database SQLAlchemy has a dialect for."""

from typing import TYPE_CHECKING

from pydantic import Field
from typing_extensions import override

from etl_assets.caches.base import CacheBase
from etl_assets.destinations.sqlalchemy.destination import SqlDestination

if TYPE_CHECKING:
    from sqlalchemy import URL


class GenericSQLCacheConfig(CacheBase):
    """A database by its SQLAlchemy URL.

    Args:
        sql_alchemy_url: The URL.
        schema_name: The schema of its tables; "" for the connection's own.
    """

    sql_alchemy_url: str = Field(description="SQLAlchemy's URL.", repr=False)
    schema_name: str = ""

    @override
    def make_destination(self) -> SqlDestination:
        return SqlDestination(
            self.sql_alchemy_url,
            schema_name=self.schema_name or None,
            state_schema=self.schema_name or None,
            staging_dir=str(self.cache_dir / "staging"),
        )

    @override
    def get_database_name(self) -> str:
        return str(self.make_url().database)

    @override
    def make_url(self) -> "URL":
        from sqlalchemy import make_url

        return make_url(str(self.sql_alchemy_url))
