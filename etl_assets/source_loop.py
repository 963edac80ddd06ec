"""One read of many streams into one session, event by event; `sync_source` settles what is read and where from.

The rules are those of `sync`; what is added is who waits for whom:

- A state of one stream is stored by the transaction of that stream's rows. A state of the whole source is stored by the
  one transaction that has the rows of all streams up to it.
- A stream that fails drops what was not committed of it. Where the streams share a state, that state cannot move any
  more: it would cover rows that are nowhere. What may be read twice is still published when it is complete (a replace,
  a merge); an append is not, as the next read gives its rows again.
- Where streams share a state and one of them is replaced, no state is stored before that one is complete.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from etl_assets.exceptions import DataError, EtlAssetsError, ProtocolError, SourceError, did_you_mean
from etl_assets.faults import fault
from etl_assets.model.batch import Batch
from etl_assets.model.events import (
    Checkpoint,
    Estimate,
    Event,
    Records,
    Remark,
    SchemaChange,
    SourceReadable,
    SourceState,
    StreamEnd,
    StreamKey,
    Truncate,
)
from etl_assets.model.load import Committed, Load, Session
from etl_assets.model.stored import Bookmark, SharedState
from etl_assets.model.stream import Stream
from etl_assets.model.wrong_fields import SECONDS, WrongFields
from etl_assets.source_line import Line, StreamOutcome
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import Observer, new_load_id

T = TypeVar("T")

COMMITS = 64
"""So many, at the most, for streams that end with little to commit: a commit costs more, the more tables there are."""


class Loop:
    """One read of many streams into one session, event by event."""

    can_replace = True
    whole = False
    """The streams share a state."""
    others: Collection[StreamKey] = ()
    """Streams that were loaded before, and share a state with those of this read if these have one."""
    own = False
    """A stream gave a state of its own."""
    seconds, bytes = 0.0, 0
    begin: Callable[[Stream], Line] | None = None
    """Begins a stream that the read has found."""

    def __init__(self, lines: Sequence[Line], session: Session, shared: SharedState, observer: Observer) -> None:
        self.lines = {line.key: line for line in lines}
        self.session = session
        self.shared = shared
        self.began = self.stored = shared.bookmark
        self.observer = observer
        self.pending = False
        self._outcomes: list[StreamOutcome] = []
        self._stopped = self._fixed = False
        self._late: Exception | None = None
        self._began = self._committed_at = time.monotonic()
        self._failures = self._landed = 0
        # Nothing that is done for each event may take longer, the more streams there are.
        self._at_once = max(1, len(lines) // COMMITS) if getattr(session, "commits_many", False) else 1
        self._ended: dict[StreamKey, Line] = {}
        """Those that were read completely, and wait to be published."""
        self._replacing = {line.key for line in lines if line.replaces and line.error is None}
        self._uncovered: dict[StreamKey, Line] = {}
        self._full = False
        """Since the last commit some stream has given so much that another is due."""
        self._judged: tuple[int, int, bool] | None = None
        self._runs_ahead = False
        self._looks_until = 0.0
        for line in lines:
            self._count_refused(line)

    def run(self, read: SourceReadable, begins: SourceState) -> Iterator[StreamOutcome]:
        """Read to the end, then settle what is left."""
        yield from self._settled()
        error: Exception | None = None
        self._runs_ahead = getattr(read, "runs_ahead", False)
        fault("opened")
        events: Iterator[Event] = iter(()) if self._hopeless() else read.open(begins)
        try:
            for event in events:
                fault("batch")
                if self._stopped:
                    self._look_at(event)
                else:
                    self._take(event)
                yield from self._settled()
                if self._hopeless() and not self._looks_on():
                    break
        except EtlAssetsError as wrong:
            error = None if self._stopped else wrong
        finally:
            _close(events)
        fault("read")
        told = self._finish(error)
        yield from self._settled()
        error = self._late if told or error is None else error
        if error is not None:
            raise error

    def _count_refused(self, line: Line) -> None:
        """Take note of a stream that could not begin."""
        if line.error is not None:
            self._failures += 1
            self._outcomes.append(StreamOutcome(line.load.stream, line.result, line.error))

    def _settled(self) -> list[StreamOutcome]:
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    @property
    def _live(self) -> list[Line]:
        return [line for line in self.lines.values() if line.error is None]

    @property
    def _open(self) -> list[Line]:
        return [line for line in self._live if not line.landed]

    @property
    def _stuck(self) -> bool:
        """Whether the shared state cannot move any more."""
        return self._fixed or (self.whole and self._failures > 0)

    def _hopeless(self) -> bool:
        """Tell whether nothing of what is still to come could be published."""
        if self.begin is not None:
            return False  # there may be streams to come
        now = (self._failures, self._landed, self._stuck)
        if (self._failures or self._fixed) and now != self._judged:
            self._judged = now
            self._stopped = not self._live or (self._stuck and all(line.appends for line in self._open))
        return self._stopped

    # Events

    def _take(self, event: Event) -> None:
        if isinstance(event, Checkpoint):
            if event.streams is None:
                self._shared_state(event)
            else:
                self._own_states(event.streams, event.state, due=event.due)
            return
        line = self._line(event.stream.key) if self.begin is None else self._found(event.stream, self.begin)
        if line.error is not None:
            self._look_at(event)  # what still comes of a stream that failed
            return
        if isinstance(event, Estimate | Remark):
            _tell(self.observer, line, event)
        elif isinstance(event, StreamEnd):
            self._end(line, event)
        elif line.ended:
            raise ProtocolError(f"stream {line.name!r} was said to be complete, and goes on.", stream=line.name)
        elif isinstance(event, Records):
            self._records(line, event)
        elif isinstance(event, SchemaChange):
            self._revise(line, event.stream)
        else:
            self._truncate(line, event)

    # Wrong fields

    def _looks_on(self) -> bool:
        """Tell whether a read that nothing is published of any more goes on, to tell all wrong fields at once."""
        if not any(line.wrong is not None for line in self.lines.values()):
            return False
        self._looks_until = self._looks_until or time.monotonic() + SECONDS
        return time.monotonic() < self._looks_until

    def _look_at(self, event: Event) -> None:
        """Take what comes of a stream that has failed, or is not going to be published: nothing of it is loaded."""
        if not isinstance(event, Records | StreamEnd):
            return
        line = self.lines.get(event.stream.key)
        if line is None:
            return
        if isinstance(event, StreamEnd):
            self._tell_wrong(line)
        elif line.wrong is not None:
            line.wrong.look_at(event.batch, event.stream)
        elif line.error is None and line.load.contract.evolves:
            try:
                event.batch.to_arrow(event.stream)
            except DataError as error:
                self._fail(line, error)

    def _tell_wrong(self, line: Line) -> None:
        if line.wrong is not None:
            line.error, line.wrong = line.wrong.error, None
            self._outcomes.append(StreamOutcome(line.load.stream, line.result, line.error))

    def _found(self, stream: Stream, begin: Callable[[Stream], Line]) -> Line:
        """Return the line of a stream that the read has found; one that is published begins anew."""
        line = self.lines.get(stream.key)
        if line is not None and not line.landed:
            return line
        line = self.lines[stream.key] = begin(stream)
        self._count_refused(line)
        if line.error is None:
            self.session.revise(line.load)
        return line

    def _line(self, key: StreamKey) -> Line:
        line = self.lines.get(key)
        if line is None:
            name = ".".join(part for part in key if part)
            raise ProtocolError(
                f"the source speaks of a stream {name!r}, which was not asked for.",
                hint=did_you_mean(name, [one.name for one in self.lines.values()]),
                stream=name,
            )
        return line

    def _records(self, line: Line, event: Records) -> None:
        self._revise(line, event.stream)
        line.files += event.files
        if not len(event.batch):
            if event.batch.has_columns_only and self.session.encoding == "arrow":
                self._attempt([line], lambda: self.session.export(event.batch, line.load))
            return
        if not line.result.records_read:
            line.committed_at = time.monotonic()  # its first records: until now there was nothing to commit
        line.result.records_read += len(event.batch)
        line.uncovered += len(event.batch)
        self._uncovered[line.key] = line
        size = self._attempt([line], lambda: _exported(self.session, event.batch, line.load))
        if size is None:
            return
        line.rows += len(event.batch)
        line.bytes += size
        self._full = self._full or self._due(line)
        seconds = time.monotonic() - self._began
        self.observer.progress(line.name, line.result.records_read, line.bytes, seconds, line.state)

    def _revise(self, line: Line, stream: Stream) -> None:
        if stream is not line.load.stream:
            line.load = replace(line.load, stream=stream)
            self.session.revise(line.load)

    def _truncate(self, line: Line, event: Truncate) -> None:
        again = event.generation is not None and event.generation == line.generation
        line.generation = event.generation
        if again or not self.can_replace:
            return
        self.session.discard(line.load.load_id)
        line.rows = 0
        committed = line.result.commits
        if line.replaces or line.named or not (committed or line.start.state or line.load.adopt):
            return  # there is nothing that would have to go
        line.load = replace(
            line.load,
            load_id=new_load_id(),
            strategy=WriteStrategy.REPLACE,
            begins_from=line.load.load_id if committed else line.load.begins_from,
        )
        self._replacing.add(line.key)
        self._judged = None
        self.session.revise(line.load)
        line.result.load_id, line.result.strategy, line.result.records_loaded = line.load.load_id, line.load.strategy, 0

    def _own_states(self, keys: Sequence[StreamKey], state: Bookmark | None, *, due: bool | None) -> None:
        self.own = True
        for key in keys:
            line = self._line(key)
            if line.error is not None:
                continue  # a state after a failure would cover what is nowhere
            line.state, line.pending, line.uncovered = state, True, 0
            is_due = self._due(line) if due is None else due
            if line.landed or (not self.whole and not line.ended and not line.replaces and is_due):
                self._commit([line], complete=line.landed)
        if not self.whole:
            self._land_ended(self._at_once)

    def _shared_state(self, event: Checkpoint) -> None:
        self.whole, self.pending = True, True
        self.shared = replace(self.shared, bookmark=event.state)
        self._fixed = bool(self.others) and not event.separate
        for line in self._uncovered.values():
            line.uncovered = 0
        self._uncovered.clear()
        if self._stuck or self._replacing:
            return
        if len(self._ended) >= self._at_once or self._full or self._is_time:
            self._barrier()

    def _end(self, line: Line, event: StreamEnd) -> None:
        if not event.complete:
            if not self.whole:
                self._keep_covered(line)
            self._fail(line, event.error or _unfinished(line))
            return
        line.ended = True
        self._replacing.discard(line.key)
        if not line.landed:
            self._ended[line.key] = line
        if not self.whole and (self.own or not line.appends):
            self._land_ended(self._at_once)

    @property
    def _is_time(self) -> bool:
        return time.monotonic() - self._committed_at >= self.seconds

    def _due(self, line: Line) -> bool:
        if not line.rows and not line.pending:
            return False
        if line.bytes - line.bytes_at_commit >= self.bytes:
            return True
        return not self.whole and time.monotonic() - line.committed_at >= self.seconds

    # The end

    def _finish(self, error: Exception | None) -> bool:
        """Publish what may be, fail what did not end; tells whether a stream carries the error."""
        if not self.whole:
            for line in self._open:
                self._keep_covered(line)
        elif self.pending and not (self._stuck or self._replacing or any(x.uncovered for x in self._live)):
            self._barrier()
        for line in self.lines.values():
            self._tell_wrong(line)
        unfinished = [line for line in self._open if not line.ended]
        for line in unfinished:
            self._fail(line, error or (self._held(line) if self._stopped else _unfinished(line)))
        if self.whole and not self._stuck:
            self._barrier()
        if self._stuck:
            for line in self._open:
                if line.appends and line.rows:
                    self._fail(line, self._held(line))
        self.own = True  # there is no more to come that could say whose state covers what was appended
        self._land_ended(1)
        return bool(unfinished)

    def _land_ended(self, least: int) -> None:
        """Publish the streams that have ended, once so many of them wait, or it is time."""
        if len(self._ended) < least and not (self._ended and (self._full or self._is_time)):
            return
        # In the order of their keys: two runs that lock tables one after the other do not wait for each other.
        ready = sorted((one for one in self._ended.values() if self.own or not one.appends), key=lambda one: one.key)
        for first in range(0, len(ready), self._at_once):
            group = ready[first : first + self._at_once]
            if len(group) == 1 or not self._land(group, apart=True):
                for line in group:
                    if line.error is None:
                        self._land([line])

    def _keep_covered(self, line: Line) -> None:
        """Commit what a stream's last state covers, if nothing came after it: it will not come again."""
        if line.pending and not line.uncovered and not line.replaces and not line.ended:
            self._commit([line], complete=False)

    def _barrier(self) -> None:
        """Commit all that is waiting, with the shared state that covers it."""
        # Also those that gave nothing yet: a stream without a state row would be a new one to the next read.
        lines = [
            line for line in self._open if line.rows or line.ended or not (line.start.state or line.result.commits)
        ]
        if lines or self.pending:
            self._land(lines, shared=self.shared if self.pending else None)

    def _land(self, lines: Sequence[Line], shared: SharedState | None = None, *, apart: bool = False) -> bool:
        """Commit, and tell whether that was possible; those that have ended are published then."""
        landing = [line for line in lines if line.ended]
        if not self._commit(lines, complete=bool(landing), shared=shared, apart=apart):
            return False
        for line in landing:
            line.landed = True
            self._landed += 1
            self._ended.pop(line.key, None)
            line.result.duration_seconds = time.monotonic() - self._began
            self._outcomes.append(StreamOutcome(line.load.stream, line.result))
        return True

    # The destination

    def _commit(
        self, lines: Sequence[Line], *, complete: bool, shared: SharedState | None = None, apart: bool = False
    ) -> bool:
        bookmarks = {line.load.load_id: line.state for line in lines}
        fault("before_commit")
        commit = self.session.commit
        # A session that knows of no shared state is not asked about one.
        more = {"shared": shared} if shared is not None else {}
        committed = self._attempt(
            lines or self._live, lambda: commit(bookmarks, complete=complete, **more), apart=apart
        )
        if committed is None:
            return False
        fault("after_commit")
        if shared is not None:
            self.stored, self.pending = shared.bookmark, False
            self.shared = replace(self.shared, begins_from=shared.load_id)
        self._committed_at, self._full = time.monotonic(), False
        self._account(lines, committed)
        return True

    def _account(self, lines: Sequence[Line], committed: Sequence[Committed]) -> None:
        by_id = {one.load_id: one for one in committed}
        for line in lines:
            line.settle(self._committed_at)
            line.result.bookmark = self.stored if self.whole else line.state
            if self.whole:
                line.result.shared, line.result.bookmark_previous = True, self.began
            line.result.account(one := by_id[line.load.load_id])
            if not line.ended or line.landed:
                self.observer.checkpoint(replace(one, bookmark=line.result.bookmark, shared=self.whole))

    def _attempt(self, lines: Sequence[Line], work: Callable[[], T], *, apart: bool = False) -> T | None:
        """Do something at the destination; an error is that of the stream it names, else of all that were in it.

        Where each can still be done apart from the others, an error that would not go away by itself is nobody's yet.
        """
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - a custom destination may raise anything; told by its stream
            if apart and not getattr(error, "retryable", False):
                return None
            stream = getattr(error, "stream", None)
            named = [line for line in lines if stream in {line.load.stream.name, line.name}]
            for line in named or lines:
                self._fail(line, error)
            return None

    def _fail(self, line: Line, error: Exception) -> None:
        line.error = error
        line.rows = 0
        self._failures += 1
        self._ended.pop(line.key, None)
        self._replacing.discard(line.key)
        self.session.discard(line.load.load_id)
        line.result.duration_seconds = time.monotonic() - self._began
        if line.landed:
            self._late = error  # its rows are published; only the state that came after them is not stored
        elif isinstance(error, DataError) and error.columns and self._runs_ahead and line.load.contract.evolves:
            line.wrong = WrongFields(error, line.load.stream.name)
        else:
            self._outcomes.append(StreamOutcome(line.load.stream, line.result, error))

    def _held(self, line: Line) -> SourceError:
        others = self.others if self._fixed else [key for key, one in self.lines.items() if one.error is not None]
        return _held(line, sorted(repr(".".join(filter(None, key))) for key in others), failed=not self._fixed)


def _tell(observer: Observer, line: Line, event: Estimate | Remark) -> None:
    if isinstance(event, Estimate):
        observer.expect(line.name, event.rows)
    else:
        line.result.late_rows += event.late_rows
        line.result.remarks.append(event.text)
        observer.remark(line.name, event.text)


def _exported(session: Session, batch: Batch, load: Load) -> int:
    if not load.contract.evolves:
        batch = session.screen(batch, load)
    return session.export(batch, load) if len(batch) else 0


def _held(line: Line, others: Sequence[str], *, failed: bool) -> SourceError:
    why = "which failed" if failed else "not read this time"
    what = (
        "the next run reads it again from the stored state."
        if failed
        else "select all streams of its source, or give it a primary key."
    )
    return SourceError(
        f"stream {line.name!r} was not published: it shares its state with {', '.join(others)}, {why}.",
        hint=f"Nothing of it is lost: {what}",
        stream=line.load.stream.name,
    )


def _unfinished(line: Line) -> SourceError:
    return SourceError(
        f"stream {line.name!r}: the source ended without saying that it was read completely.",
        hint="What its stored state covers is loaded; the next run goes on from there.",
        stream=line.load.stream.name,
    )


def _close(events: Iterator[Event]) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()  # at once: it may hold a process
