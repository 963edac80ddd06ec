"""Reads of given rows, and a destination in memory: the other side of what is tested."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from typing_extensions import override

from etl_assets.model.batch import Batch, Encoding
from etl_assets.model.bookmarks.row_cells import row_hash
from etl_assets.model.load import Capabilities, Committed, Load, Readable, Session
from etl_assets.model.stored import Bookmark, SharedState, Stored, StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.strategies import WriteStrategy

BATCH_ROWS = 3


class PlannedError(Exception):
    """Raised where a check wants something to fail."""


class PlannedCancel(BaseException):
    """As `PlannedError`, but as a cancelled run looks: no `Exception`."""


class GivenRead(Readable):
    """A read of one stream that gives these batches, whatever the bookmark.

    Args:
        stream: The stream.
        batches: Rows, or `Batch`es.
        source_name: Under which the state is kept.
        fails_after: Raise after so many batches; None never.
        error: What to raise then.
    """

    def __init__(
        self,
        stream: Stream,
        batches: Sequence[Any],
        *,
        source_name: str = "conformance",
        fails_after: int | None = None,
        error: type[BaseException] = PlannedError,
    ) -> None:
        self.stream = stream
        self.source_name = source_name
        self.batches = batches
        self.fails_after = fails_after
        self.error = error

    def open(self, bookmark: Bookmark | None) -> Iterator[Batch]:
        """Yield the batches, up to where it fails."""
        for number, batch in enumerate(self.wanted(bookmark)):
            if number == self.fails_after:
                raise self.error
            yield batch if isinstance(batch, Batch) else Batch(batch)
        if self.fails_after is not None:
            raise self.error

    def wanted(self, bookmark: Bookmark | None) -> Sequence[Any]:
        """Return the batches at and after the bookmark; all of them here."""
        del bookmark
        return self.batches


class NumbersRead(GivenRead):
    """A read of rows that are numbered by `n`, in batches of `BATCH_ROWS` with their bookmarks."""

    @override
    def wanted(self, bookmark: Bookmark | None) -> Sequence[Any]:
        after = bookmark["n"] if bookmark else -1
        rows = [row for row in self.batches if row["n"] > after]
        cuts = [rows[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS)]
        return [Batch(cut, bookmark={"n": cut[-1]["n"]}) for cut in cuts]


class FailingRead(Readable):
    """Another read that fails after so many batches."""

    def __init__(self, read: Readable, after: int) -> None:
        self.source_name, self.stream, self.partial = read.source_name, read.stream, read.partial
        self.ordered, self.checked_order = read.ordered, read.checked_order
        self._read = read
        self._after = after

    def open(self, bookmark: Bookmark | None) -> Iterator[Batch]:
        """Yield the first batches of the other read."""
        for number, batch in enumerate(self._read.open(bookmark)):
            if number == self._after:
                raise PlannedError
            yield batch
        raise PlannedError


class MemoryDestination:
    """Keeps rows and bookmarks in memory, exactly once: what a source is checked against."""

    capabilities = Capabilities(
        strategies=frozenset(set(WriteStrategy) - {WriteStrategy.AUTO}), keeps_state=True
    )

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.state: StreamState | None = None
        self.bookmarks: list[Bookmark | None] = []

    def stored(
        self, source: str, stream: Stream, *, table: TableName | None = None, partition: str = ""
    ) -> Stored:
        """Return where the last load ended."""
        del source, stream, table, partition
        return Stored(self.state)

    @contextmanager
    def session(self, loads: Sequence[Load]) -> Iterator[Session]:
        """Open a session of one load."""
        yield _MemorySession(self, loads[0])

    def hashes(self) -> list[str]:
        """Return what stands for the rows, whatever their order."""
        return sorted(map(row_hash, self.rows))


class _MemorySession(Session):
    encoding: Encoding = "rows"

    def __init__(self, memory: MemoryDestination, load: Load) -> None:
        self._memory = memory
        self._load = load
        self._waiting: list[dict[str, Any]] = []

    @override
    def export(self, batch: Batch, load: Load) -> int:
        self._waiting.extend(batch.to_rows(load.stream, native_types=True))
        return 0

    @override
    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> list[Committed]:
        load, memory = self._load, self._memory
        bookmark = bookmarks[load.load_id]
        if load.strategy is WriteStrategy.REPLACE:
            memory.rows = []
        memory.rows.extend(self._waiting)
        if load.strategy is WriteStrategy.MERGE:
            keys = load.stream.unique_constraints or load.stream.primary_key
            memory.rows = list(
                {tuple(repr(row[key]) for key in keys): row for row in memory.rows}.values()
            )
        count, now = len(self._waiting), datetime.now(UTC)
        self._waiting = []
        memory.bookmarks.append(bookmark)
        name = load.stream.name
        memory.state = StreamState(
            load.source, "", name, "", load.load_id, "", bookmark, now, TableName(name)
        )
        self._load = replace(load, begins_from=load.load_id)
        return [Committed(load.load_id, count, len(memory.rows), bookmark, now, name)]
