"""Many streams of a source that has no way of its own to read them at once: as a tap, or one after the other."""

from collections.abc import Iterator, Sequence

from etl_assets.exceptions import ConfigError, EtlAssetsError
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.appending import Appending
from etl_assets.model.bookmarks.settled import Settled
from etl_assets.model.bookmarks.tracker import BookmarkTracker, plain
from etl_assets.model.events import Checkpoint, Estimate, Event, Records, Remark, SourceState, StreamEnd
from etl_assets.model.load import TableTypes
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sources.tap.process import writes_messages_itself
from etl_assets.sources.tap.read import tap_events


def load_streams(source: Source, streams: Sequence[Stream], state: SourceState) -> Iterator[Event]:
    """Give the events of a source that does not override `load_streams`."""
    if writes_messages_itself(source) or source.granularity == "source":
        yield from tap_events(source, streams, state)
        return
    for stream in streams:
        try:
            yield from _one(source, stream, state)
        except EtlAssetsError as error:
            yield StreamEnd(stream, complete=False, error=error)


def _one(source: Source, stream: Stream, state: SourceState) -> Iterator[Event]:
    """Read a stream as a step of its own would: its bookmark is what it gives, or its largest replication key."""
    bookmark, appending = state.streams.get(stream.key), state.appended.get(stream.key)
    read = _fitted(StreamRead(source, stream), state.tables.get(stream.key))
    if read.partial:
        raise ConfigError(
            f"stream {stream.name!r}: a read cut by `limit` or `query` cannot be one of many.",
            hint='Leave the cut out, or read it with granularity="stream".',
            stream=stream.name,
        )
    stream = read.stream
    tracker, settled = (_tracker(read, bookmark, appending) if stream.cursor else None), Settled(stream)
    given: Bookmark | None = None
    for batch in read.open(plain(bookmark)):
        given = batch.bookmark if batch.bookmark is not None else given
        if batch.remark:
            yield Remark(stream, batch.remark)
        if batch.expected:
            yield Estimate(stream, batch.expected)
        kept = _taken(batch, tracker, settled, appends=appending is not None) if tracker is not None else batch
        if len(kept) or kept.has_columns_only:
            yield Records(stream, kept)
        if tracker is not None and not tracker.settled:
            continue  # what is still to come decides which of these rows are loaded already
        reached = _reached(given, tracker) if batch.bookmark is not None or (given is None and read.ordered) else None
        if reached is not None:
            yield Checkpoint(reached, (stream.key,))
    last = _reached(given, tracker)
    if last is not None:
        yield Checkpoint(last, (stream.key,))
    for text, late_rows in tracker.remarks() if tracker is not None else ():
        yield Remark(stream, text, late_rows)
    yield StreamEnd(stream)


def _reached(given: Bookmark | None, tracker: BookmarkTracker | None) -> Bookmark | None:
    if tracker is None:
        return given
    return tracker.bookmark() if given is None else tracker.with_boundary(given)


def _fitted(read: StreamRead, table: TableTypes | None) -> StreamRead:
    return read if table is None else read.fitted_to(table)


def _taken(batch: Batch, tracker: BookmarkTracker, settled: Settled, *, appends: bool) -> Batch:
    """Follow a batch; returns what is to be loaded of it."""
    if not len(batch):
        return batch
    sure = settled.cut(batch)
    taken = tracker.take(sure)
    # What is merged comes again; what is appended would be there twice.
    return taken if appends or sure is batch else batch


def _tracker(read: StreamRead, bookmark: Bookmark | None, appending: Appending | None) -> BookmarkTracker:
    return BookmarkTracker(
        read.stream, bookmark, appending=appending, check_order=read.checked_order, ordered=read.ordered
    )
