"""The read of one stream as events.

`sync` loads them, and a read of many streams chains those of streams without events of their own.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping

from etl_assets.engine.reached import Reached
from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.events import (
    Checkpoint,
    Estimate,
    Event,
    Follow,
    Records,
    Remark,
    StreamEnd,
    StreamEvent,
    StreamKey,
)
from etl_assets.model.load import Readable, TakesRequest
from etl_assets.model.request import NO_REQUEST, ReadRequest
from etl_assets.model.stored import Bookmark


def stream_events(
    read: Readable, bookmark: Bookmark | None, request: ReadRequest = NO_REQUEST
) -> Iterator[Event]:
    """Yield the events of a read of one stream, whose batches say how far it is.

    Args:
        read: What to read.
        bookmark: Where to begin, as it is stored.
        request: What the read is asked for beside that.
    """
    if isinstance(read, TakesRequest):
        read = read.requested(request)
    stream = read.stream
    yield Follow(read)
    batches = read.open(plain(bookmark))
    try:
        for batch in batches:
            if batch.remark:
                yield Remark(stream, batch.remark)
            if batch.expected:
                yield Estimate(stream, batch.expected)
            yield Records(stream, batch)
            if not request.is_wanted():
                break
    finally:
        if isinstance(batches, Generator):
            batches.close()  # at once, not when it is collected: it may hold a connection
    yield StreamEnd(stream, complete=request.is_wanted())


def with_checkpoints(
    events: Iterable[Event], states: Mapping[StreamKey, Bookmark]
) -> Iterator[Event]:
    """Yield events with a `Checkpoint` where the batches of a followed stream stand for one.

    It is for those who hand on states, and load nothing themselves.

    Args:
        events: Of a read of many streams.
        states: Where the streams began.
    """
    followed: dict[StreamKey, Reached] = {}
    for event in events:
        if isinstance(event, Follow):
            followed[event.stream.key] = Reached(event.read, states.get(event.stream.key))
            continue
        if isinstance(event, Checkpoint) or event.stream.key not in followed:
            yield event
            continue
        reached = followed[event.stream.key]
        try:
            yield from _followed(event, reached)
        except EtlAssetsError as error:
            yield StreamEnd(event.stream, complete=False, error=error)


def _followed(event: StreamEvent, reached: Reached) -> Iterator[Event]:
    """Yield an event of a followed stream, and the state that covers it where there is one."""
    stream = event.stream
    if isinstance(event, Records):
        batch = reached.note(event.batch)
        if len(batch):
            reached.take(batch)
        yield event
        if reached.covers(batch):
            yield Checkpoint(reached.stored(complete=False), (stream.key,))
        return
    if isinstance(event, StreamEnd) and event.complete:
        last = reached.stored(complete=False)
        if last is not None:
            yield Checkpoint(last, (stream.key,))
        yield from (Remark(stream, text) for text in reached.remarks())
    yield event
