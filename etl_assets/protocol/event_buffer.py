"""Records that wait to be handed on together, and the states between them.

A tap may send a state after every record. A later state of the same scope takes an earlier one's
place, so only the last one of each hand-over counts; but none is ever handed on behind a record
that came after it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.batch import Batch
from etl_assets.model.events import Checkpoint, Event, Records, StreamKey, keeps_streams_apart
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream

ROWS = 50_000
SECONDS = 2.0
BYTES = 32 * 1024 * 1024

Scope = StreamKey | None
Row = Mapping[str, Any]
Parse = Callable[[bytes], Iterator[Batch]]
"""Makes batches of lines."""


@dataclass
class _Part:
    """Records of one stream as they came: rows, or lines that are parsed when handed on."""

    parse: Parse | None = None
    rows: list[Row] = field(default_factory=list)
    emitted: list[Any] = field(default_factory=list)
    meta: dict[int, Any] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    count: int = 0

    def batches(self) -> Iterator[Batch]:
        if self.parse is None:
            batch = Batch(self.rows)
            batch.emitted, batch.meta = self.emitted, self.meta
            yield batch
        else:
            yield from self.parse(b"".join(self.lines))


class EventBuffer:
    """Collects records by stream, and gives them as events.

    Args:
        streams: The streams as they are now, by key; looked up when records are handed on.
        rows: Hand on when so many records wait,
        bytes_: or so many bytes,
        seconds: or when the last time was so many seconds ago.
    """

    def __init__(
        self,
        streams: Mapping[StreamKey, Stream],
        *,
        rows: float = ROWS,
        bytes_: float = BYTES,
        seconds: float = SECONDS,
    ) -> None:
        self._streams = streams
        self._most_rows, self._most_bytes, self._most_seconds = rows, bytes_, seconds
        self._parts: dict[StreamKey, list[_Part]] = {}
        self._counts: dict[StreamKey, int] = {}
        self._states: dict[Scope, tuple[Bookmark | None, dict[StreamKey, int]]] = {}
        self._rows = self._bytes = 0
        self._handed_over_at = time.monotonic()

    def add(self, key: StreamKey, row: Row, emitted: Any = None, meta: Any = None) -> None:
        """Take one record, with when it was emitted, and what its source says of changed values."""
        part = self._part(key, None)
        if meta:
            part.meta[len(part.rows)] = meta
        part.rows.append(row)
        part.emitted.append(emitted)
        self._count(key, part, 1)

    def add_lines(self, key: StreamKey, lines: bytes, count: int, parse: Parse) -> None:
        """Take so many whole lines, each one record, that `parse` makes batches of."""
        part = self._part(key, parse)
        part.lines.append(lines)
        self._count(key, part, count)

    def state(self, scope: Scope, state: Bookmark | None) -> None:
        """Take a state that covers all records of its scope up to here."""
        covered = {scope: self.waiting(scope)} if scope is not None else dict(self._counts)
        self._states.pop(scope, None)  # the new one comes last
        self._states[scope] = (state, covered)

    def follow(
        self, chunks: Iterable[bytes], take: Callable[[bytes], Iterator[Event]]
    ) -> Iterator[Event]:
        """Yield the events of an output to its end, without those that still wait then.

        Args:
            chunks: The output.
            take: Takes a chunk: adds its records and states here, and gives the events that cannot
                wait.

        Raises:
            EtlAssetsError: The read has failed.
        """
        try:
            for chunk in chunks:
                yield from take(chunk)
                self.note_bytes(len(chunk))
                if self.is_due():
                    yield from self.flush()
        except EtlAssetsError:
            yield from self.flush(rest=False)  # what a state covers was sent before it went wrong
            raise

    def note_bytes(self, count: int) -> None:
        """Add bytes to the size of what waits."""
        self._bytes += count

    def is_due(self) -> bool:
        """Return whether what waits is to be handed on."""
        if self._rows >= self._most_rows or self._bytes >= self._most_bytes:
            return True
        return time.monotonic() - self._handed_over_at >= self._most_seconds

    def waiting(self, key: StreamKey) -> int:
        """Return how many records of a stream wait."""
        return self._counts.get(key, 0)

    def flush_before_change(self, key: StreamKey) -> Iterator[Event]:
        """Yield what must stand before a change of a stream.

        These are its records, or everything where states wait, too.
        """
        if self._states:
            yield from self.flush()
            return
        parts, count = self._parts.pop(key, ()), self._counts.pop(key, 0)
        self._rows -= count
        for part in parts:
            yield from self._records(key, part.batches())

    def begin_anew(self) -> None:
        """Count the waiting bytes from 0, once everything was handed on stream by stream."""
        self._bytes = 0
        self._handed_over_at = time.monotonic()

    def flush(self, *, rest: bool = True) -> Iterator[Event]:
        """Yield everything as events, in an order in which each state stands behind all it covers.

        Args:
            rest: Also the records after the last state.
        """
        states, parts, counts = self._states, self._parts, self._counts
        self._states, self._parts, self._counts = {}, {}, {}
        self._rows = self._bytes = 0
        batches = {key: _Batches(own) for key, own in parts.items()}
        for scope, (state, covers) in states.items():
            for key, until in covers.items():
                if key in batches:
                    yield from self._records(key, batches[key].up_to(until))
            if scope is None:
                yield Checkpoint(state, separate=keeps_streams_apart(state))
            else:
                yield Checkpoint(state, (scope,))
        for key in parts if rest else ():
            yield from self._records(key, batches[key].up_to(counts[key]))
        self._handed_over_at = time.monotonic()

    def _records(self, key: StreamKey, batches: Iterator[Batch]) -> Iterator[Event]:
        for batch in batches:
            yield Records(self._streams[key], batch)

    def _part(self, key: StreamKey, parse: Parse | None) -> _Part:
        parts = self._parts.setdefault(key, [])
        if not parts or parts[-1].parse is not parse:
            parts.append(_Part(parse))
        return parts[-1]

    def _count(self, key: StreamKey, part: _Part, count: int) -> None:
        part.count += count
        self._rows += count
        self._counts[key] = self._counts.get(key, 0) + count


class _Batches:
    """The parts of one stream as batches, cut where a state stands."""

    def __init__(self, parts: list[_Part]) -> None:
        self._batches = chain.from_iterable(part.batches() for part in parts)
        self._batch: Batch | None = None
        self._start = 0  # of what is left of the batch
        self._given = 0

    def up_to(self, until: int) -> Iterator[Batch]:
        while self._given < until:
            if self._batch is None:
                self._batch, self._start = next(self._batches), 0
            stop = min(len(self._batch), self._start + until - self._given)
            whole = self._start == 0 and stop == len(self._batch)
            yield self._batch if whole else self._batch.slice(self._start, stop)
            self._given += stop - self._start
            self._start = stop
            if stop == len(self._batch):
                self._batch = None
