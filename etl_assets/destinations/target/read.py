"""Standard input as a source: what the messages of a pipe mean to a target.

Of a pipe nothing is known beforehand. A stream begins with its SCHEMA, and a tap that has ended
cannot be told from one that broke off: no table is replaced but by ACTIVATE_VERSION, the tap's word
that older rows are gone. Records with a version that it has not activated wait in a file: only that
message, or the end, tells whether they take the place of the table or join it.

States are barriers. When one is due, everything before it is handed on and committed, and only then
it is passed on.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from typing_extensions import override

from etl_assets.destinations.target.arguments import TargetOptions
from etl_assets.destinations.target.hooks import DestinationHooks
from etl_assets.destinations.target.input import parts_of
from etl_assets.destinations.target.states import PassedStates
from etl_assets.destinations.target.streams import PipeStreams
from etl_assets.destinations.target.words import static_columns
from etl_assets.exceptions import DataError, DestinationError, EtlAssetsError, ProtocolError
from etl_assets.model.batch import Batch
from etl_assets.model.events import (
    Checkpoint,
    Event,
    Records,
    SourceState,
    StreamEnd,
    StreamKey,
    Truncate,
)
from etl_assets.model.stream import Stream
from etl_assets.protocol.record_forms import SingerForm
from etl_assets.protocol.record_runs import RecordRuns, Run
from etl_assets.protocol.singer.messages import (
    ActivateVersionMessage,
    RecordMessage,
    Unknown,
    decode,
)
from etl_assets.redaction import redact
from etl_assets.redaction.errors import shown_cause
from etl_assets.strategies import WriteStrategy


class PipeBrokenError(Exception):
    """Ends the sync at once.

    Nothing more is loaded: the tap begins from the last state that was passed on.

    Args:
        error: What is wrong.
    """

    def __init__(self, error: EtlAssetsError) -> None:
        self.error = error
        super().__init__(error)


class PipeRead(PipeStreams):
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
        self,
        destination: DestinationHooks,
        lines: Iterable[bytes | str],
        options: TargetOptions,
        states: PassedStates,
    ) -> None:
        super().__init__(destination, options, states)
        self.source_name = options.source
        self._lines = lines
        self._runs = RecordRuns(
            SingerForm(), self._key_of_lane, self.current, partial(_rows, limit=self.line_limit)
        )

    def open(self, state: SourceState) -> Iterator[Event]:
        """Read to the end; the tap was told by somebody else where to begin.

        Raises:
            PipeBrokenError: A message is wrong, so that no state behind it may be passed on.
        """
        del state
        try:
            for part in parts_of(self._lines, self.line_limit):
                if isinstance(part, str) or not part.endswith(b"\n"):
                    yield from self._line(part)
                else:
                    yield from self._chunk(part)
            yield from self._ending()
        except EtlAssetsError as error:
            raise PipeBrokenError(error) from error

    # Lines

    def _chunk(self, chunk: bytes) -> Iterator[Event]:
        runs = self._runs.cut(chunk) if len(chunk) <= self.line_limit else [Run(chunk)]
        for run in runs:
            if run.parse is None or not self._takes_lines(run):
                for line in filter(None, run.lines.split(b"\n")):
                    yield from self._line(line)
            elif run.key[1] not in self._states.failed:
                self._states.uncommitted.add(run.key[1])
                self.buffer.note_bytes(len(run.lines))
                yield from self.records(run, run.parse)
                yield from self._when_full()

    def _takes_lines(self, run: Run) -> bool:
        """Return whether records of this version may be decoded together."""
        if not self._has_sessions or static_columns(self._destination):
            return False
        waits = run.key in self._versions.waiting
        return not waits and not self._waits_for_version(run.key, run.version)

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
            _warn_of_unknown(self._destination, message, self.unknown_types)
            yield from self.message(message)

    def _key_of_lane(self, _: str | None, name: str) -> StreamKey | None:
        return ("", name) if ("", name) in self.current else None

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
        return bool(self._states.held or self._versions.waiting)

    @override
    def activate(self, message: ActivateVersionMessage) -> Iterator[Event]:
        name, key, version = message.stream, self._known(message.stream), message.version
        versions = self._destination.versions
        newest = max(version, versions.get(name, version))
        self._destination.versions = {**versions, name: newest}
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
                told = DestinationError(
                    f"stream {name!r}: {type(error).__name__}: {redact(str(error))}", stream=name
                )
                told.__cause__ = shown_cause(error)
                yield self._failed(key, told)

    def _replace(self, key: StreamKey, version: int) -> Iterator[Event]:
        """Have the rows of a version take the table's place, at once if they are here already."""
        name = key[1]
        if self._versions.has(key, version):
            return
        if key in self._begun and name not in self._states.held:
            why = f"its tap activates version {version} after rows without one were loaded."
            yield self._failed(key, DestinationError(f"stream {name!r}: {why}", stream=name))
            return
        if WriteStrategy.REPLACE not in self._destination.capabilities.strategies:
            error = DestinationError(
                f"stream {name!r}: the destination cannot replace.", stream=name
            )
            yield self._failed(key, error)
            return
        self._versions.activate(key, version)
        self._states.held.add(name)
        self._begin(key)
        yield Truncate(self.current[key], version)
        if key in self._versions.waiting:
            yield from self._unspool(key, version)
            yield StreamEnd(self.current[key])
            self._begun.discard(key)  # what comes now joins the table

    def _unspool(self, key: StreamKey, version: int | None = None) -> Iterator[Event]:
        """Yield the records that waited in a file; of a version those that are not older."""
        for record, size in self._versions.taken(key, version):
            self.buffer.add(key, record)
            self.buffer.note_bytes(size)
            if self.buffer.is_due():
                yield from self._records_of(key)
        yield from self._records_of(key)

    def _ending(self) -> Iterator[Event]:
        """Hand on what is left: all streams are complete, with the last state."""
        for key in self._versions.waiting:
            yield from self._unspool(key)
        yield from self._all()
        unended = [key for key in self.current if self._is_unended(key)]
        for key in unended:
            if key not in self._begun:
                self._begin(key)
                yield Records(self.current[key], Batch([]))
        covering = self._states.covering
        if self._has_sessions and covering is not None and unended:
            yield Checkpoint(covering, tuple(unended), due=False)
        for key in unended:
            yield StreamEnd(self.current[key])

    def _is_unended(self, key: StreamKey) -> bool:
        """Return whether a stream has neither failed nor been published yet."""
        return key[1] not in self._states.failed and not self._is_published(key)

    def _is_published(self, key: StreamKey) -> bool:
        """Return whether a stream was published with its version, and has had no records since."""
        return self._versions.has_any(key) and key not in self._begun


def _warn_of_unknown(destination: DestinationHooks, message: object, known: Container[str]) -> None:
    if not isinstance(message, Unknown) or message.type == "LOG":
        return
    if message.type not in known:
        destination.logger.warning(
            "messages of the type %r are not known and are skipped", message.type
        )


def _rows(lines: bytes, key: StreamKey, *, limit: int) -> list[Mapping[str, Any]]:
    """Decode lines of records of one stream one by one."""
    rows: list[Mapping[str, Any]] = []
    for line in lines.split(b"\n"):
        message = decode(line, max_bytes=limit)
        if isinstance(message, RecordMessage) and message.stream == key[1]:
            rows.append(message.record)
        elif message is not None:
            raise ProtocolError(
                "A message has two streams, or two types.", line=line, stream=key[1]
            )
    return rows
