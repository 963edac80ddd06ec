"""The one loop: the events of a read in, rows into a session.

It is the only place where data moves.

`sync` and `sync_source` settle what is read and where from. A single stream is a read of one line,
whose batches say how far it is; many streams may share a process, a connection and a state. When
they are committed, and which of them wait for which, is for `publishing.py` to say.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from etl_assets.engine.line import Line, StreamOutcome, refresh_remark
from etl_assets.engine.observer import Observer
from etl_assets.engine.publishing import Publishing
from etl_assets.engine.start import new_load_id
from etl_assets.exceptions import DataError, EtlAssetsError, ProtocolError, did_you_mean
from etl_assets.faults import fault
from etl_assets.model.batch import Batch
from etl_assets.model.events import (
    Checkpoint,
    Estimate,
    Event,
    Follow,
    Records,
    Remark,
    SchemaChange,
    StreamEnd,
    StreamKey,
    Truncate,
)
from etl_assets.model.load import Session
from etl_assets.model.stream import Stream
from etl_assets.model.wrong_fields import SECONDS
from etl_assets.strategies import WriteStrategy


class Loop:
    """One read into one session, event by event.

    Args:
        publishing: The streams, and what of them is committed when.
        session: Where they go.
        observer: Sees the read go on.
        can_replace: The destination lets a source begin a table anew.
        begin: Begins a stream that the read has found; None where any that was not asked for is an
            error.
    """

    def __init__(
        self,
        publishing: Publishing,
        session: Session,
        observer: Observer,
        *,
        can_replace: bool = False,
        begin: Callable[[Stream], Line] | None = None,
    ) -> None:
        self._publishing = publishing
        self._lines = publishing.lines
        self._session = session
        self._observer = observer
        self._can_replace = can_replace
        self._begin = begin
        self._began = time.monotonic()
        self._looks_until = 0.0

    def run(self, open_read: Callable[[], Iterator[Event]]) -> Iterator[StreamOutcome]:
        """Read to the end, then settle what is left.

        Yields what became of each stream as it is settled.
        """
        publishing = self._publishing
        for line in publishing.live:
            self._tell_refresh(line)
        yield from publishing.outcomes()
        error: Exception | None = None
        fault("opened")
        events: Iterator[Event] = iter(()) if publishing.is_hopeless() else open_read()
        try:
            for event in events:
                if publishing.is_hopeless():
                    self._look_at(event)
                else:
                    self._take(event)
                yield from publishing.outcomes()
                if publishing.is_hopeless() and not self._looks_on():
                    break
        except EtlAssetsError as wrong:
            error = None if publishing.is_hopeless() else wrong
        finally:
            _close(events)
        fault("read")
        is_told = publishing.finish(error)
        yield from publishing.outcomes()
        left = publishing.late if is_told or error is None else error
        if left is not None:
            raise left

    # Events

    def _take(self, event: Event) -> None:
        if isinstance(event, Checkpoint):
            if event.streams is None:
                self._publishing.shared_state(event)
            else:
                self._publishing.own_states(
                    [self._line(key) for key in event.streams], event.state, due=event.due
                )
            return
        if self._begin is None:
            line = self._line(event.stream.key)
        else:
            line = self._found(event.stream, self._begin)
        if line.error is not None:
            self._look_at(event)  # what still comes of a stream that failed
        elif isinstance(event, Estimate | Remark):
            self._tell(line, event)
        elif isinstance(event, StreamEnd):
            if event.complete:
                self._publishing.end(line)
            else:
                self._publishing.break_off(line, event.error)
        elif line.ended:
            raise ProtocolError(
                f"stream {line.name!r} was said to be complete, and goes on.", stream=line.name
            )
        else:
            self._go_on(line, event)

    def _tell(self, line: Line, event: Estimate | Remark) -> None:
        if isinstance(event, Estimate):
            self._observer.expect(line.called, event.rows)
        else:
            line.result.late_rows += event.late_rows
            line.remark(event.text, self._observer)

    def _go_on(self, line: Line, event: Follow | Records | SchemaChange | Truncate) -> None:
        if isinstance(event, Records):
            fault("batch")
            self._records(line, event)
        elif isinstance(event, Follow):
            self._publishing.follow(line, event.read)
        elif isinstance(event, SchemaChange):
            self._revise(line, event.stream)
        else:
            self._truncate(line, event)

    def _tell_refresh(self, line: Line) -> None:
        doubles = refresh_remark(line.load, line.start)
        if doubles:
            line.remark(doubles, self._observer)

    def _found(self, stream: Stream, begin: Callable[[Stream], Line]) -> Line:
        """Return the line of a stream that the read has found.

        One that is published begins anew.
        """
        line = self._lines.get(stream.key)
        if line is not None and not line.landed:
            return line
        line = begin(stream)
        self._publishing.add(line)
        if line.error is None:
            self._tell_refresh(line)
        return line

    def _line(self, key: StreamKey) -> Line:
        line = self._lines.get(key)
        if line is None:
            name = ".".join(part for part in key if part)
            raise ProtocolError(
                f"the source speaks of a stream {name!r}, which was not asked for.",
                hint=did_you_mean(name, [one.name for one in self._lines.values()]),
                stream=name,
            )
        return line

    def _records(self, line: Line, event: Records) -> None:
        self._revise(line, event.stream)
        line.files += event.files
        self._publishing.arrived(line)
        batch = line.arrived(event.batch)
        if len(batch):
            self._export(line, batch)
        elif event.batch.has_columns_only and self._session.encoding == "arrow":
            # The table has its columns, if nothing else comes.
            self._publishing.attempt([line], lambda: self._session.export(event.batch, line.load))
        if line.reached is not None and line.error is None:
            line.note_covered(event.batch)
            self._publishing.followed(line)

    def _export(self, line: Line, batch: Batch) -> None:
        size = self._publishing.attempt([line], lambda: line.export(batch, self._session))
        if size is None:
            return
        self._publishing.exported(line, len(batch), size)
        seconds = time.monotonic() - self._began
        self._observer.progress(
            line.called, line.result.records_read, line.bytes, seconds, line.shown_bookmark()
        )

    def _revise(self, line: Line, stream: Stream) -> None:
        if stream is not line.load.stream:
            line.load = replace(line.load, stream=stream)
            self._session.revise(line.load)

    def _truncate(self, line: Line, event: Truncate) -> None:
        again = event.generation is not None and event.generation == line.generation
        line.generation = event.generation
        if again or not self._can_replace:
            return
        self._session.discard(line.load.load_id)
        line.rows = 0
        committed = line.result.commits
        has_rows = line.has_state_row or line.load.adopt
        if line.replaces or line.named or not has_rows:
            return  # there is nothing that would have to go
        line.load = replace(
            line.load,
            load_id=new_load_id(),
            strategy=WriteStrategy.REPLACE,
            begins_from=line.load.load_id if committed else line.load.begins_from,
        )
        self._publishing.begins_anew(line)
        self._session.revise(line.load)
        line.result.load_id = line.load.load_id
        line.result.strategy = line.load.strategy
        line.result.records_loaded = 0

    # Wrong fields

    def _looks_on(self) -> bool:
        """Return whether a hopeless read goes on, so that all wrong fields are told at once."""
        if not any(line.wrong is not None for line in self._lines.values()):
            return False
        self._looks_until = self._looks_until or time.monotonic() + SECONDS
        return time.monotonic() < self._looks_until

    def _look_at(self, event: Event) -> None:
        """Take what comes of a stream that is not to be published: nothing of it is loaded."""
        if not isinstance(event, Records | StreamEnd):
            return
        line = self._lines.get(event.stream.key)
        if line is None:
            return
        if isinstance(event, StreamEnd):
            self._publishing.tell_wrong(line)
        elif line.wrong is not None:
            line.wrong.look_at(event.batch, event.stream)
        elif line.error is None and line.load.contract.evolves:
            try:
                event.batch.to_arrow(event.stream)
            except DataError as error:
                self._publishing.fail(line, error)


def _close(events: Iterator[Event]) -> None:
    close = getattr(events, "close", None)
    if close is not None:
        close()  # at once: it may hold a process
