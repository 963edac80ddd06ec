"""A destination: hooks that a subclass overrides.

One of them is enough: `export_batch_data`, Mage's contract.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ValidationError
from typing_extensions import override

from etl_assets.destinations.target.modes import DestinationModes
from etl_assets.destinations.target.program import run_destination
from etl_assets.destinations.verbs import DestinationVerbs
from etl_assets.exceptions import ArgumentTypeError, ConfigError, InputError, UnsupportedWriteError
from etl_assets.logs import Logger
from etl_assets.model.load import Capabilities, Committed, Load, Session
from etl_assets.model.stored import (
    Bookmark,
    SharedState,
    Stored,
    StoredSource,
    StreamState,
    TableName,
)
from etl_assets.naming import identifiers
from etl_assets.redaction import remember_config
from etl_assets.registry import reach
from etl_assets.secrets.references import ResolvedConfig

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.destinations.contract import Screen
    from etl_assets.model.batch import Batch, Encoding
    from etl_assets.model.events import StreamKey
    from etl_assets.model.stream import Stream


main = run_destination
"""Mage's entry point: `if __name__ == "__main__": main(MyDestination)`."""


class Destination(DestinationModes, DestinationVerbs):
    """Something that rows are loaded into.

    A subclass MUST override `export_batch_data` (rows), or `export` (Arrow), or `session`. With the
    first two it is at-least-once: killed between its own commit and the event, the batch comes
    again. Overriding `session` and `stored` with a state row in the rows' transaction makes it
    exactly-once. It MUST NOT connect in `__init__`.

    ```python
    class Printer(Destination):
        def export_batch_data(self, record_data, stream, tags=None):
            for item in record_data:
                print(stream, item["record"])
    ```

    `Destination(executor, name, config, *, config_change_callback, validate)`, as PyAirbyte has it,
    makes a `ConnectorDestination`.

    Args:
        argument_parser: Makes it a program: Mage's flags are added to it, and the command line of
            the process is read.
        config: Whatever the destination needs. Values may be references (`dagster.EnvVar`),
            resolved when `self.config` is read.
        logger: Where the destination logs.
        options: The rest of Mage's parameters: `batch_processing`, `catalog`, `config_file_path`,
            `debug`, `input_file_path`, `log_to_stdout`, `settings`, `settings_file_path`,
            `show_templates`, `state_file_path`, `test_connection` (see `TargetArguments`).
    """

    Options: ClassVar[type[BaseModel] | None] = None
    """The pydantic model of its options, from which its Dagster resource is derived."""

    capabilities: Capabilities = Capabilities()
    storage_kind: ClassVar[str] = "destination"
    _config: dict[str, Any]
    native_types: ClassVar[bool] = False
    """Have `export_batch_data` get Python's own values instead of Mage's JSON values.

    That is dates, times, bytes and exact decimals.
    """
    json_numbers: bool = False
    """Have `export_batch_data` get decimals as floats, so that `json.dumps` takes a record.

    A program gets them so anyway.
    """

    def __new__(cls, *given: Any, **options: Any) -> Self:
        """Make an object.

        `Destination(executor, name, config)` is PyAirbyte's call: it makes one that runs this
        connector.
        """
        executor = options.get("executor", given[0] if given else None)
        connector = None
        if cls is Destination and executor is not None:
            connector = _connector_class(executor)
        made: Self = super().__new__(connector or cls)
        return made

    def __init__(
        self,
        argument_parser: Any = None,
        *,
        config: Mapping[str, Any] | None = None,
        logger: logging.Logger | Logger | None = None,
        **options: Any,
    ) -> None:
        from etl_assets.destinations.target.arguments import arguments_of

        if argument_parser is not None and not callable(
            getattr(argument_parser, "add_argument", None)
        ):
            raise ArgumentTypeError(
                f"{type(self).__name__}: argument_parser must be an argparse.ArgumentParser, not "
                f"of the type {type(argument_parser).__name__}."
            )
        self.argument_parser = argument_parser
        self._config, self.target = arguments_of(argument_parser, options, config)
        self.config_is_missing = not self._config
        self.settings = self.target.settings
        self.logger = Logger(
            self, logger=logger or f"etl_assets.destinations.{type(self).__name__}"
        )

    @property
    def config(self) -> dict[str, Any]:
        """The config with its references resolved, anew at each access."""
        resolved = ResolvedConfig(self._config)
        remember_config(resolved)
        return resolved

    @config.setter
    def config(self, value: Mapping[str, Any]) -> None:
        self._config = dict(value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"  # never the config: it may hold a secret

    @property
    def own_columns(self) -> Sequence[str]:
        """The columns that this library adds to the tables."""
        return ()

    @property
    def identity(self) -> str:
        """What tells this destination from others of an asset's past; its class by default.

        Events are the only memory of a destination without state, and those of another destination
        are none of its own.
        """
        return type(self).__name__

    # Hooks

    def test_connection(self) -> None:
        """Raise an error that says what is wrong if the destination cannot be reached.

        Called once before the first batch of a session.
        """

    def export_batch_data(
        self, record_data: list[dict[str, Any]], stream: str, tags: Mapping[str, Any] | None = None
    ) -> None:
        """Take a batch of records.

        Args:
            record_data: Never empty: dicts with `record` (all with the same keys, in the schema's
                order; a missing value is None) and `stream`. Values are JSON types as Mage sends
                them (dates and times as ISO 8601 text, decimals as `Decimal`, or as floats with
                `json_numbers = True`), or Python's own with `native_types = True`.
            stream: The stream's name.
            tags: For logs.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override export_batch_data (stream {stream!r})."
        )

    def export(self, batch: "Batch", load: Load) -> None:
        """Take a batch in columns (`batch.to_arrow(load.stream)`); by default, as rows."""
        from etl_assets.destinations.target.rows import export_rows

        export_rows(self, batch, load)

    def session(self, loads: Sequence[Load]) -> AbstractContextManager[Session]:
        """Open a session. By default each batch goes to `export` at once."""
        return _open_row_session(self, loads)

    def stored(
        self, source: str, stream: "Stream", *, table: TableName | None = None, partition: str = ""
    ) -> Stored:
        """Return what is known of a stream; nothing where no state is kept."""
        del source, stream, table, partition
        return Stored()

    def stored_many(
        self,
        source: str,
        streams: Sequence[tuple["Stream", TableName | None]],
        *,
        partition: str = "",
    ) -> list[Stored]:
        """Return what `stored` says of many streams of a source, each with its table, in order."""
        return [
            self.stored(source, stream, table=table, partition=partition)
            for stream, table in streams
        ]

    def stored_source(self, source: str, *, partition: str = "") -> StoredSource:
        """Return what is known of a whole source; nothing where no state is kept."""
        del source, partition
        return StoredSource()

    def table_for(self, source: str, stream: "Stream") -> TableName:
        """Return the default place of a stream, with normalised names.

        The schema is that of the source's name, the table that of the stream's alias or name.
        """
        limit = self.capabilities.max_identifier_bytes
        name = f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name
        if stream.stream_alias:
            name = stream.stream_alias
        return TableName(_one(name, limit), _one(source, limit))

    def tables_for(self, source: str, streams: Sequence["Stream"]) -> dict["StreamKey", TableName]:
        """Return the default place of each stream of a source, by its key (namespace, name).

        No two have the same. Of streams whose tables would have one name, that one keeps it whose
        own name it is, else the first by name; the others get a hash of their name. So the order of
        the streams makes no difference.

        Args:
            source: The source's name.
            streams: As many of its streams as are known, whether or not they are loaded.
        """
        limit = self.capabilities.max_identifier_bytes
        plain = {stream.key: self.table_for(source, stream) for stream in streams}
        first: dict[tuple[str, str], StreamKey] = {}
        own_names_first = sorted(
            streams, key=lambda one: (one.name not in plain[one.key].name, one.key)
        )
        for stream in own_names_first:
            first.setdefault(plain[stream.key].folded, stream.key)
        tables = {}
        for stream in streams:
            table = plain[stream.key]
            if first[table.folded] != stream.key:
                table = table.hashed(stream.full_name, limit)
            tables[stream.key] = table
        return tables

    def settled_table(self, source: str, stream: "Stream", table: TableName) -> TableName:
        """Return the table that a stream has, where the destination knows better than its name."""
        del source, stream
        return table

    def uri(self, table: TableName) -> str | None:
        """Return where a table can be found, if there is such an address."""
        del table
        return None

    def database_name(self) -> str | None:
        """Return the database in which the schemas are, as a query writes it before them.

        None where no query does.

        Asked at the end of a sync only: a reference in the options may be resolved.
        """
        return None

    def prefix_of(self, table: TableName) -> str | None:
        """Return what a query may write before a table's name; the database, by default.

        Args:
            table: The table. Its name may lack the schema, where that is the connection's own.
        """
        del table
        return self.database_name()

    def read_table(self, table: TableName, *, columns: Sequence[str] | None = None) -> "pa.Table":
        """Read a table back, for `load_input`."""
        del columns
        raise UnsupportedWriteError(f"{type(self).__name__} cannot read {table} back.")

    # The stored state, for `etl-assets state`

    def states(self) -> list[StreamState]:
        """Return every state row."""
        raise self._stateless()

    def stored_under(
        self, source: str, streams: Collection["StreamKey"], *, hashed: bool = False
    ) -> str:
        """Return the name under which a script's source has its state here.

        See `destinations/places.py`.
        """
        del streams, hashed
        return source

    def noted_config(self, source: str, document: Mapping[str, Any] | None = None) -> Any:
        """Return what was noted of the config of a script's source, or None.

        Where a document is given, note that one.
        """
        del source, document

    def set_bookmark(self, state: StreamState, bookmark: Bookmark | None) -> None:
        """Store another bookmark for a stream."""
        raise self._stateless(state, bookmark)

    def delete_state(self, state: StreamState) -> None:
        """Forget a stream: its next sync starts afresh and replaces the table."""
        raise self._stateless(state)

    def rename_source(self, old: str, new: str) -> int:
        """Move the states of a source to another name, and return how many there were."""
        raise self._stateless(old, new)

    def rewind(self, state: StreamState, load_id: str) -> int:
        """Go back to what a stream was after a load; return how many rows were deleted."""
        raise self._stateless(state, load_id)

    def _stateless(self, *asked: object) -> ConfigError:
        del asked
        return ConfigError(
            f"{type(self).__name__} keeps no state.",
            hint="Its bookmarks are those of the materialization events; set one with the run "
            "config's `bookmark`.",
        )


def _connector_class(executor: Any) -> Any:
    """Return the class of destinations that an executor starts.

    None for anything else, such as Mage's parser.
    """
    from etl_assets.connectors.executors import Executor

    if not isinstance(executor, Executor):
        return None
    is_singer = executor.protocol == "singer"
    return reach("SingerDestination" if is_singer else "AirbyteDestination")


def parse_options(model: type[BaseModel], owner: str, values: Mapping[str, Any]) -> Any:
    """Check a destination's options against its model.

    Raises:
        ConfigError: Names each option that is wrong; never shows its value, which may be a secret.
    """
    with wrong_options(owner, model.model_fields):
        return model(**values)


@contextmanager
def wrong_options(owner: str, names: Iterable[str]) -> Iterator[None]:
    """Raise what pydantic finds wrong with options as an error of ours.

    It never shows a value, which may be a secret.

    Raises:
        InputError: Names each option that is wrong.
    """
    try:
        yield
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
        )
        raise InputError(
            f"{owner}: {problems}.", hint=f"Its options: {', '.join(names)}."
        ) from None


def _one(name: str, limit: int) -> str:
    return identifiers([name], max_bytes=limit)[name]


class RowSession(Session):
    """The session of a destination without transactions: every batch is exported as it comes."""

    def __init__(self, destination: Destination, loads: Sequence[Load]) -> None:
        from etl_assets.destinations.database.rejected import Rejects

        self.encoding: Encoding = destination.capabilities.encoding
        self._destination = destination
        self._loads = {load.load_id: load for load in loads}
        self._rows = dict.fromkeys(self._loads, 0)
        self._rejects = {load.load_id: Rejects(load) for load in loads}
        self._screens: dict[str, Screen] = {}
        self._connected = False

    @override
    def screen(self, batch: "Batch", load: Load) -> "Batch":
        from etl_assets.destinations.contract import Screen, as_rows, declared_shape

        screen = self._screens.get(load.load_id)
        if screen is None:
            # What is there already, nobody can tell: what the stream declares is all that can be
            # contradicted.
            screen = Screen(load, declared_shape(load), self._rejects[load.load_id].add)
            self._screens[load.load_id] = screen
        screened = screen.take(batch)
        return as_rows(screened, load.stream) if self.encoding == "rows" else screened

    @override
    def export(self, batch: "Batch", load: Load) -> int:
        from etl_assets.destinations.contract import settled

        batch = settled(batch, self._rejects[load.load_id].add)
        if not len(batch):
            return 0
        if not self._connected:
            self._destination.test_connection()
            self._connected = True
        self._destination.export(batch, load)
        self._rows[load.load_id] += len(batch)
        return 0

    @override
    def revise(self, load: Load) -> None:
        from etl_assets.destinations.database.rejected import Rejects

        self._loads[load.load_id] = load
        self._rows.setdefault(load.load_id, 0)
        self._rejects.setdefault(load.load_id, Rejects(load))

    @override
    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> list[Committed]:
        del complete, shared
        committed = []
        for load_id, bookmark in bookmarks.items():
            load = self._loads[load_id]
            committed.append(
                Committed(
                    load_id=load_id,
                    rows_loaded=self._rows[load_id],
                    rows_in_table=None,
                    bookmark=bookmark,
                    committed_at=datetime.now(UTC),
                    table=str(load.table or load.stream.name),
                    last_changed_by=load_id if self._rows[load_id] else "",
                    delivery="at_least_once",
                    rejected=self._rejects[load_id].records,
                    rejections=self._rejects[load_id].counts,
                )
            )
            self._rejects[load_id].clear()
            self._rows[load_id] = 0
        return committed


@contextmanager
def _open_row_session(destination: Destination, loads: Sequence[Load]) -> Iterator[Session]:
    yield RowSession(destination, loads)
