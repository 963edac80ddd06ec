"""A cache in a DuckDB file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from etl_assets.caches.base import CacheBase
from etl_assets.destinations.duckdb.destination import MEMORY, DuckDBDestination
from etl_assets.sources.sql.duckdb.file import with_reflection

if TYPE_CHECKING:
    from sqlalchemy import URL


class DuckDBCache(CacheBase):
    """A DuckDB file, or `:memory:`.

    Args:
        db_path: The file; its folder is made when something is read into it.
        schema_name: The schema of its tables.
        table_prefix: Comes before the name of each table.
        cache_dir: Where files wait that do not fit in memory.
    """

    db_path: Path | str = Field(description="The file, or `:memory:`.")

    paired_destination_name: ClassVar[str | None] = "destination-duckdb"

    @override
    def make_destination(self) -> DuckDBDestination:
        if str(self.db_path) != MEMORY:
            Path(self.db_path).absolute().parent.mkdir(parents=True, exist_ok=True)
        return DuckDBDestination(
            str(self.db_path),
            schema_name=self.schema_name,
            staging_dir=str(self.cache_dir / "staging"),
        )

    @override
    def get_database_name(self) -> str:
        return "memory" if str(self.db_path) == MEMORY else Path(self.db_path).stem

    @override
    def make_url(self) -> "URL":
        from sqlalchemy import URL

        return URL.create("duckdb", database=str(self.db_path))

    @override
    def get_sql_engine(self) -> Any:
        """Return an SQLAlchemy engine whose connections are opened as the destination's are."""
        from duckdb_engine import ConnectionWrapper
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool, StaticPool

        memory = str(self.db_path) == MEMORY
        return create_engine(
            with_reflection(self.make_url()),
            creator=lambda: ConnectionWrapper(self.get_vendor_client()),
            poolclass=StaticPool if memory else NullPool,
            hide_parameters=True,
        )

    @override
    def get_vendor_client(self) -> Any:
        destination = self.destination
        assert isinstance(destination, DuckDBDestination)  # noqa: S101 - `make_destination` gives no other
        return destination.connect()


DuckDBConfig = DuckDBCache
"""The configuration by itself, by PyAirbyte's name: a cache is one."""
