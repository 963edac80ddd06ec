"""Standard input as a source: what the messages of a pipe mean to a target.

Of a pipe nothing is known beforehand. A stream begins with its SCHEMA, and a tap that has ended cannot be told from one
that broke off: no table is replaced but by ACTIVATE_VERSION, the tap's word that older rows are gone. Records with a
version that it has not activated wait in a file: only that message, or the end, tells whether they take the place of
the table or join it.

States are barriers. When one is due, everything before it is handed on and committed, and only then it is passed on.
"""

import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.confined import Folder
from etl_assets.destinations.arguments import MEGABYTE, TargetOptions
from etl_assets.destinations.rows import joined, static_columns, stream_of
from etl_assets.destinations.states import PassedStates
from etl_assets.destinations.target_sessions import has_sessions
from etl_assets.exceptions import ConfigError, DataError, DestinationError, EtlAssetsError, ProtocolError
from etl_assets.model.batch import Batch
from etl_assets.model.events import Checkpoint, Event, Records, SourceState, StreamEnd, StreamKey, Truncate
from etl_assets.model.stream import Stream
from etl_assets.protocol.record_forms import SingerForm
from etl_assets.protocol.record_runs import RecordLanes, Run
from etl_assets.protocol.singer.batch_files import BatchFolder, cannot_be_read
from etl_assets.protocol.singer.events import SingerEvents
from etl_assets.protocol.singer.messages import (
    ActivateVersionMessage,
    BatchMessage,
    RecordMessage,
    SchemaMessage,
    Unknown,
    decode,
    encode,
)
from etl_assets.redaction import redact
from etl_assets.redaction.errors import shown_cause
from etl_assets.strategies import WriteStrategy
from etl_assets.sync_source import StreamPlan

if TYPE_CHECKING:
    from etl_assets.destinations.base import Destination

READ_BYTES = 1024 * 1024
SPOOL_BYTES = 8 * MEGABYTE
"""So many bytes of records that wait for their version stay in memory."""
BATCH_HINT = "Set batch_folder in the config to the folder where the tap writes its batches."


class PipeBrokenError(Exception):
    """Ends the sync at once: the tap begins from the last state that was passed on, so nothing more is loaded.

    Args:
        error: What is wrong.
    """

    def __init__(self, error: EtlAssetsError) -> None:
        self.error = error
        super().__init__(error)


class PipeRead(SingerEvents):
    """Reads the messages of a pipe.

    Args:
        destination: Its hooks are called on the way.
        lines: The pipe.
        options: What the config says.
        states: Passes states on.
    """

    streams: Sequence[Stream] = ()
    """Those that are known beforehand."""
    finds_streams = True

    def __init__(
        self, destination: "Destination", lines: Iterable[bytes | str], options: TargetOptions, states: PassedStates
    ) -> None:
        most_bytes = options.maximum_batch_size_mb * MEGABYTE
        super().__init__((), "the tap", rows=options.maximum_batch_rows, bytes_=most_bytes, seconds=float("inf"))
        self.source_name = options.source
        self.line_limit = int(options.maximum_line_mb * MEGABYTE)
        self.plans: dict[StreamKey, StreamPlan] = {}
        """How each stream is loaded, settled when it begins."""
        self._destination = destination
        self._lines = lines
        self._options = options
        self._states = states
        self._has_sessions = has_sessions(destination)
        self._lanes = RecordLanes(SingerForm(), self._key_of_lane, self.current, self._rows)
        self._begun: set[StreamKey] = set()
        self._activated: dict[StreamKey, int] = {}
        self._spools: dict[StreamKey, IO[bytes]] = {}
        self._batches: BatchFolder | None = None

    def open(self, state: SourceState) -> Iterator[Event]:
        """Read to the end; the tap was told by somebody else where to begin.

        Raises:
            PipeBrokenError: A message is wrong, so that no state behind it may be passed on.
        """
        del state
        try:
            for part in _parts(self._lines, self.line_limit):
                if isinstance(part, str) or not part.endswith(b"\n"):
                    yield from self._line(part)
                else:
                    yield from self._chunk(part)
            yield from self._ending()
        except EtlAssetsError as error:
            raise PipeBrokenError(error) from error

    def close(self) -> None:
        """Let go of what waits in files."""
        for spool in self._spools.values():
            spool.close()
        if self._batches is not None:
            self._batches.close()

    def tell_unknown(self) -> None:
        """Tell how many messages were skipped, because their types are not known."""
        skipped = {kind: count for kind, count in self.unknown_types.items() if kind != "LOG"}
        if skipped:
            self._destination.logger.warning("messages that are not known and were skipped: %s", skipped)

    # Lines

    def _chunk(self, chunk: bytes) -> Iterator[Event]:
        runs = self._lanes.cut(chunk) if len(chunk) <= self.line_limit else [Run(chunk)]
        for run in runs:
            if run.parse is not None and self._takes_lines(run):
                if run.key[1] not in self._states.failed:
                    self._states.uncommitted.add(run.key[1])
                    self.buffer.note_bytes(len(run.lines))
                    yield from self.records(run, run.parse)
                    yield from self._when_full()
                continue
            for line in run.lines.split(b"\n"):
                if line:
                    yield from self._line(line)

    def _takes_lines(self, run: Run) -> bool:
        """Whether records of this version may be decoded together."""
        if not self._has_sessions or run.key in self._spools or static_columns(self._destination):
            return False
        return not self._waits_for_version(run.key, run.version)

    def _line(self, line: bytes | str) -> Iterator[Event]:
        try:
            message = decode(line, max_bytes=self.line_limit)
        except DataError as error:
            yield self._failed(self._known(str(error.stream)), error)
            return
        if isinstance(message, RecordMessage):
            if self._take(self._known(message.stream), message, line):
                self.buffer.note_bytes(len(line))
                yield from self._when_full()
        elif message is not None:
            self._warn_of_unknown(message)
            yield from self.message(message)

    def _rows(self, lines: bytes, key: StreamKey) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        for line in lines.split(b"\n"):
            message = decode(line, max_bytes=self.line_limit)
            if isinstance(message, RecordMessage) and message.stream == key[1]:
                rows.append(message.record)
            elif message is not None:
                raise ProtocolError("A message has two streams, or two types.", line=line, stream=key[1])
        return rows

    def _warn_of_unknown(self, message: object) -> None:
        if isinstance(message, Unknown) and message.type != "LOG" and message.type not in self.unknown_types:
            self._destination.logger.warning("messages of the type %r are not known and are skipped", message.type)

    # Streams

    @override
    def key_of(self, name: str, kind: str) -> StreamKey:
        return ("", name)

    def _known(self, name: str) -> StreamKey:
        key = self.key_of(name, "")
        if key not in self.described:
            raise ProtocolError(f"stream {name!r}: a message came before its SCHEMA.", stream=name)
        return key

    def _key_of_lane(self, _: str | None, name: str) -> StreamKey | None:
        return ("", name) if ("", name) in self.current else None

    @override
    def schema(self, message: SchemaMessage) -> Iterator[Event]:
        name, key = message.stream, self.key_of(message.stream, "SCHEMA")
        is_first, old = not self.current, self.current.get(key)
        yield from self._records_of(key)
        said = {key: value for key, value in vars(message).items() if value not in (None, (), [])}
        row, tags = {"type": "SCHEMA", **said}, {"stream": name}
        self._destination.process_schema(stream=name, schema=dict(message.schema), row=row, tags=tags)
        if is_first and not self._has_sessions:
            self._destination.test_connection()
        for event in super().schema(message):
            if key in self._begun:
                yield event
        if key in self._begun and old is not None and _keys(old) != _keys(self.current[key]):
            error = DestinationError(f"stream {name!r}: its key changed in the midst of a load.", stream=name)
            yield self._failed(key, error)

    @override
    def stream_described(self, key: StreamKey, message: SchemaMessage) -> Stream:
        old, stream = self.current.get(key), stream_of(self._destination, message.stream)
        return old if old == stream and old is not None else stream  # what was made of it stays

    def _begin(self, key: StreamKey) -> None:
        """Settle how a stream is loaded, before the first event of it."""
        if key in self._begun:
            return
        self._begun.add(key)
        stream, strategies = self.current[key], self._destination.capabilities.strategies
        strategy = WriteStrategy(self._options.write_strategy)
        if not self._has_sessions:
            strategy = WriteStrategy.APPEND
        elif strategy is WriteStrategy.AUTO:
            has_key = bool(stream.primary_key or stream.unique_constraints)
            strategy = WriteStrategy.MERGE if has_key and WriteStrategy.MERGE in strategies else WriteStrategy.APPEND
        is_unchecked = stream.disable_column_type_check is True
        self.plans[key] = StreamPlan(
            strategy,
            on_conflict="ignore" if stream.unique_conflict_method == "IGNORE" else "update",
            schema_contract=None if is_unchecked else self._options.schema_contract,
            by_default=True,
        )

    def _failed(self, key: StreamKey, error: EtlAssetsError) -> StreamEnd:
        self._begin(key)
        return StreamEnd(self.current[key], complete=False, error=error)

    # Records

    @override
    def record(self, name: str, record: Mapping[str, Any], version: int | None) -> Iterator[Event]:
        self._take(self._known(name), RecordMessage(name, record, version))
        yield from ()

    def _take(self, key: StreamKey, message: RecordMessage, line: bytes | str | None = None) -> bool:
        """Take a record, and the line it came in if it was one; tells whether its stream has not failed."""
        if message.stream in self._states.failed:
            return False
        self._states.uncommitted.add(message.stream)
        spool = self._spools.get(key)
        if spool is None and self._waits_for_version(key, message.version):
            spool = self._spools[key] = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - see close
        if spool is None:
            self.buffer.add(key, message.record)
        else:
            text = encode(message) if line is None else line
            spool.write((text.encode() if isinstance(text, str) else text).rstrip(b"\r\n") + b"\n")
        return True

    def _waits_for_version(self, key: StreamKey, version: int | None) -> bool:
        """Whether records of a version are not to be loaded before it is activated."""
        is_open = key not in self._activated and key not in self._begun
        return self._has_sessions and version is not None and is_open

    @override
    def batch(self, message: BatchMessage) -> Iterator[Event]:
        key = self._known(message.stream)
        together = self._has_sessions and key not in self._spools
        together = together and not self._waits_for_version(key, message.version)
        try:
            for _, batches in self.files_of(message):
                for batch in batches:
                    if message.stream in self._states.failed:
                        return
                    yield from self._file_together(key, batch) if together else self._file_rows(key, batch, message)
        except DataError as error:
            yield self._failed(key, error)

    def _file_together(self, key: StreamKey, batch: Batch) -> Iterator[Event]:
        self._states.uncommitted.add(key[1])
        yield from self._records_of(key)
        self._begin(key)
        yield self._with_static_columns(Records(self.current[key], batch))

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
        """Yield the records of a stream that wait; what is wrong with them fails the stream alone."""
        try:
            for event in self.buffer.flush_before_change(key):
                self._begin(key)
                yield self._with_static_columns(event)
        except (DataError, ConfigError) as error:
            yield self._failed(key, error)

    def _with_static_columns(self, event: Event) -> Event:
        static = static_columns(self._destination) if self._has_sessions else None
        if not static or not isinstance(event, Records):
            return event
        name = event.stream.name
        return Records(event.stream, Batch(joined(name, _rows_in(event.batch, name), static)))

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

    # States and versions

    @override
    def state(self, value: Any) -> Iterator[Event]:
        self._states.take(value)
        if self._states.seconds < self._options.state_seconds or self._is_held:
            return
        yield from self._all()
        if self._is_held:
            return  # by a stream that began just now
        names = self._states.uncommitted - self._states.failed.keys()
        if self._has_sessions and names:
            keys = tuple(key for key in self.current if key[1] in names)
            yield Checkpoint(self._states.covering, keys, due=True)
        self._pass_on()

    @property
    def _is_held(self) -> bool:
        """Whether some stream's rows are published only when they are complete, and are not yet."""
        return bool(self._states.held or self._spools)

    @override
    def activate(self, message: ActivateVersionMessage) -> Iterator[Event]:
        name, key, version = message.stream, self._known(message.stream), message.version
        versions: Any = self._destination.versions
        versions[name] = max(version, versions.get(name, version))
        if name in self._states.failed:
            return
        self._states.uncommitted.add(name)
        if self._has_sessions:
            yield from self._replace(key, version)
            return
        yield from self._records_of(key)
        if name not in self._states.failed and not self._options.ignore_activate_version:
            try:
                self._destination.activate_version(name, version)
            except EtlAssetsError as error:
                yield self._failed(key, error)
            except Exception as error:  # noqa: BLE001 - a hook may raise anything
                told = DestinationError(f"stream {name!r}: {type(error).__name__}: {redact(str(error))}", stream=name)
                told.__cause__ = shown_cause(error)
                yield self._failed(key, told)

    def _replace(self, key: StreamKey, version: int) -> Iterator[Event]:
        """Have the rows of a version take the place of the table: at once, where they are here already."""
        name = key[1]
        if version <= self._activated.get(key, version - 1):
            return
        if key in self._begun and name not in self._states.held:
            why = f"its tap activates version {version} after rows without one were loaded."
            yield self._failed(key, DestinationError(f"stream {name!r}: {why}", stream=name))
            return
        if WriteStrategy.REPLACE not in self._destination.capabilities.strategies:
            error = DestinationError(f"stream {name!r}: the destination cannot replace.", stream=name)
            yield self._failed(key, error)
            return
        self._activated[key] = version
        self._states.held.add(name)
        self._begin(key)
        yield Truncate(self.current[key], version)
        if key in self._spools:
            yield from self._unspool(key, version)
            yield StreamEnd(self.current[key])
            self._begun.discard(key)  # what comes now joins the table

    def _unspool(self, key: StreamKey, version: int | None = None) -> Iterator[Event]:
        """Yield the records that waited in a file; of a version those that are not older."""
        with self._spools.pop(key) as spool:
            spool.seek(0)
            for line in spool:
                message = decode(line)
                if isinstance(message, RecordMessage) and (version is None or (message.version or 0) >= version):
                    self.buffer.add(key, message.record)
                    self.buffer.note_bytes(len(line))
                    if self.buffer.is_due():
                        yield from self._records_of(key)
        yield from self._records_of(key)

    def _ending(self) -> Iterator[Event]:
        """Hand on what is left: all streams are complete, with the last state."""
        for key in list(self._spools):
            yield from self._unspool(key)
        yield from self._all()
        open_ = [key for key in self.current if key[1] not in self._states.failed and not self._is_published(key)]
        for key in open_:
            if key not in self._begun:
                self._begin(key)
                yield Records(self.current[key], Batch([]))
        covering = self._states.covering
        if self._has_sessions and covering is not None and open_:
            yield Checkpoint(covering, tuple(open_), due=False)
        for key in open_:
            yield StreamEnd(self.current[key])

    def _is_published(self, key: StreamKey) -> bool:
        """Whether a stream was published when its version was activated, and has had no records since."""
        return key in self._activated and key not in self._begun


def _keys(stream: Stream) -> tuple[Sequence[str], Sequence[str]]:
    return (stream.primary_key, stream.unique_constraints)


def _rows_in(batch: Batch, stream: str) -> Sequence[Mapping[str, Any]]:
    """Return records as rows, with the values that they have, whatever their stream declares."""
    return batch.rows if batch.rows is not None else batch.to_rows(Stream(stream), native_types=True)


def _parts(source: Any, limit: int) -> Iterator[bytes | str]:
    """Yield what can be read: whole lines, many at once, where the source gives bytes; never more than the limit."""
    if hasattr(source, "read1"):
        yield from _chunks(source.read1, limit)
    elif hasattr(source, "readline"):
        while line := source.readline(limit + 2):  # decoding refuses what is longer
            yield line
    else:
        yield from source


def _chunks(read: Callable[[int], bytes], limit: int) -> Iterator[bytes]:
    """Yield whole lines, as many as there are to be read at once; a line above the limit is cut."""
    parts: list[bytes] = []
    size = 0
    while block := read(READ_BYTES):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, block[:end]))
            parts, size = [], 0
        parts.append(block[end:])
        size += len(block) - end
        if size > limit + 1:
            yield b"".join(parts)  # decoding refuses it
            parts, size = [], 0
    if size:
        yield b"".join(parts)


def folder_of_batches(folder: str) -> BatchFolder:
    """Open the folder that the files of BATCH messages must be below.

    Raises:
        ConfigError: It is not there.
    """
    real = os.path.realpath(folder)
    try:
        held = Folder(Path(real))
    except OSError as error:
        raise ConfigError(
            f"The batch_folder {folder!r} cannot be opened: {error.strerror}.",
            hint=f"Make the folder: mkdir -p {shlex.quote(real)}",
        ) from None
    return BatchFolder(held, [os.path.abspath(folder), real], hint=BATCH_HINT)  # noqa: PTH100 - links are part of the name
