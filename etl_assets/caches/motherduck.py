"""A cache in MotherDuck."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from typing_extensions import override

from etl_assets.caches.duckdb import DuckDBCache
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.secrets.option import SecretOption
from etl_assets.secrets.references import resolve

if TYPE_CHECKING:
    from sqlalchemy import URL


class MotherDuckCache(DuckDBCache):
    """A database of MotherDuck: DuckDB's own client, with an `md:` address.

    Args:
        database: The database, which must be there.
        api_key: The token.
        schema_name: The schema of its tables.
    """

    database: str = Field(description="The database.")
    api_key: SecretOption = Field(description="The token.")
    db_path: Path | str = Field(default="", description="`md:` and the database.")

    paired_destination_name: ClassVar[str | None] = "destination-motherduck"

    @override
    def model_post_init(self, context: object, /) -> None:
        super().model_post_init(context)
        self.db_path = f"md:{self.database}"

    @override
    def make_destination(self) -> DuckDBDestination:
        return DuckDBDestination(
            str(self.db_path),
            schema_name=self.schema_name,
            staging_dir=str(self.cache_dir / "staging"),
            settings={"motherduck_token": self.api_key},
        )

    @override
    def make_url(self) -> "URL":
        return (
            super().make_url().update_query_dict({"motherduck_token": str(resolve(self.api_key))})
        )

    @override
    def get_database_name(self) -> str:
        return self.database


MotherDuckConfig = MotherDuckCache
"""The configuration by itself, by PyAirbyte's name: a cache is one."""
