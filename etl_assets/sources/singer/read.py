"""One sync of a Singer tap: its messages in, our events out."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from etl_assets.confined import Folder
from etl_assets.connectors.log_drain import LogThrottle
from etl_assets.connectors.process import ConnectorProcess
from etl_assets.exceptions import (
    ConfigError,
    ProtocolError,
    StreamReadError,
    did_you_mean,
    naming_connector,
)
from etl_assets.model.catalog import Catalog
from etl_assets.model.catalog_entries import copied
from etl_assets.model.events import Event, SourceState, StreamEnd, StreamKey
from etl_assets.model.stream import Stream
from etl_assets.protocol.record_forms import SingerForm
from etl_assets.protocol.record_runs import RecordRuns, one_message_a_line
from etl_assets.protocol.singer.batch_files import BatchFolder
from etl_assets.protocol.singer.events import SingerEvents
from etl_assets.protocol.singer.lines import Line, decoder
from etl_assets.protocol.singer.messages import SchemaMessage
from etl_assets.sources.singer.columns import as_sent


def state_given(state: SourceState, streams: Sequence[Stream]) -> dict[str, Any]:
    """Return the state document for the tap; {} where there is none.

    Streams that are read anew, full tables among them, are taken out of it.

    Raises:
        ConfigError: A stream cannot be taken out of it: it does not follow the convention of
            `bookmarks`.
    """
    if state.shared is None:
        return {}
    anew = {
        stream
        for stream in streams
        if stream.key in set(state.refreshed) or stream.method == "FULL_TABLE"
    }
    document: dict[str, Any] = copied(dict(state.shared))
    if not anew:
        return document
    if len(anew) == len(list(streams)) and all(
        stream.key in set(state.refreshed) for stream in anew
    ):
        return {}
    bookmarks = document.get("bookmarks")
    if not isinstance(bookmarks, dict):
        if all(stream.key not in set(state.refreshed) for stream in anew):
            return document
        raise ConfigError(
            "The state of this tap does not say which part of it is of the stream "
            f"{next(iter(anew)).name!r}.",
            hint="Refresh all of its streams together.",
        )
    for stream in anew:
        for name in {stream.name, stream.stream}:
            bookmarks.pop(name, None)
            if document.get("currently_syncing") == name:
                document["currently_syncing"] = None
    return document


class SingerRead(SingerEvents):
    """Follows one process through its messages.

    Args:
        name: The tap's.
        logger: Takes what is not data.
        streams: What was asked for.
        process: The running tap.
        known: The whole catalog: records of a stream in it that was not asked for are left out.
        state: The state the tap was given.
        batch_folder: Where the files of its BATCH messages are; by default the folder that was made
            for its run.
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
        super().__init__(streams, name)
        self.line_limit = process.limits.line_bytes
        self.versions = {key: _version_in(state, stream) for key, stream in self.current.items()}
        self._name = name
        self._logger = logger
        self._process = process
        self._batch_folder = batch_folder
        self._batches: BatchFolder | None = None
        self._asked = {stream.key: stream for stream in streams}
        self._keys = _by_name(streams)
        self._known = {name for stream in known.values() for name in (stream.name, stream.stream)}
        self._throttle = LogThrottle(logger)
        self._decoder = decoder(self._noise)
        self._runs = RecordRuns(
            SingerForm(), lambda _, name: self._keys.get(name), self.current, self._rows
        )
        self._schema_texts: dict[str, tuple[bytes, Sequence[str]]] = {}
        self._left_out: dict[str, int] = {}

    def events(self) -> Iterator[Event]:
        """Yield the events to the end of the process.

        Raises:
            EtlAssetsError: The read has failed.
        """
        yield from self.messages()
        yield from self.ending()

    def messages(self) -> Iterator[Event]:
        """Yield the events of its messages, to the end of the process."""
        with naming_connector(self._name):
            yield from self.buffer.follow(self._process.chunks(), self._take)
        self._process.wait()
        self._throttle.flush()

    @property
    def told_nothing(self) -> bool:
        """Whether the process, which has ended, has said nothing of any stream."""
        return not self.described and not self._left_out

    def ending(self) -> Iterator[Event]:
        """Yield what became of each stream, after `messages`.

        Raises:
            EtlAssetsError: The read has failed.
        """
        code = self._process.exit_code
        self._tell()
        with naming_connector(self._name):
            yield from self.buffer.flush(rest=not code)
        if code:
            raise self._process.failure()
        for key, stream in self.current.items():
            if key in self.described:
                yield StreamEnd(stream)
            else:
                yield StreamEnd(stream, complete=False, error=self._silent(stream))

    @override
    def key_of(self, name: str, kind: str) -> StreamKey | None:
        key = self._keys.get(name)
        if key is not None or kind == "ACTIVATE_VERSION":
            return key
        if name not in self._known:
            raise ProtocolError(
                f"{self._name} sent something of the stream {name!r}, which was not asked for.",
                hint=did_you_mean(name, self._keys),
                stream=name,
            )
        if kind != "SCHEMA":
            self._left_out[name] = self._left_out.get(name, 0) + 1
        return None

    @override
    def stream_described(self, key: StreamKey, message: SchemaMessage) -> Stream:
        keys = message.key_properties or self.current[key].primary_key
        return as_sent(self._asked[key], message.schema, keys)

    @override
    def batch_folder(self, url: str, stream: str) -> BatchFolder:
        if self._batches is None:  # not before: the tap may make the folder
            self._batches = batches_of(self._process, self._batch_folder)
        return self._batches

    def _take(self, chunk: bytes) -> Iterator[Event]:
        for run in self._runs.cut(chunk):
            if run.parse is not None and run.key in self.described:
                yield from self.records(run, run.parse)
                continue
            for line in self._decoder.decode(run.lines):
                if line.record is not None and line.type == "RECORD":
                    yield from self.record(line.of_stream(), line.record, line.version)
                elif not self._is_said_again(line):
                    yield from self.message(line.message())

    def _is_said_again(self, line: Line) -> bool:
        """Return whether a line repeats its stream's SCHEMA, as of some taps before each record."""
        if line.type != "SCHEMA":
            return False
        name, said = line.of_stream(), (bytes(line.schema), line.key_properties or ())
        if self._schema_texts.get(name) == said:
            return True
        self._schema_texts[name] = said
        return False

    def _rows(self, lines: bytes, key: StreamKey) -> list[Mapping[str, Any]]:
        rows: list[Mapping[str, Any]] = []
        messages = list(self._decoder.decode(lines))
        one_message_a_line(key, lines, len(messages))
        for line in messages:
            if line.record is None or self._keys.get(line.of_stream()) != key:
                raise ProtocolError(
                    "A RECORD message has no 'record', or a second 'stream'.", stream=line.stream
                )
            if line.version is not None and line.version != self.versions[key]:
                raise ProtocolError(
                    "The version of its records goes back and forth.", stream=line.stream
                )
            rows.append(line.record)
        return rows

    def _tell(self) -> None:
        for name, count in self._left_out.items():
            self._logger.warning(
                "%s sent %d records of %s, which is not selected", self._name, count, name
            )
        for kind, count in self.unknown_types.items():
            self._logger.warning(
                "%s sent %d messages of the unknown type %s", self._name, count, kind
            )

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
        batch_folder: The folder that was given for them; None for the one that was made for this
            run of it.

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
            "A tap's batches are read from its own folder only. For one made with the Singer SDK, "
            'set "root" of '
            f'"storage" in its "batch_config" to "file://{process.folder_names[0]}".'
        )
    place = process.directory / "batches"
    return (
        "A tap's batches are read from the folder made for its run, where its HOME and TMPDIR "
        "are, or from a batch_folder. For one made with the Singer SDK, give get_source() "
        f'batch_folder="{place}", and set "root" of '
        f'"storage" in its "batch_config" to "file://{place}".'
    )


def _by_name(streams: Sequence[Stream]) -> dict[str, StreamKey]:
    """Return the streams by what messages may call them: the tap's id, or Singer's `stream`."""
    keys: dict[str, StreamKey] = {}
    for stream in streams:
        if stream.name in keys:
            raise ConfigError(
                f"Two selected streams are called {stream.name!r}, and a tap's messages do not "
                "tell them apart.",
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
