"""What of a read is committed, and when: which streams wait for which.

- A state of one stream is stored by the transaction of that stream's rows. A state of the whole
  source is stored by the one transaction that has the rows of all streams up to it.
- A stream that fails drops what was not committed of it. Where the streams share a state, that
  state cannot move any more: it would cover rows that are nowhere. What may be read twice is still
  published when it is complete (a replace, a merge); an append is not, as the next read gives its
  rows again.
- Where streams share a state and one of them is replaced, or has a gate to pass, no state is stored
  before that one is complete.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from etl_assets.engine.checkpoints import Checkpoints
from etl_assets.engine.line import Line, StreamOutcome
from etl_assets.engine.observer import Observer
from etl_assets.engine.outcomes import Outcomes, held_back, unfinished
from etl_assets.engine.shared import Shared, SharedProgress
from etl_assets.faults import fault
from etl_assets.model.events import Checkpoint, StreamKey
from etl_assets.model.load import Committed, Session, StreamOfSource
from etl_assets.model.stored import Bookmark, SharedState

T = TypeVar("T")

COMMITS = 64
"""So many commits, at the most, for streams that end with little to commit.

A commit costs more, the more tables there are.
"""


class Publishing:
    """The lines of a read, and what of them is committed.

    Args:
        lines: The streams; those that have failed already are told of as such.
        session: Where they go.
        observer: Sees what is committed on the way.
        checkpoints: When commits are due.
        shared: What the streams have in common; None for one stream by itself, which fails as a
            whole: it is published when its read is closed, and if that fails, nothing is but what
            was committed at checkpoints.
        runs_ahead: Records are made also where they are not taken, so that all wrong fields of a
            stream can be told.
        finds_streams: The read may find more streams, which begin on its way.
    """

    def __init__(
        self,
        lines: Sequence[Line],
        session: Session,
        observer: Observer,
        checkpoints: Checkpoints,
        shared: Shared | None,
        *,
        runs_ahead: bool,
        finds_streams: bool = False,
    ) -> None:
        self.lines = {line.key: line for line in lines}
        self._session = session
        self._observer = observer
        self._checkpoints = checkpoints
        self.finds_streams = finds_streams
        self._is_alone = shared is None
        self._shared = SharedProgress(shared)
        self._own = False
        """A stream has a state of its own."""
        self._outcomes = Outcomes(session, runs_ahead=runs_ahead)
        self.arrived, self.tell_wrong = self._outcomes.arrived, self._outcomes.tell_wrong
        for line in lines:
            if line.error is not None:
                self._outcomes.failed_before(line)
        self._committed_at = self._outcomes.began
        self._landed = 0
        # Nothing that is done for each event may take longer, the more streams there are.
        commits_many = getattr(session, "commits_many", False)
        self._at_once = max(1, len(lines) // COMMITS) if commits_many else 1
        self._ended: dict[StreamKey, Line] = {}
        """Those that were read completely, and wait to be published."""
        self._waiting = {line.key for line in lines if line.waits_for_end and line.error is None}
        self._uncovered: dict[StreamKey, Line] = {}
        self._full = False
        """Since the last commit some stream has given so much that another is due."""
        self._judged: tuple[int, int, bool] | None = None
        self._hopeless = False

    def outcomes(self) -> list[StreamOutcome]:
        """Return what became of the streams that were settled since this was last asked."""
        return self._outcomes.untold()

    @property
    def late(self) -> Exception | None:
        """What went wrong with a stream that was published already."""
        return self._outcomes.late

    @property
    def live(self) -> list[Line]:
        """The streams that have not failed."""
        return [line for line in self.lines.values() if line.error is None]

    @property
    def _open(self) -> list[Line]:
        return [line for line in self.live if not line.landed]

    @property
    def _stuck(self) -> bool:
        """Whether the shared state cannot move any more."""
        has_failed = self._outcomes.failures > 0
        return self._shared.is_fixed or (self._shared.exists and has_failed)

    @property
    def _may_move(self) -> bool:
        """Whether the shared state may move now: no stream that shares it waits for its end."""
        return not self._stuck and not self._waiting

    def is_hopeless(self) -> bool:
        """Return whether nothing of what is still to come could be published."""
        if self.finds_streams:
            return False
        failures = self._outcomes.failures
        may_be = failures > 0 or self._shared.is_fixed
        now = (failures, self._landed, self._stuck)
        if may_be and now != self._judged:
            self._judged = now
            all_wait = self._stuck and all(line.appends for line in self._open)
            self._hopeless = all_wait or not self.live
        return self._hopeless

    # On the way

    def add(self, line: Line) -> None:
        """Take a stream that the read has found; one that is published begins anew."""
        self.lines[line.key] = line
        if line.error is None:
            self._session.revise(line.load)
        else:
            self._outcomes.failed_before(line)

    def exported(self, line: Line, rows: int, size: int) -> None:
        """Count rows that the session was given and that no state covers yet."""
        self._uncovered[line.key] = line
        line.rows += rows
        line.bytes += size
        self._full = self._full or self._due(line)

    def follow(self, line: Line, read: StreamOfSource) -> None:
        """Have the batches of a stream say how far it is read: its state is its own."""
        self._own = True
        self.attempt([line], lambda: line.follow(read))

    def followed(self, line: Line) -> None:
        """Commit a stream whose batches say how far it is read.

        It is committed if they cover all that has come of it, and it is time.
        """
        if line.is_covered and self._may_commit(line):
            self._commit([line], complete=False)

    def own_states(
        self, lines: Sequence[Line], state: Bookmark | None, *, due: bool | None = None
    ) -> None:
        """Take a state that covers these streams.

        Args:
            lines: The streams.
            state: The state.
            due: Whether a commit is due, where the source says so itself.
        """
        self._own = True
        for line in lines:
            if line.error is not None:
                continue  # a state after a failure would cover what is nowhere
            line.state, line.pending, line.uncovered = state, True, 0
            if line.landed or self._may_commit(line, due=due):
                self._commit([line], complete=line.landed)
        if not self._shared.exists:
            self._land_ended(self._at_once)

    def shared_state(self, event: Checkpoint) -> None:
        """Take a state of the whole source."""
        self._shared.move(event)
        for line in self._uncovered.values():
            line.uncovered = 0
        self._uncovered.clear()
        is_due = self._full or self._is_time
        many_wait = len(self._ended) >= self._at_once
        if self._may_move and (many_wait or is_due):
            self._barrier()

    def begins_anew(self, line: Line) -> None:
        """Record that a stream replaces its table from now on."""
        self._waiting.add(line.key)
        self._judged = None

    def end(self, line: Line) -> None:
        """Record that a stream was read completely."""
        line.ended = True
        self._outcomes.ended(line)
        self._waiting.discard(line.key)
        if not line.landed:
            self._ended[line.key] = line
        waits_for_state = line.appends and not self._own
        waits_for_others = self._is_alone or self._shared.exists
        if not waits_for_state and not waits_for_others:
            self._land_ended(self._at_once)

    def break_off(self, line: Line, error: Exception | None) -> None:
        """Record that a stream was not read completely."""
        self._keep_covered(line)
        self.fail(line, error or unfinished(line))

    def _may_commit(self, line: Line, *, due: bool | None = None) -> bool:
        """Return whether a stream may be committed by itself before its end, and it is time."""
        if self._shared.exists or line.ended or line.waits_for_end:
            return False
        return self._due(line) if due is None else due

    @property
    def _is_time(self) -> bool:
        return time.monotonic() - self._committed_at >= self._checkpoints.seconds

    def _due(self, line: Line) -> bool:
        return line.is_due(self._checkpoints, by_time=not self._shared.exists)

    # The end

    def finish(self, error: Exception | None) -> bool:
        """Publish what may be, and fail what did not end.

        Returns:
            Whether a stream carries the error.
        """
        for line in self._open:
            self._keep_covered(line)
        is_covered = not any(line.uncovered for line in self.live)
        if is_covered and self._may_move and self._shared.is_pending:
            self._barrier()
        for line in self.lines.values():
            self.tell_wrong(line)
        left = [line for line in self._open if not line.ended]
        for line in left:
            self.fail(line, error or self._why_not_finished(line))
            self.tell_wrong(line)
        if self._shared.exists and not self._stuck:
            self._barrier()
        if self._stuck:
            for line in self._open:
                if line.appends and line.rows:
                    self.fail(line, held_back(line, self.lines.values(), self._shared))
        # There is no more to come that could say whose state covers what was appended.
        self._own = True
        self._land_ended(1)
        return bool(left)

    def _why_not_finished(self, line: Line) -> Exception:
        if self._hopeless:
            return held_back(line, self.lines.values(), self._shared)
        return unfinished(line)

    def _land_ended(self, least: int) -> None:
        """Publish the streams that have ended, once so many of them wait, or it is time."""
        is_due = self._full or self._is_time
        enough = 1 if is_due else least
        if len(self._ended) < enough:
            return
        # In the order of their keys: two runs that lock tables one after the other do not wait for
        # each other.
        ready = [one for one in self._ended.values() if self._own or not one.appends]
        ready.sort(key=lambda one: one.key)
        for first in range(0, len(ready), self._at_once):
            group = ready[first : first + self._at_once]
            if len(group) == 1 or not self._land(group, apart=True):
                for line in group:
                    if line.error is None:
                        self._land([line])

    def _keep_covered(self, line: Line) -> None:
        """Commit what a stream's last state covers, if nothing came after it.

        It will not come again.
        """
        if self._shared.exists or self._is_alone:
            return
        is_open = not line.waits_for_end and not line.ended
        if is_open and line.is_covered:
            self._commit([line], complete=False)

    def _barrier(self) -> None:
        """Commit all that is waiting, with the shared state that covers it."""
        lines = [line for line in self._open if line.rows or line.ended or not line.has_state_row]
        state = self._shared.state if self._shared.is_pending else None
        if lines or state is not None:
            self._land(lines, shared=state)

    def _land(
        self, lines: Sequence[Line], shared: SharedState | None = None, *, apart: bool = False
    ) -> bool:
        """Commit, and tell whether that was possible; those that have ended are published then."""
        landing = [line for line in lines if line.ended]
        began = time.monotonic()
        if not self._commit(lines, complete=bool(landing), shared=shared, apart=apart):
            return False
        for line in landing:
            line.landed = True
            self._landed += 1
            self._ended.pop(line.key, None)
            self._outcomes.published(line, self._committed_at - began)
            line.tell_remarks(self._observer)
        return True

    # The destination

    def _commit(
        self,
        lines: Sequence[Line],
        *,
        complete: bool,
        shared: SharedState | None = None,
        apart: bool = False,
    ) -> bool:
        concerned = lines or self.live

        def to_store() -> dict[str, Bookmark | None]:
            return {line.load.load_id: line.to_store() for line in lines}

        bookmarks = self.attempt(concerned, to_store, apart=apart)
        if bookmarks is None:
            return False
        fault("before_commit")
        # A session that knows of no shared state is not asked about one.
        more = {"shared": shared} if shared is not None else {}
        committed = self.attempt(
            concerned,
            lambda: self._session.commit(bookmarks, complete=complete, **more),
            apart=apart,
        )
        if committed is None:
            return False
        fault("after_commit")
        if shared is not None:
            self._shared.settle(shared)
        self._committed_at, self._full = time.monotonic(), False
        self._account(lines, committed)
        return True

    def _account(self, lines: Sequence[Line], committed: Sequence[Committed]) -> None:
        by_id = {one.load_id: one for one in committed}
        for line in lines:
            one = by_id[line.load.load_id]
            line.account(one, self._shared, at=self._committed_at)
            if not line.ended or line.landed:
                self._observer.checkpoint(
                    replace(one, bookmark=line.result.bookmark, shared=self._shared.exists)
                )

    def attempt(
        self, lines: Sequence[Line], work: Callable[[], T], *, apart: bool = False
    ) -> T | None:
        """Do something at the destination, and return what it gives; None where it fails.

        An error is that of the stream it names, else of all that were in it. Where each can still
        be done apart from the others, an error that would not go away by itself is nobody's yet.
        """
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - a custom destination may raise anything
            if apart and not getattr(error, "retryable", False):
                return None
            stream = getattr(error, "stream", None)
            named = [line for line in lines if stream in {line.load.stream.name, line.name}]
            for line in named or lines:
                self.fail(line, error)
            return None

    def fail(self, line: Line, error: Exception) -> None:
        """Drop what is not committed of a stream, and record why; the others go on."""
        self._ended.pop(line.key, None)
        self._waiting.discard(line.key)
        self._outcomes.fail(line, error)
