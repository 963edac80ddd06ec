"""Verbs of a cache that only scripts written for PyAirbyte call."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from etl_assets.arguments import NAMES, checked
from etl_assets.exceptions import ConfigError, InputError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.registry import reach

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

    from etl_assets.shared.catalog_providers import CatalogProvider

_NO_PAIR = (
    "etl_assets has no types of Airbyte Cloud's client. Give the options of "
    "cache.paired_destination_name to get_destination()."
)


class PyAirbyteVerbs:
    """What PyAirbyte's caches answer to, over what ours do."""

    schema_name: str
    _streams_read: dict[str, Stream]

    def table_of(self, stream_name: str) -> TableName:
        """Return the table of a stream."""
        raise NotImplementedError(f"{type(self).__name__} must override table_of.")

    def sql_table(self, stream_name: str) -> "Table":
        """Return the table of a stream as SQLAlchemy's."""
        raise NotImplementedError(f"{type(self).__name__} must override sql_table.")

    def count(self, table: TableName, where: Sequence[str]) -> int:
        """Count the rows of a table that meet every condition."""
        raise NotImplementedError(f"{type(self).__name__} must override count.")

    def get_sql_engine(self) -> "Engine":
        """Return an SQLAlchemy engine."""
        raise NotImplementedError(f"{type(self).__name__} must override get_sql_engine.")

    def get_database_name(self) -> str:
        """Return the database's name."""
        raise NotImplementedError(f"{type(self).__name__} must override get_database_name.")

    @property
    def streams(self) -> Any:
        """The streams as datasets, by name."""
        raise NotImplementedError(f"{type(self).__name__} must override streams.")

    @property
    def streams_read(self) -> dict[str, Stream]:
        """The streams that were read through this object, as they were read, by name."""
        return self._streams_read

    def create_source_tables(self, source: Any, streams: str | Sequence[str] | None = None) -> None:
        """Make the missing tables of a source's streams, by what its catalog declares.

        Args:
            source: The source.
            streams: Which; by default the selected ones, and all where none is selected.
        """
        reach("create_tables")(source, self, streams)

    def close(self) -> None:
        """Let go of what is open: a database in memory. Using the cache opens it again."""
        raise NotImplementedError(f"{type(self).__name__} must override close.")

    def dispose_engine(self) -> None:
        """Let go of what is open, by PyAirbyte's name."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get_sql_alchemy_connect_args(self) -> dict[str, Any]:
        """Return what SQLAlchemy gives the driver beside the url: nothing."""
        return {}

    @property
    def processor(self) -> Self:
        """What PyAirbyte calls the SQL processor: the cache itself answers to its names."""
        return self

    @property
    def sql_config(self) -> Self:
        """What PyAirbyte calls the configuration of the SQL processor: the cache itself."""
        return self

    @property
    def database_name(self) -> str:
        """The database's name, by the SQL processor's word for it."""
        return self.get_database_name()

    @contextmanager
    def get_sql_connection(self) -> Iterator["Connection"]:
        """Yield a connection of SQLAlchemy's, in a transaction that the block's end commits.

        ```python
        with cache.processor.get_sql_connection() as connection:
            connection.execute(text("CREATE VIEW large AS SELECT * FROM orders WHERE amount > 5"))
        ```
        """
        with self.get_sql_engine().begin() as connection:
            yield connection

    @property
    def catalog_provider(self) -> "CatalogProvider":
        """How the streams that were read through this object are read: their schemas and keys.

        Raises:
            InputError: None was.
        """
        if not self.streams_read:
            raise InputError(
                f"Nothing was read through {self!r}, so it knows no catalog.",
                hint="source.configured_catalog has that of a source.",
            )
        from etl_assets.protocol.airbyte.catalog import ConfiguredAirbyteCatalog
        from etl_assets.shared.catalog_providers import CatalogProvider

        return CatalogProvider(ConfiguredAirbyteCatalog.of(self.streams_read.values()))

    def fetch_row_count(self, table_name: str) -> int:
        """Count the rows of a table, by its own name."""
        return self.count(TableName(table_name, self.schema_name), ())

    def get_record_processor(
        self, source_name: str, catalog_provider: Any = None, **_: Any
    ) -> Self:
        """Return what PyAirbyte calls the record processor: the cache itself."""
        del source_name, catalog_provider
        return self

    def register_source(
        self,
        source_name: str,
        incoming_source_catalog: Any = None,
        stream_names: Iterable[str] = (),
    ) -> None:
        """Do nothing: what a source is, a cache learns from its first read.

        For PyAirbyte's sake.
        """

    @property
    def paired_destination_config(self) -> Any:
        """Not taken over.

        Raises:
            ConfigError: Says so.
        """
        raise ConfigError(_NO_PAIR)

    @property
    def paired_destination_config_class(self) -> Any:
        """Not taken over.

        Raises:
            ConfigError: Says so.
        """
        raise ConfigError(_NO_PAIR)

    def get_sql_table_name(self, stream_name: str) -> str:
        """Return the name of a stream's table."""
        return self.table_of(stream_name).name

    def get_sql_table(self, stream_name: str) -> "Table":
        """Return a stream's table as SQLAlchemy's."""
        return self.sql_table(stream_name)

    @checked(stream_names=NAMES)
    def fetch_table_statistics(
        self, stream_names: Sequence[str] | None = None
    ) -> dict[str, dict[str, int]]:
        """Return `{"row_count": ...}` of streams; by default of all."""
        return {
            name: {"row_count": self.count(self.table_of(name), ())}
            for name in _listed(self.streams if stream_names is None else stream_names)
        }


def _listed(names: Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
