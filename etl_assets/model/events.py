"""What a read of many streams yields: records, states that cover them, and how each stream ended.

One process or connection may serve all the streams of a run (an Airbyte source, a Singer tap, a
database's log). What it says is a sequence of events; `sync_source` loads them. The order is the
meaning:

```python
yield Records(users, Batch([{"id": 1}]))
yield Records(orders, Batch([{"id": 7}]))  # streams may be interleaved
yield Checkpoint({"lsn": 12}, streams=None)  # covers everything above, of all streams
yield StreamEnd(users, complete=True)
yield StreamEnd(orders, complete=False, error=SourceError("no right to read it"))
```
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.batch import Batch
from etl_assets.model.load import StreamOfSource
from etl_assets.model.request import ReadRequest
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream

StreamKey = tuple[str, str]
"""What tells a stream from the others of its source: (namespace or "", name), its `Stream.key`."""


class Removable(Protocol):
    """A file that can be removed: a `Path`, or one that knows better what it may remove."""

    def unlink(self) -> None:
        """Remove it.

        Raises:
            OSError: It is gone, or may not be removed.
        """
        ...


@dataclass(frozen=True)
class Follow:
    """The batches of a stream say how far it is read: by their bookmarks, or its replication key.

    It comes before the stream's first `Records`; no `Checkpoint` speaks of the stream then.

    Args:
        read: The stream, and what is known of the order of its rows.
    """

    read: StreamOfSource

    @property
    def stream(self) -> Stream:
        """The stream."""
        return self.read.stream


@dataclass(frozen=True)
class Records:
    """Some records of one stream.

    Args:
        stream: The stream with its present schema and keys; the schema may be another one than that
            of its last event.
        batch: The records. A bookmark on it means nothing here, unless the stream is one to
            `Follow`: only a `Checkpoint` is one.
        files: Where the source has put them; removed when they, and all of the stream before them,
            are committed.
    """

    stream: Stream
    batch: Batch
    files: Sequence[Removable] = ()


@dataclass(frozen=True)
class Estimate:
    """About so many records of the stream are to come in this read, by what the source says."""

    stream: Stream
    rows: int


@dataclass(frozen=True)
class Remark:
    """What people should know of a stream that was read, for the log of the run.

    Args:
        stream: The stream.
        text: A sentence, without the stream's name.
        late_rows: How many rows came from before the bookmark, if that is what it is about.
    """

    stream: Stream
    text: str
    late_rows: int = 0


@dataclass(frozen=True)
class SchemaChange:
    """The stream has another schema or other keys from here on.

    It is only needed where no `Records` would say so.
    """

    stream: Stream


@dataclass(frozen=True)
class Checkpoint:
    """A state that covers every event before it, of its scope.

    It is opaque: the last one is stored whole, even if it is smaller than one before. It is stored
    in the transaction that makes all it covers visible, or after that.

    Args:
        state: The state; None takes the stored one away (an Airbyte stream state of null).
        streams: It covers these streams (Airbyte STREAM); None for the whole source (Airbyte GLOBAL
            and LEGACY, a Singer STATE).
        separate: A state of the whole source says of each stream apart how far it was read, and
            still says what it did of streams that are not part of this read (`keeps_streams_apart`
            tells it of Singer's). Without it a read of some of the streams that share a state does
            not move it: the rows of the others would be skipped.
        due: Of a state of streams: whether to commit at once; None leaves it to the sync, by the
            time and the bytes since the last commit.
    """

    state: Bookmark | None
    streams: tuple[StreamKey, ...] | None = None
    separate: bool = False
    due: bool | None = None


def keeps_streams_apart(state: Bookmark | None) -> bool:
    """Return whether a state has Singer's usual form, `{"bookmarks": {stream: ...}}`."""
    return isinstance((state or {}).get("bookmarks"), Mapping)


@dataclass(frozen=True)
class StreamEnd:
    """How one stream ended: the last event that has rows of it.

    A stream without one is not complete, whatever becomes of the read: what waits for its end (a
    replace, rows after the last state) is not published. So a host that knows of no end but a clean
    exit yields one for each then. A `Checkpoint` that covers the stream may still follow (Airbyte's
    COMPLETE before the last STATE).

    Args:
        stream: The stream.
        complete: Everything there was has been given.
        error: Why not, where it is not complete; the other streams go on.
    """

    stream: Stream
    complete: bool = True
    error: EtlAssetsError | None = None


@dataclass(frozen=True)
class Truncate:
    """A new generation of the stream begins: all rows from before this event are to go.

    What follows it in this read takes the table's place when the stream is complete; until then
    readers see the old rows, and no state that covers the stream is stored. A host yields it before
    the first record of the new generation: for Singer before the first RECORD with a new `version`,
    or at an ACTIVATE_VERSION whose version no record had.

    Args:
        stream: The stream.
        generation: Its number (a Singer version, an Airbyte generation id). The same one again
            changes nothing.
    """

    stream: Stream
    generation: int | None = None


StreamEvent = Follow | Records | Estimate | Remark | SchemaChange | StreamEnd | Truncate
"""What is said of one stream."""

Event = StreamEvent | Checkpoint
"""What a read of many streams yields."""


@dataclass(frozen=True)
class SourceState:
    """Where a read of many streams begins.

    Args:
        shared: The state of the whole source, as the last `Checkpoint(streams=None)` gave it.
        streams: The state of each stream that has one of its own; never that of a refreshed one.
        refreshed: Streams to be read from their very beginning, because their tables are going to
            be replaced, or were never loaded though others of the shared state were. What `shared`
            says of them MUST NOT be used; a host that cannot take one stream out of its shared
            state raises a `ConfigError` unless all its streams are refreshed (then `shared` is
            None).
        requests: What each stream is asked for beside its state.
    """

    shared: Bookmark | None = None
    streams: Mapping[StreamKey, Bookmark] = field(default_factory=dict)
    refreshed: Collection[StreamKey] = frozenset()
    requests: Mapping[StreamKey, ReadRequest] = field(default_factory=dict, compare=False)

    def __bool__(self) -> bool:
        """Return whether there is any state."""
        return self.shared is not None or bool(self.streams)


@runtime_checkable
class SourceReadable(Protocol):
    """Many streams of one source that are read together, once per call of `open`.

    Attributes:
        source_name: The source's name, unique in a project.
        streams: What is read; an event of any other stream is an error, unless an attribute
            `finds_streams` is true: then a stream begins with its first event, and once more where
            it goes on after it was published. Its states are its own.
    """

    source_name: str
    streams: Sequence[Stream]

    def open(self, state: SourceState) -> Iterator[Event]:
        """Read all streams from their states on.

        MUST raise an error of ours when the read as a whole fails; streams that have ended
        completely before stay loaded. Is closed (`GeneratorExit` in a generator) when nobody wants
        more of it, also on a cancel: whatever it has started MUST end then.
        """
        ...
