"""The loop of a Singer target: messages in, batches to the destination, states out once what they cover is there.

A state is a barrier. It is passed on, whole and unchanged, when everything that came before it has been exported (and
committed, where the destination has a session); of several that wait, the last one. A stream that fails does not stop
the others; in the states that are passed on after that it stays where its rows are safe (`states.py`).
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl_assets.destinations.arguments import MEGABYTE, TargetOptions
from etl_assets.destinations.batch_files import folder_of_batches, records_of
from etl_assets.destinations.rows import overrides
from etl_assets.destinations.sinks import RowSink, SessionSink, Sink
from etl_assets.destinations.states import SafeBookmarks
from etl_assets.exceptions import ConfigError, DataError, DestinationError, EtlAssetsError, ProtocolError
from etl_assets.model.events import StreamKey
from etl_assets.model.stream import Stream
from etl_assets.protocol.record_forms import SingerForm
from etl_assets.protocol.record_runs import Parsing, RecordLanes, Run
from etl_assets.protocol.singer.batch_files import BatchFolder
from etl_assets.protocol.singer.documents import read_document
from etl_assets.protocol.singer.messages import (
    ActivateVersionMessage,
    BatchMessage,
    RecordMessage,
    SchemaMessage,
    StateMessage,
    Unknown,
    decode,
)
from etl_assets.redaction import redact
from etl_assets.registry import reach

if TYPE_CHECKING:
    from etl_assets.destinations.base import Destination

_NOTHING: Any = object()

READ_BYTES = 1024 * 1024


def load_messages(destination: "Destination", lines: Iterable[bytes | str]) -> None:
    """Load all messages of a buffer.

    Raises:
        ProtocolError: A line is no message, or is cut off.
        DestinationError: Streams failed.
    """
    loop = _Loop(destination, TargetOptions.of(destination.config))
    with closing(loop):
        if hasattr(lines, "read1"):
            for chunk in _chunks(lines.read1, loop.line_limit):
                loop.take_chunk(chunk)
        else:
            for line in _lines(lines, loop.line_limit):
                loop.take(line)
        loop.finish()


def _chunks(read: Callable[[int], bytes], limit: int) -> Iterator[bytes]:
    """Give whole lines, as many as there are to be read at once; a line above the limit is cut."""
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


def _lines(source: Iterable[bytes | str], limit: int) -> Iterator[bytes | str]:
    """Give lines; of a file never more than the limit is held, and decoding refuses what is longer."""
    readline = getattr(source, "readline", None)
    if readline is None:
        yield from source
        return
    while line := readline(limit + 2):
        yield line


@dataclass
class _Loop:
    """One run over the messages of a tap."""

    destination: "Destination"
    options: TargetOptions
    sinks: dict[str, Sink] = field(default_factory=dict)
    failed: dict[str, Exception] = field(default_factory=dict)
    waiting_bytes: int = 0
    waiting_rows: int = 0

    def __post_init__(self) -> None:
        self._state: Any = _NOTHING
        self._unknown: dict[str, int] = {}
        self._exported_at = time.monotonic()
        self._connected = False
        self._uncommitted: set[str] = set()
        """Streams with records of which no commit has told yet that they are there."""
        self._safe = SafeBookmarks(_last_state(self.destination))
        self._told = False
        self._batches: BatchFolder | None = None
        self._streams: dict[StreamKey, Stream] = {}
        """Those whose records may come as lines that are decoded together."""
        self._lanes = RecordLanes(SingerForm(), self._with_lane, self._streams, self._rows)

    @property
    def line_limit(self) -> int:
        """The longest line, in bytes."""
        return int(self.options.maximum_line_mb * MEGABYTE)

    def take_chunk(self, chunk: bytes) -> None:
        """Take whole lines."""
        runs = self._lanes.cut(chunk) if len(chunk) <= self.line_limit else [Run(chunk)]
        for run in runs:
            if run.parse is None or not self._take_run(run, run.parse):
                for line in run.lines.split(b"\n"):
                    if line:
                        self.take(line)

    def take(self, line: bytes | str) -> None:
        """Take one line; a record that cannot be taken fails its stream."""
        try:
            message = decode(line, max_bytes=self.line_limit)
        except DataError as error:
            self._fail(error)
            return
        match message:
            case RecordMessage():
                self._record(message, len(line), line)
            case SchemaMessage():
                self._schema(message)
            case StateMessage():
                self._state = message.value
                self._safe.take(self._state, self._uncommitted | self.failed.keys())
                self._at_state()
            case ActivateVersionMessage():
                self._activate(message)
            case BatchMessage():
                self._batch(message, len(line))
            case Unknown(type=kind):
                if kind != "LOG" and kind not in self._unknown:
                    self.destination.logger.warning("messages of the type %r are not known and are skipped", kind)
                self._unknown[kind] = self._unknown.get(kind, 0) + 1
            case None:
                pass

    def finish(self) -> None:
        """Export and commit what is left, pass the last state on, and raise what has failed."""
        self._export()
        self._commit(complete=True)
        skipped = {kind: count for kind, count in self._unknown.items() if kind != "LOG"}
        if skipped:
            self.destination.logger.warning("messages that are not known and were skipped: %s", skipped)
        if self.failed:
            names = ", ".join(repr(name) for name in self.failed)
            errors = list(self.failed.values())
            cause = errors[0] if len(errors) == 1 else ExceptionGroup("the streams' errors", errors)
            first = next(iter(self.failed))
            raise DestinationError(
                f"{len(errors)} of {len(self.sinks)} streams failed: {names}. {_said(first, errors[0])}", stream=first
            ) from cause

    def close(self) -> None:
        """Let go of what was not committed."""
        for sink in self.sinks.values():
            sink.close()
        if self._batches is not None:
            self._batches.close()

    def _schema(self, message: SchemaMessage) -> None:
        name = message.stream
        row = {
            "type": "SCHEMA", **{key: value for key, value in vars(message).items() if value not in (None, (), [])}
        }  # fmt: skip
        before = self.sinks.get(name)
        if before is not None:
            self._attempt(before, before.before_schema)
        self.destination.process_schema(stream=name, schema=dict(message.schema), row=row, tags={"stream": name})
        if before is None:
            self.sinks[name] = before = self._new_sink(name)
        self._attempt(before, before.after_schema)
        if isinstance(before, SessionSink):
            self._streams["", name] = before.stream

    def _with_lane(self, _: str | None, name: str) -> StreamKey | None:
        return ("", name) if ("", name) in self._streams else None

    def _take_run(self, run: Run, parse: Parsing) -> bool:
        """Take lines of records; tells whether they need not be taken one by one."""
        _, name = run.key
        sink = self.sinks[name]
        if not isinstance(sink, SessionSink) or not sink.takes_lines(run.version):
            return False
        if run.count > self.options.maximum_batch_rows:
            return False
        if name not in self.failed:
            self._uncommitted.add(name)
            self._attempt(sink, lambda: sink.add_lines(run.lines, parse))
            self._waits(run.count, len(run.lines))
        return True

    def _rows(self, lines: bytes, key: StreamKey) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        for line in lines.split(b"\n"):
            message = decode(line, max_bytes=self.line_limit)
            if isinstance(message, RecordMessage) and message.stream == key[1]:
                rows.append(message.record)
            elif message is not None:
                raise ProtocolError("A message has two streams, or two types.", line=line, stream=key[1])
        return rows

    def _new_sink(self, name: str) -> Sink:
        if self.destination.capabilities.keeps_state or overrides(self.destination, "session"):
            return SessionSink(self.destination, name, self.options)
        if not self._connected:
            self.destination.test_connection()
            self._connected = True
        return RowSink(self.destination, name, self.options)

    def _record(self, message: RecordMessage, size: int, line: bytes | str | None = None) -> None:
        sink = self._sink(message.stream)
        if message.stream in self.failed:
            return
        self._uncommitted.add(message.stream)
        self._attempt(sink, lambda: sink.add(message, line))
        self._waits(1, size)

    def _batch(self, message: BatchMessage, size: int) -> None:
        if self._batches is None and self.options.batch_folder is not None:
            self._batches = folder_of_batches(self.options.batch_folder)  # the tap may just have made it
        try:
            for record in records_of(message, self._batches, longest=self.line_limit):
                self._record(record, size)
        except DataError as error:
            self._fail(error)

    def _waits(self, rows: int, size: int) -> None:
        """Count what waits, and export it where it is enough."""
        self.waiting_rows += rows
        self.waiting_bytes += size
        full = self.waiting_bytes >= self.options.maximum_batch_size_mb * MEGABYTE
        if full or self.waiting_rows >= self.options.maximum_batch_rows:
            self._export()
            self._pass_on_where_nothing_waits()

    def _sink(self, name: str) -> Sink:
        sink = self.sinks.get(name)
        if sink is None:
            raise ProtocolError(f"stream {name!r}: a message came before its SCHEMA.", stream=name)
        return sink

    def _activate(self, message: ActivateVersionMessage) -> None:
        sink = self._sink(message.stream)
        versions: Any = self.destination.versions
        self._uncommitted.add(message.stream)
        versions[message.stream] = max(message.version, versions.get(message.stream, message.version))
        self._attempt(sink, lambda: sink.activate(message.version))

    def _at_state(self) -> None:
        if time.monotonic() - self._exported_at < self.options.state_seconds:
            return
        self._export()
        if not any(sink.holds for sink in self.sinks.values()):
            self._commit(complete=False)

    def _export(self) -> None:
        for sink in self.sinks.values():
            self._attempt(sink, sink.export)
        self.waiting_rows = self.waiting_bytes = 0

    def _commit(self, *, complete: bool) -> None:
        for sink in self.sinks.values():
            self._attempt(sink, lambda sink=sink: sink.commit(self._covering(), complete=complete))
        self._pass_on()

    def _pass_on_where_nothing_waits(self) -> None:
        # Between two states, a session's rows wait for the next one: a commit would separate them from theirs.
        if not any(isinstance(sink, SessionSink) for sink in self.sinks.values()):
            self._pass_on()

    def _covering(self) -> Mapping[str, Any] | None:
        return None if self._state is _NOTHING else {"state": self._state}

    def _pass_on(self) -> None:
        """Pass on the state that waits: what came before it is there, but for the rows of failed streams."""
        self._exported_at = time.monotonic()
        self._uncommitted &= self.failed.keys()
        if self._state is _NOTHING:
            return
        value, self._state = self._state, _NOTHING
        self._safe.take(value, self.failed)
        if self.failed:
            value = self._without_failed(value)
        if value is not _NOTHING:
            self.destination.process_state({"type": "STATE", "value": value})

    def _without_failed(self, value: Any) -> Any:
        told = self.destination
        kept = self._safe.state_without(
            value,
            self.failed,
            full_tables={name for name, method in told.replication_methods.items() if method == "FULL_TABLE"},
            keyed={name for name in self.sinks if told.key_properties.get(name) or told.unique_constraints.get(name)},
            trusted=self.options.independent_streams,
        )
        if kept is not None:
            # Without a bookmark it would say to begin anew, in place of the good state that was passed on before.
            return kept if kept["bookmarks"] else _NOTHING
        if not self._told:
            names = ", ".join(repr(name) for name in self.failed)
            told.logger.warning("no state is passed on any more: it would cover the rows that failed, of %s", names)
            self._told = True
        return _NOTHING

    def _fail(self, error: DataError) -> None:
        def fail() -> None:
            raise error

        self._attempt(self._sink(str(error.stream)), fail)

    def _attempt(self, sink: Sink, action: Any) -> None:
        """Do something for one stream; if it fails, the stream is over, and the others go on."""
        if sink.name in self.failed:
            return
        try:
            action()
        except ProtocolError:
            raise
        except Exception as error:  # noqa: BLE001 - a destination may raise anything; this is its edge
            self.failed[sink.name] = error
            self.destination.logger.error("%s", redact(_said(sink.name, error)))  # noqa: TRY400 - raised at the end
            sink.close()


def _said(stream: str, error: Exception) -> str:
    own = isinstance(error, EtlAssetsError)
    text = str(error) if own else f"{type(error).__name__}: {error}"
    return redact(text if repr(stream) in text else f"stream {stream!r}: {text}")


def _last_state(destination: "Destination") -> Any:
    """Give the state that was passed on last: what the state file holds."""
    path = destination.state_file_path
    if path is None or not Path(path).exists():
        return None
    try:
        return read_document(path)
    except ConfigError:
        return None  # it is about to be written over


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        """Hand on the Singer SDK's targets, which destinations written for Mage import from here."""
        if name not in {"SQLTarget", "Target"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(reach("singer_targets"), name)
