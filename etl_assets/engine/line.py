"""One stream on its way: where it began, how far it is read, what is committed, how it ended."""

import time
from contextlib import suppress
from dataclasses import dataclass, field

from etl_assets.engine.checkpoints import Checkpoints
from etl_assets.engine.observer import Observer
from etl_assets.engine.reached import Reached
from etl_assets.engine.shared import SharedProgress
from etl_assets.engine.start import Start, StreamPlan
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.appending import Appending
from etl_assets.model.bookmarks.tracker import FINGERPRINT, without_fingerprint
from etl_assets.model.events import Removable, StreamKey
from etl_assets.model.load import Committed, Load, Session, StreamOfSource, SyncResult, Target
from etl_assets.model.partitions import Partitions
from etl_assets.model.request import ReadRequest
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.wrong_fields import WrongFields
from etl_assets.strategies import WriteStrategy


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
        result: What was done so far.
        called: As progress calls it.
        appending: How its rows are appended; None where they are merged.
        error: Why it failed.
        wrong: The wrong fields by which it failed, while more of them may come.
        reached: How far its batches say it is read; None where checkpoints say it.
        state: Its own last state, to be stored by its next commit.
        pending: That state is not stored yet.
        rows: Exported and not committed.
        uncovered: Records after the last state that covers the stream.
        read_from: When its read began, by the monotonic clock; None before its first record.
        ended: It was read completely.
        landed: And is published.
        generation: See `Truncate`.
        files: Of no use when its rows are committed.
        named: Its write strategy was named by the caller, and so rules a source that begins the
            table anew.
    """

    load: Load
    start: Start
    result: SyncResult
    called: str
    appending: Appending | None = None
    error: Exception | None = None
    wrong: WrongFields | None = None
    reached: Reached | None = None
    state: Bookmark | None = None
    pending: bool = False
    rows: int = 0
    uncovered: int = 0
    read_from: float | None = None
    ended: bool = False
    landed: bool = False
    generation: int | None = None
    files: list[Removable] = field(default_factory=list)
    bytes: int = 0
    bytes_at_commit: int = 0
    committed_at: float = field(default_factory=time.monotonic)
    named: bool = False

    def __post_init__(self) -> None:
        # Asked for with each batch, and the same whatever becomes of the stream's schema.
        self.key: StreamKey = self.load.stream.key
        """What tells the stream from the others."""

    @property
    def name(self) -> str:
        """The stream's name for people."""
        return self.load.stream.full_name

    @property
    def replaces(self) -> bool:
        """Whether its rows replace others, so that nothing is published before its end."""
        return self.load.is_whole

    @property
    def waits_for_end(self) -> bool:
        """Whether nothing of it is published before its end."""
        return self.load.waits_for_end

    @property
    def appends(self) -> bool:
        """Whether its rows would be doubled if they came again."""
        return self.load.strategy is WriteStrategy.APPEND and not self.load.is_whole

    @property
    def has_state_row(self) -> bool:
        """Whether the destination knows it: without that, it would be new to the next read."""
        return self.start.state is not None or self.result.commits > 0

    @property
    def is_covered(self) -> bool:
        """Whether there is a state to commit that covers all that has come of it."""
        return self.pending and not self.uncovered

    def is_wanted(self) -> bool:
        """Return whether records of it are still taken, if only to see which fields are wrong."""
        return self.error is None or self.wrong is not None

    def outcome(self) -> StreamOutcome:
        """Return how its sync has ended."""
        return StreamOutcome(self.load.stream, self.result, self.error)

    def remark(self, text: str, observer: Observer) -> None:
        """Tell what people should know of it."""
        self.result.remarks.append(text)
        observer.remark(self.name, text)

    def tell_remarks(self, observer: Observer) -> None:
        """Tell what people should know of what its batches have said."""
        if self.reached is not None:
            for text in self.reached.remarks():
                self.remark(text, observer)

    # How far it is read

    def follow(self, read: StreamOfSource) -> None:
        """Have the stream's batches say how far it is read."""
        self.reached = Reached(
            read,
            self.load.bookmark,
            appending=self.appending,
            given=self.start.given,
            asked=self.start.asked,
        )

    def arrived(self, batch: Batch) -> Batch:
        """Count a batch; return the part of it that this read is to load."""
        if self.reached is not None:
            batch = self.reached.note(batch)
        if not len(batch):
            return batch
        if not self.result.records_read:
            # Its first records: until now there was nothing to commit.
            self.committed_at = time.monotonic()
        self.result.records_read += len(batch)
        self.uncovered += len(batch)
        return batch

    def export(self, batch: Batch, session: Session) -> int:
        """Give the session those rows of a batch that are to be loaded.

        Returns:
            Their size in bytes.
        """
        if self.load.partitions is not None:
            batch = self._inside(batch, self.load.partitions)
        follows_columns = self.reached is not None and session.encoding == "arrow"
        if not self.load.contract.evolves:
            batch = session.screen(batch, self.load)
        elif follows_columns and batch.encoded(self.load.stream) is None:
            # Once, here: the keys are then compared in columns, not in rows.
            batch.to_arrow(self.load.stream)
        if self.reached is not None:
            batch = self.reached.take(batch)
            self.result.late_rows = self.reached.late_rows
        return session.export(batch, self.load) if len(batch) else 0

    def _inside(self, batch: Batch, partitions: Partitions) -> Batch:
        """Return a batch without the rows that are in none of the load's partitions."""
        stream = self.load.stream
        mask = partitions.inside(batch.to_arrow(stream), stream.name)
        if mask is None:
            return batch
        inside = batch.keep(mask.to_pylist())
        self.result.outside += len(batch) - len(inside)
        return inside

    def note_covered(self, batch: Batch) -> None:
        """Mark the stream as covered if its batches say so of all rows up to this one's last."""
        if self.reached is not None and self.reached.covers(batch):
            self.pending, self.uncovered = True, 0

    def shown_bookmark(self) -> Bookmark | None:
        """Return how far the stream is read, for people to see."""
        return self.reached.shown() if self.reached is not None else self.state

    def to_store(self) -> Bookmark | None:
        """Return the state that the next commit stores: it covers all that was exported.

        Raises:
            BookmarkError: No bookmark can be made of what was read.
        """
        if self.load.partitions is not None:
            self.state = self._largest_of(self.load.partitions)
            return self.state
        if self.reached is None:
            return self.state
        stored = self.reached.stored(complete=self.ended)
        self.state = without_fingerprint(stored)  # what tells the next read alone is nobody else's
        return stored

    def _largest_of(self, partitions: Partitions) -> Bookmark | None:
        """Return the largest replication key of partitions, from which a later sync may go on.

        None where it could not: partitions by another field, such as a tenant, do not tell how far
        the stream is read; and a state of the source's own covers what was left out, too.
        """
        is_by_key = set(self.load.stream.cursor) <= set(partitions.fields)
        if self.reached is None or not is_by_key:
            return None
        return self.reached.largest_key()

    def is_due(self, checkpoints: Checkpoints, *, by_time: bool) -> bool:
        """Return whether there is so much to commit, or for so long, that a commit is due."""
        if not self.rows and not self.pending:
            return False
        if self.bytes - self.bytes_at_commit >= checkpoints.bytes:
            return True
        return by_time and time.monotonic() - self.committed_at >= checkpoints.seconds

    def account(self, committed: Committed, shared: SharedProgress, *, at: float) -> None:
        """Record a COMMIT of everything that was exported."""
        result = self.result
        result.bookmark = self.state
        if shared.exists:
            result.bookmark = shared.stored
            result.shared, result.bookmark_previous = True, shared.before
        result.account(committed)
        self.rows, self.pending, self.bytes_at_commit, self.committed_at = 0, False, self.bytes, at
        while self.files:
            with suppress(OSError):  # what is committed stays so; a file more is no error
                self.files.pop().unlink()


def line_of(
    load: Load,
    start: Start,
    plan: StreamPlan,
    destination: Target,
    *,
    called: str | None = None,
    error: Exception | None = None,
) -> Line:
    """Return the line of a stream that is about to be read.

    Args:
        load: What is going to be done with it.
        start: Where it begins.
        plan: How it is to be loaded.
        destination: Where to.
        called: As progress calls it; by its full name by default.
        error: What is wrong with it already.
    """
    result = SyncResult(
        stream=load.stream.name,
        source=load.source,
        load_id=load.load_id,
        strategy=load.strategy,
        bookmark=load.bookmark,
        bookmark_previous=_bookmark_before(start),
        skipped=start.asked.gap if start.asked and start.asked.skips else None,
    )
    return Line(
        load,
        start,
        result,
        called or load.stream.full_name,
        appending=appending_of(load, destination, start, plan),
        error=error,
        state=load.bookmark,
        named=plan.wanted is not WriteStrategy.AUTO and not plan.by_default,
    )


def _bookmark_before(start: Start) -> Bookmark | None:
    if start.state is not None:
        return without_fingerprint(start.state.bookmark)
    if start.asked is not None and start.asked.stored:
        return start.asked.stored
    return start.bookmark


def appending_of(
    load: Load, destination: Target, start: Start, plan: StreamPlan
) -> Appending | None:
    """Return how the rows of a load are appended, by it or by the next one after a full refresh.

    None if they merge.
    """
    if load.partitions is not None:
        return None
    can_merge = WriteStrategy.MERGE in destination.capabilities.strategies
    would_merge = bool(load.stream.primary_key) and plan.wanted is not WriteStrategy.APPEND
    if load.strategy is WriteStrategy.MERGE or (would_merge and can_merge):
        return None
    late_rows = plan.late_rows
    if late_rows is None and would_merge:
        late_rows = "load"  # no merge is to be had: rows that come again are delivered again
    columns = start.state.columns if start.state else ()
    return Appending(
        source=load.source,
        fields_before=frozenset(column.name for column in columns) or None,
        late_rows=late_rows,
        merged_before=can_merge,
    )


def request_of(line: Line, session: Session) -> ReadRequest:
    """Return what the stream's read is asked for beside its bookmark."""
    load = line.load
    return ReadRequest(
        # Where nothing has to look into its rows, they may come as the destination takes them.
        encoded_as=session.encoded_as if _stays_encoded(load) else None,
        known_fingerprint=_known_fingerprint(line),
        table=session.table_types(load, anew=line.start.begins_anew),
        partitions=load.partitions,
        is_wanted=line.is_wanted,
    )


def _stays_encoded(load: Load) -> bool:
    return load.contract.evolves and load.partitions is None


def _known_fingerprint(line: Line) -> str | None:
    """Return the fingerprint that the last read has stored.

    "" where there is none; None where none is wanted.
    """
    load = line.load
    if load.partitions is not None:
        return None
    # Rows that a contract or a conflict may have left out are to be read again once these say
    # otherwise.
    is_whole = not load.contract.discards and load.on_conflict == "update"
    if not load.stream.cursor or not is_whole:
        return None
    # Who gives a bookmark wants the rows from there on, whether or not they were loaded before.
    state = line.start.state
    if state is None or load.bookmark is None or line.start.given:
        return ""
    return (state.bookmark or {}).get(FINGERPRINT) or ""


def refresh_remark(load: Load, start: Start) -> str | None:
    """Return what a full refresh does to a table that is appended to.

    None where it doubles nothing.
    """
    appends = load.strategy is WriteStrategy.APPEND
    is_first = start.state is None
    if is_first or not (appends and start.full_refresh):
        return None
    place = f"{load.source}/{load.stream.full_name}"
    return (
        "the full refresh appends all rows once more, because append was asked for; what was "
        "loaded before stays. To have the next sync replace the table instead, run "
        f"`etl-assets state reset {place}`"
    )
