"""One stream of a read of many on its way: where it began, what of it is committed, and how it ended."""

import time
from contextlib import suppress
from dataclasses import dataclass, field

from etl_assets.model.events import Removable, StreamKey
from etl_assets.model.load import Load, SyncResult
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.wrong_fields import WrongFields
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import Start


@dataclass(frozen=True)
class StreamOutcome:
    """How the sync of one stream ended.

    Args:
        stream: The stream, as it was last.
        result: What was done, also of one that failed: what it had committed before stays.
        error: Why it failed; None where it is complete.
    """

    stream: Stream
    result: SyncResult
    error: Exception | None = None


@dataclass
class Line:
    """One stream on its way.

    Args:
        load: What is done with it.
        start: Where it began.
        error: Why it failed.
        wrong: The wrong fields by which it failed, while more of them may come.
        state: Its own last state, to be stored by its next commit.
        pending: That state is not stored yet.
        rows: Exported and not committed.
        uncovered: Records after the last state that covers the stream.
        ended: It was read completely.
        landed: And is published.
        generation: See `Truncate`.
        files: Of no use when its rows are committed.
        named: Its write strategy was named by the caller, and so rules a source that begins the table anew.
    """

    load: Load
    start: Start
    result: SyncResult
    error: Exception | None = None
    wrong: WrongFields | None = None
    state: Bookmark | None = None
    pending: bool = False
    rows: int = 0
    uncovered: int = 0
    ended: bool = False
    landed: bool = False
    generation: int | None = None
    files: list[Removable] = field(default_factory=list)
    bytes: int = 0
    bytes_at_commit: int = 0
    committed_at: float = field(default_factory=time.monotonic)
    named: bool = False

    @property
    def key(self) -> StreamKey:
        """What tells the stream from the others."""
        return self.load.stream.key

    @property
    def name(self) -> str:
        """The stream's name for people."""
        return self.load.stream.full_name

    @property
    def replaces(self) -> bool:
        """Whether it takes the table's place."""
        return self.load.strategy is WriteStrategy.REPLACE

    def settle(self, at: float) -> None:
        """Take note that all that was exported is committed."""
        self.rows, self.pending, self.bytes_at_commit, self.committed_at = 0, False, self.bytes, at
        while self.files:
            with suppress(OSError):  # what is committed stays so; a file more is no error
                self.files.pop().unlink()

    @property
    def appends(self) -> bool:
        """Whether its rows would be doubled if they came again."""
        return self.load.strategy is WriteStrategy.APPEND
