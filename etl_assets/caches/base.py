"""A cache: the configuration of a database that a script reads into, with its tables as datasets.

It owns a destination, which writes, and reads the destination's tables; there is no second writer.
Nothing connects before something is read or written.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from typing_extensions import override

from etl_assets.arguments import refuse_positional
from etl_assets.caches.pyairbyte_verbs import PyAirbyteVerbs
from etl_assets.caches.sql_access import SqlAccess
from etl_assets.caches.sql_tables import to_sql_table
from etl_assets.caches.states import CacheStates
from etl_assets.caches.tables import CacheTables, tables_of
from etl_assets.caches.takeover import catch_up, take_over
from etl_assets.constants import DEFAULT_ARROW_MAX_CHUNK_SIZE
from etl_assets.datasets import CachedDataset
from etl_assets.destinations.base import wrong_options
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.exceptions import (
    EtlAssetsWarning,
    InputError,
    StateNotFoundError,
    StreamKeyError,
    StreamNotFoundError,
    did_you_mean,
    shorten,
)
from etl_assets.model.events import StreamKey
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.model.stored import StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.registry import reach
from etl_assets.secrets.references import is_reference, name_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow.dataset as ds
    from sqlalchemy import Table


class CacheBase(SqlAccess, PyAirbyteVerbs, BaseModel):
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
        airbyte_columns: Add `_airbyte_raw_id`, `_airbyte_extracted_at` and `_airbyte_meta` to the
            tables.
        adopt: Take over tables that neither this library nor PyAirbyte has made, when something is
            read into them.
        cleanup: Remove such files when they are read; kept for PyAirbyte's sake: ours are always
            removed.
    """

    # An error that showed its input would show the password beside a misspelt option.
    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True
    )

    schema_name: str = Field(default="main", description="The schema of the tables.")
    table_prefix: str | None = Field(default="", description="Comes before the name of each table.")
    cache_dir: Path = Field(
        default=Path(".cache"), description="Where files wait that do not fit in memory."
    )
    airbyte_columns: bool = Field(
        default=True, description="Add PyAirbyte's three columns to the tables."
    )
    adopt: bool = Field(
        default=False, description="Take over tables that neither we nor PyAirbyte have made."
    )
    cleanup: bool = Field(
        default=True, description="Kept for PyAirbyte's sake: files are always removed."
    )

    paired_destination_name: ClassVar[str | None] = None
    """The Airbyte destination that writes to the same database."""

    _destination: DatabaseDestination | None = PrivateAttr(default=None)
    _streams_read: dict[str, Stream] = PrivateAttr(default_factory=dict)

    # Type checkers know the options by their fields.
    def __init__(self, *args: Any, **given: Any) -> None:
        name, fields = type(self).__name__, type(self).model_fields
        refuse_positional(name, args, fields)
        with wrong_options(name, fields):
            super().__init__(**given)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_reference(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what would go out as its own name: an `EnvVar` is a text, too."""
        field = cls.model_fields[info.field_name or ""]
        if is_reference(value) and field.annotation is not Any:
            raise ValueError(
                "only a secret can be a reference; give the value, such as "
                f"get_secret({name_of(value)!r})"
            )
        return value

    @model_validator(mode="before")
    @classmethod
    def _leave_out_unknown(cls, given: Any) -> Any:
        """Leave out unknown options, and warn of them: scripts give some that PyAirbyte ignores."""
        if not isinstance(given, Mapping):
            return given
        known = {
            *cls.model_fields,
            *(field.alias for field in cls.model_fields.values() if field.alias),
        }
        for name in given.keys() - known:
            near = did_you_mean(str(name), known)
            message = f"{cls.__name__} has no option {name!r}, so it has no effect. {near}"
            warnings.warn(EtlAssetsWarning(message), stacklevel=4)
        return {name: value for name, value in given.items() if name in known}

    @override
    def __copy__(self) -> Self:
        # What `model_copy(update=...)` changes is to count.
        copied = super().__copy__()
        copied._destination = None  # noqa: SLF001 - of its own class
        return copied

    def make_destination(self) -> DatabaseDestination:
        """Return the destination that this configuration is of; a hook. MUST NOT connect."""
        raise NotImplementedError(f"{type(self).__name__} must override make_destination.")

    @property
    @override
    def destination(self) -> DatabaseDestination:
        """The destination that writes to it; a Dagster IO manager is made of it as of any other."""
        if self._destination is None:
            self._destination = self.make_destination()
            self._destination.options.table_prefix = self.table_prefix or ""
            self._destination.options.airbyte_columns = self.airbyte_columns
        return self._destination

    @override
    def close(self) -> None:
        self._destination = None

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
    @override
    def streams(self) -> dict[str, CachedDataset]:
        """The streams that were read into it, by name."""
        return {name: CachedDataset(self, name) for name in self._names()}

    def get_records(self, stream_name: str) -> CachedDataset:
        """Return the records of a stream, or of a table that somebody else has made.

        Raises:
            StreamNotFoundError: Nothing was read into it under this name, and there is no such
                table.
        """
        self.table_of(stream_name)
        return CachedDataset(self, stream_name)

    def __getitem__(self, stream: str) -> CachedDataset:
        try:
            return self.get_records(stream)
        except StreamNotFoundError as error:
            raise StreamKeyError(
                error.message,
                hint=error.hint,
                available_streams=error.available_streams or (),
                stream=error.stream,
            ) from error

    def __contains__(self, stream: object) -> bool:
        return stream in self._names()

    @override
    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # of streams, as PyAirbyte's, not of pydantic's fields
        return iter(self.streams)

    def __len__(self) -> int:
        return len(self._names())

    def __bool__(self) -> bool:
        return True  # also one that nothing was read into

    def get_pandas_dataframe(self, stream_name: str) -> "pd.DataFrame":
        """Return the records of a stream as a DataFrame."""
        return self.get_records(stream_name).to_pandas()

    def get_arrow_dataset(
        self, stream_name: str, *, max_chunk_size: int = DEFAULT_ARROW_MAX_CHUNK_SIZE
    ) -> "ds.Dataset":
        """Return the records of a stream as an Arrow dataset."""
        return self.get_records(stream_name).to_arrow(max_chunk_size=max_chunk_size)

    # States and sources

    def get_state_provider(
        self, source_name: str, *, refresh: bool = True, destination_name: str | None = None
    ) -> CacheStates:
        """Return the bookmarks of a source's streams, as they are when they are asked for.

        Args:
            source_name: The source's name, or its connector's.
            refresh: They always are.
            destination_name: Those that were kept here for this destination, by its `identity`.
        """
        del refresh
        return CacheStates(self.destination, source_name, destination_name)

    def get_state_writer(
        self, source_name: str, destination_name: str | None = None
    ) -> CacheStates:
        """Return what also changes these bookmarks."""
        return CacheStates(self.destination, source_name, destination_name)

    def place_of(self, source_name: str, stream: Stream) -> TableName:
        """Return where a stream of a source is put."""
        return self.destination.table_for(source_name, stream)

    def state_of(self, stream_name: str) -> StreamState:
        """Return what is stored about a stream: its table, its last load's id and bookmark."""
        return self._state(stream_name)

    def replaced_since(self, stream_name: str, load_id: str) -> bool:
        """Return whether a stream's table was replaced after a load, or the load is not known."""
        state = self._state(stream_name)
        with self.destination.transaction() as tx:
            return self.destination.ledger(tx).replaced_since(state, load_id)

    def later_loads(self, stream_name: str, load_id: str) -> list[str]:
        """Return the ids of the loads that came after one and changed rows, oldest first.

        None for an unknown one.
        """
        state = self._state(stream_name)
        with self.destination.transaction() as tx:
            later = self.destination.ledger(tx).later_loads(state, load_id) or ()
        return list(dict.fromkeys(one.load_id for one in later if one.changed_rows))

    # What a dataset reads

    @override
    def table_of(self, stream_name: str) -> TableName:
        """Return the table of a stream, whoever made it."""
        return self.tables().of(stream_name)

    def stream_of(self, stream_name: str) -> Stream:
        """Return a stream with the schema of its table, by the columns' names."""
        found = self.tables()
        table, state = found.of(stream_name), found.states.get(stream_name)
        with self.destination.transaction() as tx:
            schema = tx.schema(table)
        if schema is not None:
            schema = schema.remove_metadata()
            for name in set(self.hidden_columns) & set(schema.names):
                schema = schema.remove(schema.get_field_index(name))
        namespace = state.namespace or None if state else None
        return Stream(
            stream_name, namespace=namespace, schema=from_arrow(schema) if schema else None
        )

    def snapshot(
        self, table: TableName, where: Sequence[str], chunk_rows: int, without: Collection[str] = ()
    ) -> "ds.Dataset":
        """Return the rows of a table that meet every condition, as they are now.

        They wait in a file, not in memory.
        """
        return self.destination.snapshot(
            table, where=where, chunk_rows=chunk_rows, without=without, directory=self.cache_dir
        )

    @property
    def hidden_columns(self) -> Sequence[str]:
        """The columns that datasets leave out: those that say by which load a row came.

        SQL sees them.
        """
        return self.destination.load_columns

    @override
    def count(self, table: TableName, where: Sequence[str]) -> int:
        """Count the rows of a table that meet every condition."""
        return self.destination.count(table, where=where)

    def condition(self, expression: Any) -> str:
        """Return a condition as SQL text."""
        if isinstance(expression, str) and expression.strip():
            return expression
        if isinstance(expression, str) or not callable(getattr(expression, "compile", None)):
            raise InputError(
                f"A condition is {shorten(expression)}.",
                hint='Give SQL text, such as "id > 5", or an expression of SQLAlchemy\'s.',
            )
        engine = self.get_sql_engine()
        return str(
            expression.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
        )

    @override
    def sql_table(self, stream_name: str) -> "Table":
        """Return the table of a stream as SQLAlchemy's, with the columns that are stored."""
        table = self.table_of(stream_name)
        with self.destination.transaction() as tx:
            return to_sql_table(table, tx.schema(table))

    def as_io_manager(self) -> Any:
        """Return a Dagster IO manager that stores into it and reads from it.

        It is for `resources={"io_manager": ...}`.
        """
        return reach("to_io_manager")(self)

    def known_streams(
        self, source: Any, stored_as: str, streams: Sequence[Stream]
    ) -> set[StreamKey]:
        """Return which streams of a source have a bookmark here.

        What PyAirbyte has left of the others is taken over.

        Args:
            source: The source.
            stored_as: The name under which its state is stored here.
            streams: The streams.
        """
        self._streams_read.update({stream.name: stream for stream in streams})
        mine = [state for state in self.destination.states() if state.source == stored_as]
        known = {(state.namespace, state.stream) for state in mine}
        taken = take_over(
            self, source, stored_as, [stream for stream in streams if stream.key not in known]
        )
        for name, bookmark in taken.items():
            begins = "goes on from the state" if bookmark is not None else "has no state"
            source.logger.warning(
                "%s: the table that PyAirbyte has made is adopted; it %s there", name, begins
            )
        own = [state for state in mine if state.stream and not state.partition]
        for name in catch_up(self, source, own):
            source.logger.warning(
                "%s: PyAirbyte has read it since; it goes on from the state of that read", name
            )
        goes_on = {(state.namespace, state.stream) for state in mine if state.bookmark is not None}
        if any(state.shared for state in mine):
            goes_on |= known
        return goes_on | {stream.key for stream in streams if taken.get(stream.name) is not None}

    def _names(self) -> list[str]:
        return self.tables().names

    @override
    def tables(self) -> CacheTables:
        return tables_of(self)

    def _state(self, stream_name: str) -> StreamState:
        found = self.tables()
        found.of(stream_name)
        state = found.states.get(stream_name)
        if state is None:
            raise StateNotFoundError(
                f"Nothing was read into {self!r} as {stream_name!r}: somebody else has made the "
                "table.",
                stream=stream_name,
            )
        return state
