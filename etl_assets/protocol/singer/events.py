"""What the messages of a Singer tap mean: SCHEMA, RECORD, STATE and others in, events out.

This is the one place where they are interpreted. Who speaks is for a subclass to say: a program
that is hosted (`sources/singer/read.py`), a source in this process that writes messages itself
(`sources/tap/read.py`), or whoever writes to standard input (`destinations/target/read.py`). How
lines become messages is not decided here either: `messages.py` and `lines.py` decode them one by
one, `record_runs.py` many records at a time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from etl_assets.exceptions import ProtocolError
from etl_assets.model.batch import Batch
from etl_assets.model.events import Event, Records, Removable, SchemaChange, StreamKey, Truncate
from etl_assets.model.schema.revisions import Revisions
from etl_assets.model.stream import Stream
from etl_assets.protocol.event_buffer import EventBuffer
from etl_assets.protocol.record_runs import Parsing, Run
from etl_assets.protocol.singer.batch_files import BatchFolder, batches_in
from etl_assets.protocol.singer.messages import (
    MAX_BYTES,
    ActivateVersionMessage,
    BatchMessage,
    Message,
    RecordMessage,
    SchemaMessage,
    StateMessage,
    Unknown,
)


class SingerEvents(ABC):
    """Turns the messages of one run of a tap into events.

    Records wait in a buffer until they are many.

    Args:
        streams: What is read, as it is known before the first SCHEMA.
        sender: Who speaks, for errors.
        limits: When the buffer hands on; see `EventBuffer`.

    Attributes:
        current: The streams as their last SCHEMA messages describe them.
        versions: Of each stream the version of the rows that come now.
        described: The streams that a SCHEMA message has described, and what it said.
        unknown_types: How many messages there were of each type that is not Singer's.
    """

    schema_comes_first = True
    """Whether a record before the SCHEMA of its stream is an error."""
    line_limit = MAX_BYTES
    """The longest line of a file that a BATCH message names, in bytes."""

    def __init__(self, streams: Iterable[Stream], sender: str, **limits: float) -> None:
        self.current = {stream.key: stream for stream in streams}
        self.buffer = EventBuffer(self.current, **limits)
        self.versions: dict[StreamKey, int | None] = {}
        self.described: dict[StreamKey, object] = {}
        self.unknown_types: dict[str, int] = {}
        self._revisions = Revisions(sender)

    # What depends on who speaks

    @abstractmethod
    def key_of(self, name: str, kind: str) -> StreamKey | None:
        """Return the stream that a message is about, or None where it is to be left out.

        Args:
            name: What the message calls it.
            kind: The message's type.

        Raises:
            ProtocolError: A message about this stream has no place here.
        """

    @abstractmethod
    def stream_described(self, key: StreamKey, message: SchemaMessage) -> Stream:
        """Return a stream as its SCHEMA message describes it."""

    @abstractmethod
    def batch_folder(self, url: str, stream: str) -> BatchFolder:
        """Return the folder that the files of BATCH messages must be below.

        Args:
            url: What a message calls its file.
            stream: The message's stream.

        Raises:
            ProtocolError: There is none, so that no file is read.
        """

    # The messages

    def message(self, message: Message) -> Iterator[Event]:
        """Yield what has to be said at once because of a message."""
        match message:
            case RecordMessage():
                yield from self.record(message.stream, message.record, message.version)
            case SchemaMessage():
                yield from self.schema(message)
            case StateMessage():
                yield from self.state(message.value)
            case ActivateVersionMessage():
                yield from self.activate(message)
            case BatchMessage():
                yield from self.batch(message)
            case Unknown(type=kind) if kind:
                self.unknown_types[kind] = self.unknown_types.get(kind, 0) + 1

    def record(self, name: str, record: Mapping[str, Any], version: int | None) -> Iterator[Event]:
        """Take a record."""
        key = self.key_with_schema(name, "RECORD")
        if key is not None:
            yield from self.new_version(key, version)
            self.buffer.add(key, record)

    def records(self, run: Run, parse: Parsing) -> Iterator[Event]:
        """Take lines of records that are decoded together."""
        yield from self.new_version(run.key, run.version)
        self.buffer.add_lines(run.key, run.lines, run.count, parse)

    def schema(self, message: SchemaMessage) -> Iterator[Event]:
        """Take another schema of a stream; what was said before needs nothing to be done."""
        key = self.key_of(message.stream, "SCHEMA")
        if key is None or self.described.get(key) == message:
            return
        self._revisions.note(message.stream)
        yield from self.buffer.flush_before_change(key)
        self.described[key] = message
        self.current[key] = self.stream_described(key, message)
        yield SchemaChange(self.current[key])

    def state(self, value: Any) -> Iterator[Event]:
        """Take a state, which covers every record before it."""
        if value is not None and not isinstance(value, Mapping):
            raise ProtocolError("A STATE message's value is no object.", line=repr(value))
        self.buffer.state(None, value)
        yield from ()

    def activate(self, message: ActivateVersionMessage) -> Iterator[Event]:
        """Take the word that the rows of older versions are gone."""
        key = self.key_of(message.stream, "ACTIVATE_VERSION")
        if key is not None:
            yield from self.new_version(key, message.version)

    def new_version(self, key: StreamKey, version: int | None) -> Iterator[Event]:
        """Begin a new generation of a stream if its records have another version by now."""
        if version is None or version == self.versions.get(key):
            return
        yield from self.buffer.flush_before_change(key)
        self.versions[key] = version
        yield Truncate(self.current[key], version)

    def batch(self, message: BatchMessage) -> Iterator[Event]:
        """Take the records of files; a file is removed when its records are committed."""
        key = self.key_with_schema(message.stream, "BATCH")
        if key is None:
            return
        yield from self.new_version(key, message.version)
        yield from self.buffer.flush_before_change(key)
        for file, batches in self.files_of(message):
            for batch in batches:
                yield Records(self.current[key], batch)
            yield Records(self.current[key], Batch([]), files=[file])

    def files_of(self, message: BatchMessage) -> Iterator[tuple[Removable, Iterator[Batch]]]:
        """Yield the files that a BATCH message names, each with its records, while it is open."""
        for url in message.manifest:
            file, own = self.batch_folder(url, message.stream).open(url, message.stream)
            with file:
                name, limit = message.stream, self.line_limit
                batches = batches_in(file, message.encoding, url=url, stream=name, longest=limit)
                yield own, batches

    def key_with_schema(self, name: str, kind: str) -> StreamKey | None:
        """Return what `key_of` does, for a message that must stand behind the SCHEMA of its stream.

        Raises:
            ProtocolError: It stands before it.
        """
        key = self.key_of(name, kind)
        if key is not None and self.schema_comes_first and key not in self.described:
            raise ProtocolError(f"stream {name!r}: a {kind} came before its SCHEMA.", stream=name)
        return key
