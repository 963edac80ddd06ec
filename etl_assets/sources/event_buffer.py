"""Records that wait to be handed on together, and the states between them.

A tap may send a state after every record. A later state of the same scope takes an earlier one's place, so only the
last one of each hand-over counts; but none is ever handed on behind a record that came after it.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from etl_assets.protocol.batch import Batch
from etl_assets.protocol.events import Checkpoint, Event, Records, StreamKey
from etl_assets.protocol.load import Bookmark
from etl_assets.protocol.stream import Stream

ROWS = 50_000
SECONDS = 2.0
BYTES = 32 * 1024 * 1024

Scope = StreamKey | None


class EventBuffer:
    """Collects records by stream, and gives them as events.

    Args:
        streams: The streams as they are now, by key; looked up when records are handed on.
    """

    def __init__(self, streams: Mapping[StreamKey, Stream]) -> None:
        self._streams = streams
        self._rows: dict[StreamKey, list[Mapping[str, Any]]] = {}
        self._states: dict[Scope, tuple[Bookmark | None, dict[StreamKey, int]]] = {}
        self._count = self._bytes = 0
        self._handed_over_at = time.monotonic()

    def rows_of(self, key: StreamKey) -> list[Mapping[str, Any]]:
        """Give the list to which a stream's records are appended; `took` must be told how many bytes came."""
        rows = self._rows.get(key)
        if rows is None:
            rows = self._rows[key] = []
        return rows

    def state(self, scope: Scope, state: Bookmark | None) -> None:
        """Take a state that covers all records of its scope up to here."""
        covered = self._rows if scope is None else {scope: self._rows.get(scope, [])}
        self._states.pop(scope, None)  # the new one comes last
        self._states[scope] = (state, {key: len(rows) for key, rows in covered.items()})

    def took(self, rows: int, size: int) -> None:
        """Count what came."""
        self._count += rows
        self._bytes += size

    @property
    def due(self) -> bool:
        """Whether it is time to hand on."""
        return (
            self._count >= ROWS or self._bytes >= BYTES or time.monotonic() - self._handed_over_at >= SECONDS
        )

    def flush(self, *, rest: bool = True) -> Iterator[Event]:
        """Give everything as events, in an order in which each state stands behind all it covers.

        Args:
            rest: Also the records after the last state.
        """
        given: dict[StreamKey, int] = {}
        states, self._states = self._states, {}
        for scope, (state, covers) in states.items():
            for key, until in covers.items():
                yield from self._part(key, given, until)
            yield Checkpoint(state, None if scope is None else (scope,))
        if rest:
            for key, rows in self._rows.items():
                yield from self._part(key, given, len(rows))
        self._rows = {}
        self._count = self._bytes = 0
        self._handed_over_at = time.monotonic()

    def _part(self, key: StreamKey, given: dict[StreamKey, int], until: int) -> Iterator[Event]:
        start = given.get(key, 0)
        if until > start:
            rows = self._rows[key]
            part = rows if start == 0 and until == len(rows) else rows[start:until]
            given[key] = until
            yield Records(self._streams[key], Batch(part))
