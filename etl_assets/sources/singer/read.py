"""One sync of a Singer tap: its messages in, our events out."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from etl_assets.confined import Folder
from etl_assets.connectors.log_drain import LogThrottle
from etl_assets.connectors.process import ConnectorProcess
from etl_assets.exceptions import ConfigError, ProtocolError, StreamReadError, did_you_mean, naming_connector
from etl_assets.model.batch import Batch
from etl_assets.model.catalog import Catalog
from etl_assets.model.catalog_entries import copied
from etl_assets.model.events import Event, Records, SchemaChange, SourceState, StreamEnd, StreamKey, Truncate
from etl_assets.model.json.lines import exact_json
from etl_assets.model.json.repeated_keys import refuse_repeats
from etl_assets.model.schema.revisions import Revisions
from etl_assets.model.stream import Stream
from etl_assets.protocol.record_forms import SingerForm
from etl_assets.protocol.record_runs import Parsing, RecordLanes, Run, one_message_a_line
from etl_assets.protocol.singer.batch_files import (
    BatchFolder,
    cannot_be_read,
    damage_named,
    form_of,
    lines_of,
    tables_of,
)
from etl_assets.protocol.singer.lines import Line, decoder
from etl_assets.protocol.singer.messages import MAX_BYTES
from etl_assets.sources.event_buffer import EventBuffer
from etl_assets.sources.singer.columns import as_sent

BATCH_ROWS = 10_000
BATCH_BYTES = 64 * 1024 * 1024
"""So many records, or bytes of them, of a BATCH message's file are one batch."""


def state_given(state: SourceState, streams: Sequence[Stream]) -> dict[str, Any]:
    """Give the state document for the tap; {} where there is none.

    Streams that are read anew, full tables among them, are taken out of it.

    Raises:
        ConfigError: A stream cannot be taken out of it: it does not follow the convention of `bookmarks`.
    """
    if state.shared is None:
        return {}
    anew = {stream for stream in streams if stream.key in set(state.refreshed) or stream.method == "FULL_TABLE"}
    document: dict[str, Any] = copied(dict(state.shared))
    if not anew:
        return document
    if len(anew) == len(list(streams)) and all(stream.key in set(state.refreshed) for stream in anew):
        return {}
    bookmarks = document.get("bookmarks")
    if not isinstance(bookmarks, dict):
        if all(stream.key not in set(state.refreshed) for stream in anew):
            return document
        raise ConfigError(
            f"The state of this tap does not say which part of it is of the stream {next(iter(anew)).name!r}.",
            hint="Refresh all of its streams together.",
        )
    for stream in anew:
        for name in {stream.name, stream.stream}:
            bookmarks.pop(name, None)
            if document.get("currently_syncing") == name:
                document["currently_syncing"] = None
    return document


class SingerRead:
    """Follows one process through its messages.

    Args:
        name: The tap's.
        logger: Takes what is not data.
        streams: What was asked for.
        process: The running tap.
        known: The whole catalog: records of a stream in it that was not asked for are left out.
        state: The state the tap was given.
        batch_folder: Where the files of its BATCH messages are; by default the folder that was made for its run.
    """

    def __init__(
        self,
        name: str,
        logger: logging.Logger,
        streams: Sequence[Stream],
        process: ConnectorProcess,
        *,
        known: Catalog,
        state: Mapping[str, Any],
        batch_folder: Path | None = None,
    ) -> None:
        self._name = name
        self._logger = logger
        self._process = process
        self._batch_folder = batch_folder
        self._batches: BatchFolder | None = None
        self._asked = {stream.key: stream for stream in streams}
        self._streams = dict(self._asked)
        self._keys = _by_name(streams)
        self._known = {name for stream in known.values() for name in (stream.name, stream.stream)}
        self._buffer = EventBuffer(self._streams)
        self._throttle = LogThrottle(logger)
        self._decoder = decoder(self._noise)
        self._lanes = RecordLanes(SingerForm(), lambda _, name: self._keys.get(name), self._streams, self._rows)
        self._schemas: dict[StreamKey, tuple[bytes, Sequence[str]]] = {}
        self._versions: dict[StreamKey, int | None] = {
            key: _version_in(state, stream) for key, stream in self._streams.items()
        }
        self._revisions = Revisions(name)
        self._left_out: dict[str, int] = {}
        self._unknown_types: dict[str, int] = {}

    def events(self) -> Iterator[Event]:
        """Give the events to the end of the process.

        Raises:
            EtlAssetsError: The read has failed.
        """
        yield from self.messages()
        yield from self.ending()

    def messages(self) -> Iterator[Event]:
        """Yield the events of its messages, to the end of the process."""
        with naming_connector(self._name):
            yield from self._buffer.follow(self._process.chunks(), self._take)
        self._process.wait()
        self._throttle.flush()

    @property
    def told_nothing(self) -> bool:
        """Whether the process, which has ended, has said nothing of any stream."""
        return not self._schemas and not self._left_out

    def ending(self) -> Iterator[Event]:
        """Yield what became of each stream, after `messages`.

        Raises:
            EtlAssetsError: The read has failed.
        """
        code = self._process.exit_code
        self._tell()
        with naming_connector(self._name):
            yield from self._buffer.flush(rest=not code)
        if code:
            raise self._process.failure()
        for key, stream in self._streams.items():
            if key in self._schemas:
                yield StreamEnd(stream)
            else:
                yield StreamEnd(stream, complete=False, error=self._silent(stream))

    def _take(self, chunk: bytes) -> Iterator[Event]:
        for run in self._lanes.cut(chunk):
            if run.parse is not None and run.key in self._schemas:
                yield from self._records(run, run.parse)
                continue
            for line in self._decoder.decode(run.lines):
                if line.record is not None and line.type == "RECORD":
                    yield from self._record(line, line.record)
                else:
                    yield from self._other(line)

    def _record(self, line: Line, record: dict[str, Any]) -> Iterator[Event]:
        key = self._keys.get(line.of_stream())
        if key is None:
            self._leave_out(line.of_stream())
            return
        if key not in self._schemas:
            raise ProtocolError(f"stream {line.stream!r}: a RECORD came before its SCHEMA.", stream=line.stream)
        if line.version is not None and line.version != self._versions[key]:
            yield from self._new_version(key, line.version)
        self._buffer.add(key, record)

    def _records(self, run: Run, parse: Parsing) -> Iterator[Event]:
        if run.version is not None and run.version != self._versions[run.key]:
            yield from self._new_version(run.key, run.version)
        self._buffer.add_lines(run.key, run.lines, run.count, parse)

    def _rows(self, lines: bytes, key: StreamKey) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        messages = list(self._decoder.decode(lines))
        one_message_a_line(key, lines, len(messages))
        for line in messages:
            if line.record is None or self._keys.get(line.of_stream()) != key:
                raise ProtocolError("A RECORD message has no 'record', or a second 'stream'.", stream=line.stream)
            if line.version is not None and line.version != self._versions[key]:
                raise ProtocolError("The version of its records goes back and forth.", stream=line.stream)
            rows.append(line.record)
        return rows

    def _other(self, line: Line) -> Iterator[Event]:
        match line.type:
            case "STATE":
                value = line.document("value")
                if value is not None and not isinstance(value, Mapping):
                    raise ProtocolError("A STATE message's value is no object.", line=repr(value))
                self._buffer.state(None, value)
            case "SCHEMA":
                yield from self._schema(line)
            case "ACTIVATE_VERSION":
                key = self._keys.get(line.of_stream())
                if line.version is None:
                    raise ProtocolError("An ACTIVATE_VERSION message has no 'version'.", stream=line.stream)
                if key is not None and line.version != self._versions[key]:
                    yield from self._new_version(key, line.version)
            case "BATCH":
                yield from self._batch(line)
            case "RECORD":
                raise ProtocolError("A RECORD message has no 'record'.", stream=line.stream)
            case other if other:
                self._unknown_types[other] = self._unknown_types.get(other, 0) + 1

    def _new_version(self, key: StreamKey, version: int) -> Iterator[Event]:
        yield from self._buffer.flush()
        self._versions[key] = version
        yield Truncate(self._streams[key], version)

    def _schema(self, line: Line) -> Iterator[Event]:
        key = self._keys.get(line.of_stream())
        if key is None:
            if line.stream not in self._known:
                self._leave_out(line.of_stream())
            return
        keys = tuple(line.key_properties or ())
        said = (bytes(line.schema), keys)
        if self._schemas.get(key) == said:
            return
        schema = line.document("schema")
        if not isinstance(schema, Mapping):
            raise ProtocolError("A SCHEMA message's schema is no object.", stream=line.stream)
        self._revisions.note(key[1])
        yield from self._buffer.flush()
        self._schemas[key] = said
        self._streams[key] = as_sent(self._asked[key], schema, keys or self._streams[key].primary_key)
        yield SchemaChange(self._streams[key])

    def _batch(self, line: Line) -> Iterator[Event]:
        key = self._keys.get(line.of_stream())
        if key is None:
            self._leave_out(line.of_stream())
            return
        if key not in self._schemas:
            raise ProtocolError(f"stream {line.stream!r}: a BATCH came before its SCHEMA.", stream=line.stream)
        if line.version is not None and line.version != self._versions[key]:
            yield from self._new_version(key, line.version)
        yield from self._buffer.flush()
        for url in line.manifest or ():
            file, own = self._files().open(url, str(line.stream))
            with file:
                for batch in batches_in(
                    file,
                    line.encoding or {},
                    url=url,
                    stream=str(line.stream),
                    longest=self._process.limits.line_bytes,
                ):
                    yield Records(self._streams[key], batch)
            yield Records(self._streams[key], Batch([]), files=[own])

    def _files(self) -> BatchFolder:
        if self._batches is None:  # not before: the tap may make the folder
            self._batches = batches_of(self._process, self._batch_folder)
        return self._batches

    def _leave_out(self, name: str) -> None:
        if name not in self._known:
            raise ProtocolError(
                f"{self._name} sent something of the stream {name!r}, which was not asked for.",
                hint=did_you_mean(name, self._keys),
                stream=name,
            )
        self._left_out[name] = self._left_out.get(name, 0) + 1

    def _tell(self) -> None:
        for name, count in self._left_out.items():
            self._logger.warning("%s sent %d records of %s, which is not selected", self._name, count, name)
        for kind, count in self._unknown_types.items():
            self._logger.warning("%s sent %d messages of the unknown type %s", self._name, count, kind)

    def _silent(self, stream: Stream) -> StreamReadError:
        return StreamReadError(
            f"stream {stream.name!r}: {self._name} ended without a word of it.",
            hint="Perhaps it has no such stream any more: discover its catalog anew.",
            stream=stream.name,
        )

    def _noise(self, line: bytes) -> None:
        self._throttle.log(logging.INFO, line.decode("utf-8", "replace"), limit=4000)


def batches_of(process: ConnectorProcess, batch_folder: Path | None) -> BatchFolder:
    """Return the folder that the files of a tap's BATCH messages must be below.

    Args:
        process: The running tap.
        batch_folder: The folder that was given for them; None for the one that was made for this run of it.

    Raises:
        ConfigError: The given folder is not there.
    """
    if batch_folder is None:
        in_container = len(process.folder_names) == 1
        relative_to = None if in_container else str(process.directory)
        hint = _hint(process, in_container=in_container)
        return BatchFolder(process.folder, process.folder_names, hint=hint, relative_to=relative_to)
    path = os.path.abspath(batch_folder)  # noqa: PTH100 - links are in the name
    real = os.path.realpath(path)
    try:
        held = Folder(Path(real))
    except OSError as error:
        raise ConfigError(
            f"The batch_folder {path!r} cannot be opened: {error.strerror}.",
            hint="Give the path of a folder that this user may read.",
        ) from None
    hint = f'Its batch_folder is {path!r}: set "root" of "storage" in its "batch_config" to "file://{path}".'
    return BatchFolder(held, [path, real], hint=hint, relative_to=str(process.directory))


def _hint(process: ConnectorProcess, *, in_container: bool) -> str:
    """Return how the batches of a tap get to where they are read."""
    if in_container:
        return (
            'A tap\'s batches are read from its own folder only. For one made with the Singer SDK, set "root" of '
            f'"storage" in its "batch_config" to "file://{process.folder_names[0]}".'
        )
    place = process.directory / "batches"
    return (
        "A tap's batches are read from the folder made for its run, where its HOME and TMPDIR are, or from a "
        f'batch_folder. For one made with the Singer SDK, give get_source() batch_folder="{place}", and set "root" of '
        f'"storage" in its "batch_config" to "file://{place}".'
    )


def _by_name(streams: Sequence[Stream]) -> dict[str, StreamKey]:
    """Give the streams by what their messages may call them: the tap's id, or Singer's `stream`."""
    keys: dict[str, StreamKey] = {}
    for stream in streams:
        if stream.name in keys:
            raise ConfigError(
                f"Two selected streams are called {stream.name!r}, and a tap's messages do not tell them apart.",
                hint="Select one of them, and read the other as a source of its own.",
            )
        keys[stream.name] = stream.key
    seen: dict[str, int] = {}
    for stream in streams:
        seen[stream.stream] = seen.get(stream.stream, 0) + 1
    for stream in streams:
        if seen[stream.stream] == 1:
            keys.setdefault(stream.stream, stream.key)
    return keys


def _version_in(state: Mapping[str, Any], stream: Stream) -> int | None:
    bookmarks = state.get("bookmarks")
    own = bookmarks.get(stream.name) if isinstance(bookmarks, Mapping) else None
    version = own.get("version") if isinstance(own, Mapping) else None
    return version if type(version) is int else None


def batches_in(
    file: BinaryIO, encoding: Mapping[str, Any], *, url: str, stream: str, longest: int = MAX_BYTES
) -> Iterator[Batch]:
    """Yield the records of one file of a BATCH message.

    Args:
        file: Open and unbuffered.
        encoding: What the message says of its format.
        url: What the message calls it.
        stream: The stream.
        longest: The longest line, in bytes.

    Raises:
        ProtocolError: The file is damaged, unpacks to too much, or is of a form that is not read.
        DataError: A record of it has a key twice.
    """
    kind, packed = form_of(encoding, stream)
    with damage_named(url, stream):
        if kind == "parquet":
            yield from (Batch(table, refused=refused) for table, refused in tables_of(file, stream))
            return
        rows: list[Mapping[str, Any]] = []
        size = 0
        for line in lines_of(file, packed=packed, longest=longest):
            try:
                row = exact_json(line)
            except ProtocolError as error:
                raise cannot_be_read(stream, f"its file {url!r}: {error}") from error
            if not isinstance(row, Mapping):
                raise cannot_be_read(stream, f"its file {url!r}: a line is no JSON object")
            refuse_repeats(line.decode(), row, stream)
            rows.append(row)
            size += len(line)
            if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield Batch(rows)
                rows, size = [], 0
        if rows:
            yield Batch(rows)
