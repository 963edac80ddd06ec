"""A cache: the configuration of a database that a script reads into, with its tables as datasets.

It owns a destination, which writes, and reads the destination's tables; there is no second writer. Nothing connects
before something is read or written.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationInfo, field_validator
from typing_extensions import override

from etl_assets.caches.sql_tables import to_sql_table
from etl_assets.caches.states import CacheStates
from etl_assets.constants import DEFAULT_ARROW_MAX_CHUNK_SIZE
from etl_assets.datasets import CachedDataset
from etl_assets.destinations.database import DatabaseDestination
from etl_assets.exceptions import ConfigError, InputError, StreamNotFoundError
from etl_assets.protocol.load import StreamState, TableName
from etl_assets.protocol.schema import from_arrow
from etl_assets.protocol.stream import Stream
from etl_assets.secrets.references import is_reference, name_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.dataset as ds
    from sqlalchemy import Engine, Table


_NO_PAIR = (
    "etl_assets has no types of Airbyte Cloud's client. Give the options of cache.paired_destination_name to "
    "get_destination()."
)


class CacheBase(BaseModel):
    """A database that streams are read into.

    ```python
    cache = DuckDBCache(db_path="warehouse.duckdb")
    source.read(cache=cache)
    cache["users"].to_pandas()
    ```

    Args:
        schema_name: The schema of its tables.
        table_prefix: Comes before the name of each table.
        cache_dir: Where files wait that do not fit in memory.
        cleanup: Remove such files when they are read; kept for PyAirbyte's sake: ours are always removed.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    schema_name: str = Field(default="main", description="The schema of the tables.")
    table_prefix: str | None = Field(default="", description="Comes before the name of each table.")
    cache_dir: Path = Field(default=Path(".cache"), description="Where files wait that do not fit in memory.")
    cleanup: bool = Field(default=True, description="Kept for PyAirbyte's sake: files are always removed.")

    paired_destination_name: ClassVar[str | None] = None
    """The Airbyte destination that writes to the same database."""

    _destination: DatabaseDestination | None = PrivateAttr(default=None)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_reference(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what would go out as its own name: an `EnvVar` is a text, too."""
        field = cls.model_fields[info.field_name or ""]
        if is_reference(value) and field.annotation is not Any:
            raise ValueError(
                f"only a secret can be a reference; give the value, such as get_secret({name_of(value)!r})"
            )
        return value

    @override
    def __copy__(self) -> Self:
        # What `model_copy(update=...)` changes is to count.
        copied = super().__copy__()
        copied._destination = None  # noqa: SLF001 - of its own class
        return copied

    def make_destination(self) -> DatabaseDestination:
        """Give the destination that this configuration is of; a hook. MUST NOT connect."""
        raise NotImplementedError(f"{type(self).__name__} must override make_destination.")

    @property
    def destination(self) -> DatabaseDestination:
        """The destination that writes to it: an IO manager of Dagster's is made of it as of any other."""
        if self._destination is None:
            self._destination = self.make_destination()
            self._destination.options.table_prefix = self.table_prefix or ""
        return self._destination

    @property
    def name(self) -> str:
        """A name for people."""
        return type(self).__name__

    @property
    def config_hash(self) -> str:
        """A one-way hash of the configuration."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:32]

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_database_name()!r})"

    # As a mapping of streams

    @property
    def streams(self) -> dict[str, CachedDataset]:
        """The streams that were read into it, by name."""
        return {state.stream: CachedDataset(self, state.stream) for state in self._states()}

    def get_records(self, stream_name: str) -> CachedDataset:
        """Give the records of a stream.

        Raises:
            StreamNotFoundError: Nothing was read into it under this name.
        """
        self._state(stream_name)
        return CachedDataset(self, stream_name)

    def __getitem__(self, stream: str) -> CachedDataset:
        try:
            return self.get_records(stream)
        except StreamNotFoundError as error:
            raise KeyError(stream) from error

    def __contains__(self, stream: object) -> bool:
        return any(state.stream == stream for state in self._states())

    @override
    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # of streams, as PyAirbyte's, not of pydantic's fields
        return iter(self.streams)

    def __len__(self) -> int:
        return len(self._states())

    def __bool__(self) -> bool:
        return True  # also one that nothing was read into

    def get_pandas_dataframe(self, stream_name: str) -> "pd.DataFrame":
        """Give the records of a stream as a DataFrame."""
        return self.get_records(stream_name).to_pandas()

    def get_arrow_dataset(
        self, stream_name: str, *, max_chunk_size: int = DEFAULT_ARROW_MAX_CHUNK_SIZE
    ) -> "ds.Dataset":
        """Give the records of a stream as an Arrow dataset."""
        return self.get_records(stream_name).to_arrow(max_chunk_size=max_chunk_size)

    # SQL

    def get_database_name(self) -> str:
        """Give the database's name."""
        raise NotImplementedError

    def get_sql_alchemy_url(self) -> Any:
        """Give SQLAlchemy's URL; it shows no password."""
        raise NotImplementedError

    def get_sql_engine(self) -> "Engine":
        """Give an SQLAlchemy engine. It keeps no connection open: a load could not come in beside one."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        return create_engine(self.get_sql_alchemy_url(), poolclass=NullPool, hide_parameters=True)

    def get_vendor_client(self) -> Any:
        """Give a connection by the database's own library; whoever asks closes it."""
        raise NotImplementedError(f"{type(self).__name__} has no client of its own.")

    def get_create_table_extra_clauses(self) -> list[str]:
        """Give what PyAirbyte adds to CREATE TABLE: nothing here."""
        return []

    def execute_sql(self, sql: str | list[str]) -> None:
        """Run statements in one transaction: all of them, or none."""
        with self.destination.transaction() as tx:
            for statement in [sql] if isinstance(sql, str) else sql:
                tx.execute(statement)

    def run_sql_query(self, sql_query: str, *, max_records: int | None = None) -> list[dict[str, Any]]:
        """Run a query and give its rows.

        Args:
            sql_query: The query.
            max_records: Give at most so many; None for all.
        """
        from sqlalchemy import text

        with self.get_sql_engine().connect() as connection:
            found = connection.execute(text(sql_query))
            rows = found.mappings()
            return [dict(row) for row in (rows.all() if max_records is None else rows.fetchmany(max_records))]

    @property
    def processor(self) -> "CacheBase":
        """What PyAirbyte calls the SQL processor: the cache itself answers to its names."""
        return self

    def get_record_processor(self, source_name: str, catalog_provider: Any = None, **_: Any) -> "CacheBase":
        """Give what PyAirbyte calls the record processor: the cache itself."""
        del source_name, catalog_provider
        return self

    # States and sources

    def get_state_provider(
        self, source_name: str, *, refresh: bool = True, destination_name: str | None = None
    ) -> CacheStates:
        """Give the bookmarks of a source's streams, as they are when they are asked for.

        Args:
            source_name: The source's name, or its connector's.
            refresh: They always are.
            destination_name: Those that were kept here for this destination, by its `identity`.
        """
        del refresh
        return CacheStates(self.destination, source_name, destination_name)

    def get_state_writer(self, source_name: str, destination_name: str | None = None) -> CacheStates:
        """Give what also changes these bookmarks."""
        return CacheStates(self.destination, source_name, destination_name)

    def register_source(
        self, source_name: str, incoming_source_catalog: Any = None, stream_names: Iterable[str] = ()
    ) -> None:
        """Do nothing: what a source is, a cache learns from its first read. For PyAirbyte's sake."""

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
        """Give the name of a stream's table."""
        return self.table_of(stream_name).name

    def get_sql_table(self, stream_name: str) -> "Table":
        """Give a stream's table as SQLAlchemy's."""
        return self.sql_table(stream_name)

    def fetch_table_statistics(self, stream_names: Sequence[str] | None = None) -> dict[str, dict[str, int]]:
        """Give `{"row_count": ...}` of streams; by default of all."""
        return {
            name: {"row_count": self.count(self.table_of(name), ())}
            for name in (list(self.streams) if stream_names is None else stream_names)
        }

    def place_of(self, source_name: str, stream: Stream) -> TableName:
        """Give where a stream of a source is put."""
        return self.destination.table_for(source_name, stream)

    def state_of(self, stream_name: str) -> StreamState:
        """Give what is stored about a stream: its table, the load id and the bookmark of its last load."""
        return self._state(stream_name)

    def replaced_since(self, stream_name: str, load_id: str) -> bool:
        """Tell whether a stream's table was replaced by a load after this one, or this one is not known."""
        state = self._state(stream_name)
        with self.destination.transaction() as tx:
            return self.destination.ledger(tx).replaced_since(state, load_id)

    def later_loads(self, stream_name: str, load_id: str) -> list[str]:
        """Return the ids of the loads that came after one and changed rows, oldest first; none for an unknown one."""
        state = self._state(stream_name)
        with self.destination.transaction() as tx:
            later = self.destination.ledger(tx).later_loads(state, load_id) or ()
        return list(dict.fromkeys(one.load_id for one in later if one.changed_rows))

    # What a dataset reads

    def table_of(self, stream_name: str) -> TableName:
        """Give the table of a stream."""
        return self._state(stream_name).table

    def stream_of(self, stream_name: str) -> Stream:
        """Give a stream with the schema of its table, by the columns' names."""
        state = self._state(stream_name)
        with self.destination.transaction() as tx:
            schema = tx.schema(state.table)
        return Stream(state.stream, namespace=state.namespace or None, schema=from_arrow(schema) if schema else None)

    def snapshot(self, table: TableName, where: Sequence[str], chunk_rows: int) -> "ds.Dataset":
        """Give the rows of a table that meet every condition, as they are now; they wait in a file, not in memory."""
        return self.destination.snapshot(table, where=where, chunk_rows=chunk_rows, directory=self.cache_dir)

    def count(self, table: TableName, where: Sequence[str]) -> int:
        """Count the rows of a table that meet every condition."""
        return self.destination.count(table, where=where)

    def condition(self, expression: Any) -> str:
        """Give a condition as SQL text."""
        if isinstance(expression, str):
            return expression
        engine = self.get_sql_engine()
        return str(expression.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))

    def sql_table(self, stream_name: str) -> "Table":
        """Give the table of a stream as SQLAlchemy's, with the columns that are stored."""
        table = self.table_of(stream_name)
        with self.destination.transaction() as tx:
            return to_sql_table(table, tx.schema(table))

    def as_io_manager(self) -> Any:
        """Give a Dagster IO manager that stores into it, and reads from it: `resources={"io_manager": ...}`."""
        # By its path: what is above this layer is only known when it is asked for.
        return import_module("etl_assets.assets.io_manager").to_io_manager(self)

    def _states(self) -> list[StreamState]:
        return [state for state in self.destination.states() if state.stream]

    def _state(self, stream_name: str) -> StreamState:
        states = self._states()
        found = [state for state in states if state.stream == stream_name]
        if len(found) > 1:
            raise InputError(
                f"The cache has {len(found)} streams {stream_name!r}: of "
                f"{', '.join(repr(f'{s.source}: {s.namespace}' if s.namespace else s.source) for s in found)}.",
                hint="Give each source a cache, or a table_prefix, of its own.",
                stream=stream_name,
            )
        if not found:
            raise StreamNotFoundError(
                f"Nothing was read into {self!r} as {stream_name!r}.",
                available_streams=[state.stream for state in states],
                stream=stream_name,
            )
        return found[0]
