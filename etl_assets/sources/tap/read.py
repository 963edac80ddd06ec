"""A source that writes Singer messages itself, run in a thread and read as events.

Messages are pushed by the source and pulled by the sync, so that one of the two needs a thread of
its own. They wait in a queue, which is bounded: a source that is faster than the destination waits.
When the sync wants no more, the next message that the source writes ends it.
"""

import contextvars
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from etl_assets.exceptions import (
    ConfigError,
    EtlAssetsError,
    ProtocolError,
    StreamReadError,
    did_you_mean,
)
from etl_assets.model.catalog_entries import copied
from etl_assets.model.events import Event, SourceState, StreamEnd, StreamKey
from etl_assets.model.stream import Stream
from etl_assets.protocol.singer.batch_files import BatchFolder
from etl_assets.protocol.singer.events import SingerEvents
from etl_assets.protocol.singer.messages import Message, RecordMessage, SchemaMessage, StateMessage
from etl_assets.redaction import redact
from etl_assets.redaction.errors import shown_cause
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import Catalog, CatalogEntry, frozen
from etl_assets.sources.messages import messages_to
from etl_assets.sources.tap.verbs import overrides

BATCH_ROWS = 5000
"""Records of one stream that wait before they go on as a batch."""
CHUNK_MESSAGES = 200
"""How many messages are handed over at once, as a chunk."""
QUEUED_CHUNKS = 20
"""How many of these chunks wait in the queue at most."""
POLL_SECONDS = 0.2
GRACE_SECONDS = 10.0
"""For a source to end after nobody wants more of it."""

Said = Message | StreamEnd


class _NotWantedError(BaseException):
    """Ends a source whose messages nobody reads any more; no `Exception`, which it might catch."""


def tap_events(source: Source, streams: Sequence[Stream], state: SourceState) -> Iterator[Event]:
    """Run a source as a tap, and give what it says as events.

    Args:
        source: The source, of this read alone.
        streams: What to read.
        state: Where to begin.

    Raises:
        ConfigError: A stream is to be read anew, and the state of the source cannot be told apart
            by stream.
        ProtocolError: A message that has no place here.
    """
    source.state = copied(dict(begin_state(state, streams)))
    # Whoever asks for a stream has selected it, whatever its own metadata says: a tap leaves out
    # what is not selected.
    catalog = Catalog(CatalogEntry.of(frozen(stream), selected=True) for stream in streams)
    source.catalog = catalog
    source.selected_streams = [stream.name for stream in streams]
    reader = _Reader(streams, source.state)
    thread = _TapThread(lambda say: _run(source, catalog, say))
    thread.start()
    try:
        for said in thread.messages():
            yield from reader.events(said)
        yield from reader.buffer.flush()
    finally:
        if not thread.end():
            source.logger.warning(
                "the source did not end within %g s after it was told to", GRACE_SECONDS
            )


def begin_state(state: SourceState, streams: Sequence[Stream]) -> Mapping[str, Any]:
    """Return the stored state document, without the streams that are to be read anew.

    Raises:
        ConfigError: The document is none of those that keep streams apart under `bookmarks`.
    """
    shared = state.shared or {}
    anew = {stream.name: stream for stream in streams if stream.key in state.refreshed}
    if not shared or not anew:
        return shared
    bookmarks = shared.get("bookmarks")
    if isinstance(bookmarks, Mapping):
        kept = {name: bookmark for name, bookmark in bookmarks.items() if name not in anew}
        return {
            key: value if key != "bookmarks" else kept
            for key, value in shared.items()
            if key != "currently_syncing" or value not in anew
        }
    incremental = next(
        (name for name, stream in anew.items() if stream.method != "FULL_TABLE"), None
    )
    if incremental is not None:
        raise ConfigError(
            f"stream {incremental!r} is to be read anew, but the state of its source does not keep "
            "streams apart.",
            hint="Do a full refresh of all its streams.",
            stream=incremental,
        )
    return shared


def _run(source: Source, catalog: Catalog, say: Callable[[Said], None]) -> None:
    """Run in the thread a source that overrides `sync` as a whole, any other by streams."""
    if overrides(source, "process") or overrides(source, "sync"):
        source.sync(catalog)
        for stream in catalog.streams:
            say(StreamEnd(stream))
        return
    for stream in catalog.get_selected_streams(source.state):
        try:
            source.process_stream(stream)
            source.sync_stream(stream)
        except EtlAssetsError as error:
            say(StreamEnd(stream, complete=False, error=error))
        except Exception as error:  # noqa: BLE001 - a hook may raise anything: it is the connector's edge
            told = StreamReadError(
                f"stream {stream.name!r}: reading failed: {type(error).__name__}: "
                f"{redact(str(error))}",
                stream=stream.name,
            )
            told.__cause__ = shown_cause(error)
            say(StreamEnd(stream, complete=False, error=told))
        else:
            say(StreamEnd(stream))


class _TapThread:
    """Runs a function that says messages, and gives them."""

    def __init__(self, work: Callable[[Callable[[Said], None]], None]) -> None:
        self._work = work
        self._queue: queue.Queue[list[Said] | BaseException | None] = queue.Queue(QUEUED_CHUNKS)
        self._chunk: list[Said] = []
        self._wanted = threading.Event()
        self._wanted.set()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=lambda: context.run(self._body), name="tap", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def messages(self) -> Iterator[Said]:
        """Yield what is said, up to the end of the work; raise what it raised."""
        while True:
            chunk = self._queue.get()
            if chunk is None:
                return
            if isinstance(chunk, BaseException):
                raise chunk
            yield from chunk

    def end(self) -> bool:
        """Have the work end, and wait for it; tells whether it did."""
        self._wanted.clear()
        self._thread.join(GRACE_SECONDS)
        return not self._thread.is_alive()

    def _body(self) -> None:
        ended: BaseException | None = None
        try:
            with messages_to(self._say):
                self._work(self._say)
        except _NotWantedError:
            return
        except SystemExit as error:
            ended = StreamReadError(f"the source ended its process, with exit status {error.code}.")
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for it
            ended = error
        try:
            self._hand_over()
            self._put(ended)
        except _NotWantedError:
            return

    def _say(self, said: Said) -> None:
        # A source may use the same dict for every row, and does so for its state.
        if isinstance(said, RecordMessage):
            said = RecordMessage(
                said.stream, copied(said.record), said.version, said.time_extracted
            )
        elif isinstance(said, StateMessage):
            said = StateMessage(copied(said.value))
        elif isinstance(said, SchemaMessage):
            said = replace(said, schema=copied(said.schema))
        self._chunk.append(said)
        if len(self._chunk) >= CHUNK_MESSAGES or not isinstance(said, RecordMessage):
            self._hand_over()
        elif not self._wanted.is_set():
            raise _NotWantedError

    def _hand_over(self) -> None:
        chunk, self._chunk = self._chunk, []
        self._put(chunk)

    def _put(self, chunk: "list[Said] | BaseException | None") -> None:
        while self._wanted.is_set():
            try:
                self._queue.put(chunk, timeout=POLL_SECONDS)
            except queue.Full:
                continue
            return
        raise _NotWantedError


class _Reader(SingerEvents):
    """Turns messages into events: records wait until they are a batch, or something else is said.

    Args:
        streams: What is read.
        state: Where the tap began; may name the version of a stream's rows.
    """

    schema_comes_first = False  # what it writes of a stream is known: the catalog is its own

    def __init__(self, streams: Sequence[Stream], state: Mapping[str, Any]) -> None:
        super().__init__(streams, "the source")
        self._given = dict(self.current)
        self._keys = {stream.name: stream.key for stream in streams}
        bookmarks = state.get("bookmarks")
        known = bookmarks if isinstance(bookmarks, Mapping) else {}
        for name, bookmark in known.items():
            version = bookmark.get("version") if isinstance(bookmark, Mapping) else None
            if name in self._keys and isinstance(version, int):
                self.versions[self._keys[name]] = version

    def events(self, said: Said) -> Iterator[Event]:
        """Yield the events of one message, or of the end of a stream.

        Raises:
            ProtocolError: It is of a stream that nobody asked for: a state may cover it, so it
                cannot be left out.
        """
        if not isinstance(said, StreamEnd):
            yield from self.message(said)
            return
        key = said.stream.key
        yield from self.buffer.flush_before_change(key)
        yield StreamEnd(self.current[key], said.complete, said.error)

    @override
    def record(self, name: str, record: Mapping[str, Any], version: int | None) -> Iterator[Event]:
        yield from super().record(name, record, version)
        key = self._keys[name]
        if self.buffer.waiting(key) >= BATCH_ROWS:
            yield from self.buffer.flush_before_change(key)

    @override
    def state(self, value: Any) -> Iterator[Event]:
        if value is None:
            raise ProtocolError("a STATE is no object.", line=str(value))
        yield from super().state(value)
        yield from self.buffer.flush()

    @override
    def key_of(self, name: str, kind: str) -> StreamKey | None:
        if name not in self._keys:
            raise ProtocolError(
                f"the source writes messages of a stream {name!r}, which was not asked for.",
                hint=f"Have it write those of its catalog. {did_you_mean(name, self._keys)}",
                stream=name,
            )
        return self._keys[name]

    @override
    def stream_described(self, key: StreamKey, message: SchemaMessage) -> Stream:
        stream = self._given[key]
        changes: dict[str, Any] = (
            {"schema": message.schema} if message.schema.get("properties") else {}
        )
        if message.key_properties and not stream.primary_key:
            changes["primary_key"] = list(message.key_properties)
        return stream.replace(**changes) if changes else stream

    @override
    def batch_folder(self, url: str, stream: str) -> BatchFolder:
        raise ProtocolError(
            f"stream {stream!r}: a BATCH message comes from a program, not from a source in this "
            "process.",
            hint="Write its records.",
            stream=stream,
        )
