"""The streams of a pipe: how each is described, begun and failed, and the records that wait."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from etl_assets.destinations.target.arguments import MEGABYTE, TargetOptions
from etl_assets.destinations.target.hooks import DestinationHooks
from etl_assets.destinations.target.input import BATCH_HINT, folder_of_batches
from etl_assets.destinations.target.rows import joined
from etl_assets.destinations.target.sessions import has_sessions
from etl_assets.destinations.target.states import PassedStates
from etl_assets.destinations.target.versions import Versions
from etl_assets.destinations.target.words import static_columns, stream_of
from etl_assets.exceptions import (
    ConfigError,
    DataError,
    DestinationError,
    EtlAssetsError,
    ProtocolError,
)
from etl_assets.model.batch import Batch
from etl_assets.model.events import Event, Records, StreamEnd, StreamKey
from etl_assets.model.stream import Stream
from etl_assets.protocol.singer.batch_files import BatchFolder, cannot_be_read
from etl_assets.protocol.singer.events import SingerEvents
from etl_assets.protocol.singer.messages import BatchMessage, RecordMessage, SchemaMessage
from etl_assets.strategies import WriteStrategy
from etl_assets.sync_source import StreamPlan


class PipeStreams(SingerEvents):
    """What a pipe says of its streams.

    Args:
        destination: Its hooks are called on the way.
        options: What the config says.
        states: Knows which streams have failed, and passes states on.
    """

    def __init__(
        self, destination: DestinationHooks, options: TargetOptions, states: PassedStates
    ) -> None:
        most_bytes = options.maximum_batch_size_mb * MEGABYTE
        super().__init__(
            (), "the tap", rows=options.maximum_batch_rows, bytes_=most_bytes, seconds=float("inf")
        )
        self.line_limit = int(options.maximum_line_mb * MEGABYTE)
        self.plans: dict[StreamKey, StreamPlan] = {}
        """How each stream is loaded, settled when it begins."""
        self._destination = destination
        self._options = options
        self._states = states
        self._has_sessions = has_sessions(destination)
        self._begun: set[StreamKey] = set()
        self._versions = Versions()
        self._batches: BatchFolder | None = None

    def close(self) -> None:
        """Let go of what waits in files."""
        self._versions.close()
        if self._batches is not None:
            self._batches.close()

    # Streams

    @override
    def key_of(self, name: str, kind: str) -> StreamKey:
        return ("", name)

    def _known(self, name: str) -> StreamKey:
        key = self.key_of(name, "")
        if key not in self.described:
            raise ProtocolError(f"stream {name!r}: a message came before its SCHEMA.", stream=name)
        return key

    @override
    def schema(self, message: SchemaMessage) -> Iterator[Event]:
        name, key = message.stream, self.key_of(message.stream, "SCHEMA")
        old = self.current.get(key)
        yield from self._records_of(key)
        _tell(self._destination, message)
        if not self.described and not self._has_sessions:
            self._destination.test_connection()
        try:
            for event in super().schema(message):
                if key in self._begun:
                    yield event
        except ConfigError as error:  # what it says of the stream cannot be
            self.current.setdefault(key, Stream(name))
            yield self._failed(key, error)
        if key in self._begun and old is not None and _keys(old) != _keys(self.current[key]):
            changed = DestinationError(
                f"stream {name!r}: its key changed in the midst of a load.", stream=name
            )
            yield self._failed(key, changed)

    @override
    def stream_described(self, key: StreamKey, message: SchemaMessage) -> Stream:
        old, stream = self.current.get(key), stream_of(self._destination, message.stream)
        # Where nothing has changed the object stays, and with it what was derived from it.
        return old if old is not None and old == stream else stream

    def _begin(self, key: StreamKey) -> None:
        """Settle how a stream is loaded, before the first event of it."""
        if key in self._begun:
            return
        self._begun.add(key)
        self.plans[key] = _plan(self._destination, self.current[key], self._options)

    def _failed(self, key: StreamKey, error: EtlAssetsError) -> StreamEnd:
        self._begin(key)
        return StreamEnd(self.current[key], complete=False, error=error)

    # Records

    @override
    def new_version(self, key: StreamKey, version: int | None) -> Iterator[Event]:
        """Yield nothing: of a pipe, only ACTIVATE_VERSION says that older rows are gone."""
        yield from ()

    @override
    def record(self, name: str, record: Mapping[str, Any], version: int | None) -> Iterator[Event]:
        self._take(self._known(name), RecordMessage(name, record, version))
        yield from ()

    def _take(
        self, key: StreamKey, message: RecordMessage, line: bytes | str | None = None
    ) -> bool:
        """Take a record, and the line it came in if it was one.

        Returns:
            Whether it was taken: nothing is, of a stream that has failed.
        """
        if message.stream in self._states.failed:
            return False
        self._states.uncommitted.add(message.stream)
        if key in self._versions.waiting or self._waits_for_version(key, message.version):
            self._versions.keep(key, message, line)
        else:
            self.buffer.add(key, message.record)
        return True

    def _waits_for_version(self, key: StreamKey, version: int | None) -> bool:
        """Return whether records of a version are not to be loaded before it is activated."""
        if version is None or not self._has_sessions:
            return False
        return not self._versions.has_any(key) and key not in self._begun

    @override
    def batch(self, message: BatchMessage) -> Iterator[Event]:
        key = self._known(message.stream)
        waits = key in self._versions.waiting or self._waits_for_version(key, message.version)
        try:
            for _, batches in self.files_of(message):
                for batch in batches:
                    if message.stream in self._states.failed:
                        return
                    if waits or not self._has_sessions:
                        yield from self._file_rows(key, batch, message)
                    else:
                        yield from self._file_together(key, batch)
        except DataError as error:
            yield self._failed(key, error)

    def _file_together(self, key: StreamKey, batch: Batch) -> Iterator[Event]:
        self._states.uncommitted.add(key[1])
        yield from self._records_of(key)
        self._begin(key)
        yield self._complete(Records(self.current[key], batch))

    def _file_rows(self, key: StreamKey, batch: Batch, message: BatchMessage) -> Iterator[Event]:
        size = len(message.manifest[0])
        for row in _rows_in(batch, message.stream):
            self._take(key, RecordMessage(message.stream, row, message.version))
            self.buffer.note_bytes(size)
            yield from self._when_full()

    @override
    def batch_folder(self, url: str, stream: str) -> BatchFolder:
        if self._batches is None:  # not before: the tap may just have made it
            if self._options.batch_folder is None:
                why = f"its file {url!r} is below no folder that may be read"
                raise cannot_be_read(stream, why, hint=BATCH_HINT)
            self._batches = folder_of_batches(self._options.batch_folder)
        return self._batches

    # What waits is handed on

    def _records_of(self, key: StreamKey) -> Iterator[Event]:
        """Yield the records of a stream that wait; if one is wrong, the stream alone fails."""
        try:
            for event in self.buffer.flush_before_change(key):
                self._begin(key)
                yield self._complete(event)
        except (DataError, ConfigError) as error:
            yield self._failed(key, error)

    def _complete(self, event: Event) -> Event:
        """Return an event with the columns that the config adds."""
        if not self._has_sessions:
            return event  # on the way to the hooks they are added anyway
        return _with_static_columns(self._destination, event)

    def _all(self) -> Iterator[Event]:
        for key in list(self.current):
            yield from self._records_of(key)
        self.buffer.begin_anew()

    def _when_full(self) -> Iterator[Event]:
        if not self.buffer.is_due():
            return
        yield from self._all()
        if not self._has_sessions:
            # Rows of a session wait for the next state: a commit would separate them from theirs.
            self._pass_on()

    def _pass_on(self) -> None:
        if not self._has_sessions:
            self._states.uncommitted.clear()  # what was exported is there
        self._states.pass_on()


def _tell(destination: DestinationHooks, message: SchemaMessage) -> None:
    """Have a destination take a SCHEMA message, as Mage's do."""
    said = {key: value for key, value in vars(message).items() if value not in (None, (), [])}
    row, tags = {"type": "SCHEMA", **said}, {"stream": message.stream}
    destination.process_schema(
        stream=message.stream, schema=dict(message.schema), row=row, tags=tags
    )


def _plan(destination: DestinationHooks, stream: Stream, options: TargetOptions) -> StreamPlan:
    """Return how a stream is loaded: `auto` never replaces a table."""
    strategy = WriteStrategy(options.write_strategy)
    if not has_sessions(destination):
        strategy = WriteStrategy.APPEND
    elif strategy is WriteStrategy.AUTO:
        has_key = bool(stream.primary_key or stream.unique_constraints)
        can_merge = WriteStrategy.MERGE in destination.capabilities.strategies
        strategy = WriteStrategy.MERGE if has_key and can_merge else WriteStrategy.APPEND
    is_unchecked = stream.disable_column_type_check is True
    return StreamPlan(
        strategy,
        on_conflict="ignore" if stream.unique_conflict_method == "IGNORE" else "update",
        schema_contract=None if is_unchecked else options.schema_contract,
        by_default=True,
    )


def _with_static_columns(destination: DestinationHooks, event: Event) -> Event:
    static = static_columns(destination)
    if not static or not isinstance(event, Records):
        return event
    name = event.stream.name
    return Records(event.stream, Batch(joined(name, _rows_in(event.batch, name), static)))


def _keys(stream: Stream) -> tuple[Sequence[str], Sequence[str]]:
    return (stream.primary_key, stream.unique_constraints)


def _rows_in(batch: Batch, stream: str) -> Sequence[Mapping[str, Any]]:
    """Return records as rows, with the values that they have, whatever their stream declares."""
    if batch.rows is not None:
        return batch.rows
    return batch.to_rows(Stream(stream), native_types=True)
