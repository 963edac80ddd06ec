"""The one loop: the only place where data moves from a source to a destination.

`resolve_start` decides where a sync begins, `sync` reads from there into a session of the destination and commits. Both
know the source and the destination by their structure alone (`protocol/load.py`), and nothing of an orchestrator.
"""

import logging
import os
import secrets
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from etl_assets.exceptions import ConfigError, DataError, naming_stream
from etl_assets.faults import fault
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.appending import Appending, LateRows
from etl_assets.model.bookmarks.settled import Settled
from etl_assets.model.bookmarks.tracker import FINGERPRINT, BookmarkTracker, plain, without_fingerprint
from etl_assets.model.contract import SchemaContract
from etl_assets.model.load import (
    Committed,
    Encodes,
    Fingerprinted,
    Fitted,
    Load,
    Readable,
    RepeatedKeys,
    Session,
    StreamOfSource,
    SyncResult,
    Target,
    contract_of,
    image_of,
)
from etl_assets.model.stored import Bookmark, TableName
from etl_assets.model.stream import Stream
from etl_assets.model.wrong_fields import look_on
from etl_assets.protocol.airbyte.messages import refuse_nested_key
from etl_assets.secrets.redaction import redact
from etl_assets.start import Start, resolve_start
from etl_assets.strategies import WriteStrategy, resolve_strategy

__all__ = [
    "CHECKPOINT_BYTES",
    "CHECKPOINT_SECONDS",
    "Observer",
    "Start",
    "appending_of",
    "new_load_id",
    "resolve_start",
    "result_of",
    "seconds_between_commits",
    "strategy_of",
    "sync",
]

_logger = logging.getLogger("etl_assets.sync")

CHECKPOINT_SECONDS = 30.0
"""How often a long sync commits; `ETL_ASSETS_CHECKPOINT_SECONDS` in the environment says otherwise."""
CHECKPOINT_BYTES = 256 * 1024 * 1024


class Observer:
    """Sees a sync go on; a subclass overrides what it wants to see."""

    def begin(self, load: Load, start: "Start") -> None:
        """Take note where one of the streams of `sync_source` begins."""

    def progress(self, stream: str, rows: int, bytes_: int, seconds: float, bookmark: Bookmark | None) -> None:
        """Take note after each batch: rows and bytes read so far, seconds since the start. Called often: throttle.

        The bookmark is for people to see: it lacks what tells its boundary rows apart.
        """

    def expect(self, stream: str, rows: int) -> None:
        """Take note that about so many rows are to come, by what the source says."""

    def checkpoint(self, committed: Committed) -> None:
        """Take note of a COMMIT that is not the last one."""

    def remark(self, stream: str, text: str) -> None:
        """Called with what people should know of a stream that was read: a warning for the log.

        Without an observer of one's own it goes to Python's logging.
        """
        _logger.warning("%s: %s", stream, redact(text))


def seconds_between_commits(given: float | None = None) -> float:
    """Return how often a long sync commits: as given, as the environment says, or by default."""
    return given if given is not None else float(os.environ.get("ETL_ASSETS_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS))


def new_load_id() -> str:
    """Return a load id: 26 characters, microseconds since 1970, then chance.

    It is unique and readable, and no more: clocks differ and go back, so the order of loads is that of the ledger.
    """
    return f"{time.time_ns() // 1000:014x}{secrets.token_hex(6)}"


def sync(  # noqa: PLR0913 - options of one verb
    read: Readable,
    destination: Target,
    *,
    start: Start | None = None,
    strategy: WriteStrategy | str = WriteStrategy.AUTO,
    run_id: str = "",
    table: TableName | None = None,
    partition: str = "",
    on_conflict: str = "update",
    adopt: bool = False,
    schema_contract: SchemaContract | str | Mapping[str, Any] | None = None,
    keep_rejected: bool = False,
    late_rows: LateRows | None = None,
    repeated_keys: RepeatedKeys | None = None,
    declared_only: bool = False,
    observer: Observer | None = None,
    checkpoint_seconds: float | None = None,
    checkpoint_bytes: int = CHECKPOINT_BYTES,
) -> SyncResult:
    """Read a stream from its bookmark on and load it; commit the rows together with the bookmark that covers them.

    Args:
        read: What to read.
        destination: Where to.
        start: Where to begin; resolved from the destination by default.
        strategy: How the rows meet the table.
        run_id: Of the orchestrator's run.
        table: The stream's table, where it is not the destination's default.
        partition: The partition that is synced.
        on_conflict: `update` or `ignore`: what a merge does with a key that is there already.
        adopt: Take over a table that this library did not make.
        schema_contract: What may change about the table: `evolve`, `freeze`, `discard_value` or `discard_row`, or a
            mapping of `columns` and `data_type` to these. By default it evolves, or freezes the types where the stream
            says `disable_column_type_check=False`.
        keep_rejected: Keep the records that the contract leaves out, or takes a value from, in `<table>__rejected`.
        late_rows: What becomes of appended rows from before the bookmark: `drop`, `error` or `load`. By default they
            are an error for a stream with a primary key, else dropped, counted and told.
        repeated_keys: Which of several images of a key in this read is merged: the `newest` by the replication key (by
            default), or the `last` to come.
        declared_only: Leave out fields that the stream does not declare.
        observer: Sees progress and checkpoints.
        checkpoint_seconds: Commit at the first checkpoint after so many seconds since the last commit.
        checkpoint_bytes: Or after so many bytes.

    Returns:
        What was done; its counts are those of the destination's ledger.

    Raises:
        EtlAssetsError: Reading or loading failed. What was committed at checkpoints stays; nothing else is visible.
    """
    start = start or resolve_start(read, destination, adopt=adopt, table=table, partition=partition)
    chosen = strategy_of(read, destination, start, WriteStrategy(strategy))
    load = replace(
        load_of(read, start, chosen, run_id=run_id, table=table),
        partition=partition,
        on_conflict=on_conflict,
        adopt=adopt,
        contract=contract_of(schema_contract, read.stream, destination.capabilities, keep_rejected=keep_rejected),
        keep_rejected=keep_rejected,
        declared_only=declared_only,
        image=image_of(read, chosen, WriteStrategy(strategy), repeated_keys),
    )
    with naming_stream(read.stream.name), destination.session([load]) as session:
        appending = appending_of(load, destination, start, WriteStrategy(strategy), late_rows)
        return _Loop(read, load, start, session, observer, appending).run(checkpoint_seconds, checkpoint_bytes)


def load_of(
    read: StreamOfSource, start: Start, strategy: WriteStrategy, *, run_id: str, table: TableName | None
) -> Load:
    """Give a new load of a stream, with nothing particular about it."""
    return Load(
        source=read.source_name,
        stream=read.stream,
        strategy=strategy,
        load_id=new_load_id(),
        run_id=run_id,
        table=table,
        begins_from=start.begins_from,
        bookmark=None if strategy is WriteStrategy.REPLACE else start.bookmark,  # a replace reads the whole stream
    )


def appending_of(
    load: Load, destination: Target, start: Start, wanted: WriteStrategy, late_rows: LateRows | None
) -> Appending | None:
    """Return how the rows of a load are appended, by it or by the next one after a full refresh; None if they merge."""
    keyed, asked = bool(load.stream.primary_key), wanted is WriteStrategy.APPEND
    can_merge = WriteStrategy.MERGE in destination.capabilities.strategies
    if load.strategy is WriteStrategy.MERGE or (keyed and can_merge and not asked):
        return None
    columns = start.state.columns if start.state else ()
    return Appending(
        source=load.source,
        fields_before=frozenset(column.name for column in columns) or None,
        # Where a merge was not to be had, rows that come again were always delivered again.
        late_rows="load" if late_rows is None and keyed and not asked else late_rows,
        merged_before=can_merge,
    )


def refresh_remark(load: Load, start: Start) -> str | None:
    """Return what a full refresh does to a table that is appended to; None where it doubles nothing."""
    if not start.full_refresh or start.state is None or load.strategy is not WriteStrategy.APPEND:
        return None
    place = f"{load.source}/{load.stream.full_name}"
    return (
        "the full refresh appends all rows once more, because append was asked for; what was loaded before stays. To "
        f"have the next sync replace the table instead, run `etl-assets state reset {place}`"
    )


def result_of(load: Load, start: Start) -> SyncResult:
    """Give the result of a sync that begins: nothing was done yet."""
    return SyncResult(
        stream=load.stream.name,
        source=load.source,
        load_id=load.load_id,
        strategy=load.strategy,
        bookmark=load.bookmark,
        bookmark_previous=without_fingerprint(start.state.bookmark) if start.state else _before(start),
        skipped=start.asked.gap if start.asked and start.asked.skips else None,
    )


def _before(start: Start) -> Bookmark | None:
    return start.asked.stored if start.asked and start.asked.stored else start.bookmark


def strategy_of(read: StreamOfSource, destination: Target, start: Start, wanted: WriteStrategy) -> WriteStrategy:
    """Settle how a read meets its table.

    Raises:
        ConfigError: The destination cannot do it, or it would lose or double rows.
    """
    stream = read.stream
    can = destination.capabilities.strategies
    keyed = bool(stream.primary_key or stream.unique_constraints)
    chosen = resolve_strategy(wanted, incremental=stream.method != "FULL_TABLE", keyed=keyed)
    replaces = start.anew or (start.full_refresh and wanted is WriteStrategy.AUTO)  # a strategy that was named rules
    if replaces and WriteStrategy.REPLACE in can:
        chosen = WriteStrategy.REPLACE
    if chosen not in can and (replaces or wanted is WriteStrategy.AUTO):
        # A destination of `export_batch_data` alone takes rows as they come; one that merges need not double them.
        chosen = WriteStrategy.MERGE if keyed and WriteStrategy.MERGE in can else WriteStrategy.APPEND
    if chosen not in can:
        raise ConfigError(
            f"stream {stream.name!r}: the destination cannot {chosen}.",
            hint=f"It can: {', '.join(sorted(can))}.",
            stream=stream.name,
        )
    _refuse_without_key(stream, chosen, wanted)
    if chosen is WriteStrategy.REPLACE and start.given:
        raise ConfigError(
            f"stream {stream.name!r}: a read from a given bookmark cannot replace the table.",
            hint="Leave the bookmark out, or set the write strategy to append or merge.",
            stream=stream.name,
        )
    if chosen is WriteStrategy.APPEND or not keyed:
        _refuse_given(stream, start)
    _refuse_partial(read, chosen, exact=destination.capabilities.keeps_state)
    return chosen


def _refuse_given(stream: Stream, start: Start) -> None:
    """Refuse to append from a given bookmark, if the next run would load these rows again."""
    if start.asked is not None and start.asked.stays:
        stands = "is ahead of the stored one" if start.asked.skips else "cannot be compared with the stored one"
        raise ConfigError(
            f"stream {stream.name!r}: the given bookmark {stands}, and rows are appended: the next run, which goes on "
            "from the stored one, would load this run's rows again.",
            hint="Set keep_bookmark: true in the run config to go on from where this run ends; what lies before the "
            "given bookmark is then skipped for good. Or leave the bookmark out.",
            stream=stream.name,
        )


def _refuse_without_key(stream: Stream, chosen: WriteStrategy, wanted: WriteStrategy) -> None:
    """Refuse a merge without a key, and an append that nobody asked for of what has a key that no table can have."""
    if chosen is WriteStrategy.APPEND and wanted is WriteStrategy.AUTO:
        refuse_nested_key(stream)
    if chosen is WriteStrategy.MERGE and not (stream.primary_key or stream.unique_constraints):
        raise ConfigError(
            f"stream {stream.name!r}: a merge needs a primary key.",
            hint="Declare primary_key on the stream, or use append or replace.",
            stream=stream.name,
        )


def _refuse_partial(read: StreamOfSource, strategy: WriteStrategy, *, exact: bool) -> None:
    """Refuse a cut read where it would delete rows, or load them twice because its bookmark cannot move."""
    if not read.partial:
        return
    if strategy is WriteStrategy.REPLACE:
        raise ConfigError(
            f"stream {read.stream.name!r}: a read cut by `limit` or `query` is not the whole stream, so it cannot "
            "replace the table.",
            hint="Leave the cut out, or set the write strategy to append or merge.",
            stream=read.stream.name,
        )
    if strategy is WriteStrategy.APPEND and exact and not read.ordered:
        raise ConfigError(
            f"stream {read.stream.name!r}: a read cut by `limit` or `query` moves no bookmark here, so the rows it "
            "appends would be loaded again by the next run.",
            hint="Leave the cut out, or give the stream a primary key and merge.",
            stream=read.stream.name,
        )


class _Loop:
    """One read into one session, batch by batch."""

    def __init__(
        self,
        read: Readable,
        load: Load,
        start: Start,
        session: Session,
        observer: Observer | None,
        appending: Appending | None,
    ) -> None:
        self.read = read
        self.load = load
        self._start = start
        self._appending = appending
        self.session = session
        self.observer = observer or Observer()
        self.result = result_of(load, start)
        self._tracker = self._new_tracker()
        self._settled = Settled(load.stream)
        self._given: Bookmark | None = None
        self._fingerprint: str | None = None
        self._began = self._committed_at = time.monotonic()
        self._bytes = self._bytes_at_commit = 0

    def _new_tracker(self) -> BookmarkTracker | None:
        stream = self.load.stream
        if not stream.cursor:
            return None
        return BookmarkTracker(
            stream,
            self.load.bookmark,
            appending=self._appending,
            check_order=self.read.checked_order,
            ordered=self.read.ordered,
            given=self._start.given,
        )

    def run(self, checkpoint_seconds: float | None, checkpoint_bytes: int) -> SyncResult:
        """Read to the end, then commit what is left."""
        doubles = refresh_remark(self.load, self._start)
        if doubles:
            self._remark(doubles)
        seconds = seconds_between_commits(checkpoint_seconds)
        batches = self._readable().open(plain(self.load.bookmark))
        fault("opened")
        try:
            self._read(batches, seconds, checkpoint_bytes)
        except DataError as error:
            if not (error.columns and self.load.contract.evolves and getattr(self.read, "runs_ahead", False)):
                raise
            raise look_on(error, batches, self.load.stream) from error.__cause__
        finally:
            if isinstance(batches, Generator):
                batches.close()  # at once, not when it is collected: it may hold a connection
        fault("read")
        self._commit(complete=True)
        if self._tracker is not None:
            for text, _ in self._tracker.remarks():
                self._remark(text)
        self.result.duration_seconds = time.monotonic() - self._began
        return self.result

    def _read(self, batches: Iterator[Batch], checkpoint_seconds: float, checkpoint_bytes: int) -> None:
        for batch in batches:
            fault("batch")
            if batch.bookmark is not None:
                self._given = batch.bookmark
            self._fingerprint = batch.fingerprint
            if batch.remark:
                self._remark(batch.remark)
            if batch.expected:
                self.observer.expect(self.load.stream.name, batch.expected)
            if len(batch):
                self._take(batch)
            elif batch.has_columns_only and self.session.encoding == "arrow":
                self.session.export(batch, self.load)  # the table has its columns, if nothing else comes
            due = (
                time.monotonic() - self._committed_at >= checkpoint_seconds
                or self._bytes - self._bytes_at_commit >= checkpoint_bytes
            )
            if due and self._at_checkpoint(batch.bookmark):
                self._commit(complete=False)

    def _remark(self, text: str) -> None:
        self.result.remarks.append(text)
        self.observer.remark(self.load.stream.full_name, text)

    def _readable(self) -> Readable:
        """Give the read; where nothing has to look into its rows, they may come as the destination takes them."""
        read = self.read
        format_ = self.session.encoded_as
        if format_ is not None and self.load.contract.evolves and isinstance(read, Encodes):
            read = read.encoded_as(format_)
        table = self.session.table_types(self.load, anew=self._start.begins_anew) if isinstance(read, Fitted) else None
        if table is not None and isinstance(read, Fitted):
            read = read.fitted_to(table)
        # Rows that a contract or a conflict may have left out are to be read again once these say otherwise.
        whole = not self.load.contract.discards and self.load.on_conflict == "update"
        if self._tracker is None or not whole or not isinstance(read, Fingerprinted):
            return read
        # Who gives a bookmark wants the rows from there on, whether or not they were loaded before.
        state = None if self._start.given or self.load.bookmark is None else self._start.state
        return read.fingerprinted((state.bookmark or {}).get(FINGERPRINT) if state else None)

    def _take(self, batch: Batch) -> None:
        if self._appending is not None:
            batch = self._settled.cut(batch)  # what comes again would be there twice
        self.result.records_read += len(batch)
        if not self.load.contract.evolves:
            batch = self.session.screen(batch, self.load)
        elif self.session.encoding == "arrow" and batch.encoded(self.load.stream) is None:
            batch.to_arrow(self.load.stream)  # once, here: the tracker then compares columns, not rows
        if self._tracker is not None:
            batch = self._tracked(batch, self._tracker)
            self.result.late_rows = self._tracker.late
        if len(batch):
            self._bytes += self.session.export(batch, self.load)
        seconds = time.monotonic() - self._began
        self.observer.progress(
            self.load.stream.name, self.result.records_read, self._bytes, seconds, self._bookmark_so_far(shown=True)
        )

    def _tracked(self, batch: Batch, tracker: BookmarkTracker) -> Batch:
        """Follow a batch; returns what is to be loaded of it."""
        if self._appending is not None:
            return tracker.take(batch)
        settled = self._settled.cut(batch)
        taken = tracker.take(settled)
        return taken if settled is batch else batch  # the others are loaded too, and merged when they come again

    def _at_checkpoint(self, given: Bookmark | None) -> bool:
        if self.load.strategy is WriteStrategy.REPLACE:
            return False  # published only when the stream is complete
        if self._tracker is not None and not self._tracker.settled:
            return False  # what is still to come decides which of these rows are loaded already
        asked = self._start.asked
        if asked is not None and not asked.has_passed(self._bookmark_so_far(shown=True), self.load.stream):
            return False  # what it has reached is behind what is stored
        return given is not None or (self._given is None and self._tracker is not None and self.read.ordered)

    def _bookmark_so_far(self, *, shown: bool = False) -> Bookmark | None:
        if self.read.partial and not self.read.ordered:
            return self.load.bookmark  # what the cut left out would be lost behind any other
        if self._given is not None:
            return self._given if shown or self._tracker is None else self._tracker.with_boundary(self._given)
        if self._tracker is None:
            return self.load.bookmark
        return self._tracker.position() if shown else self._tracker.bookmark()

    def _commit(self, *, complete: bool) -> None:
        reached = bookmark = self._bookmark_so_far()
        if self._start.asked is not None:
            bookmark = self._start.asked.to_store(reached, self.load.stream, partial=self.read.partial)
        stored, bookmark = bookmark, without_fingerprint(bookmark)
        fresh = bookmark is reached or bookmark == reached
        if complete and bookmark and self._fingerprint and self._given is None and not self._settled.passed and fresh:
            stored = {**bookmark, FINGERPRINT: self._fingerprint}
        fault("before_commit")
        committed = self.session.commit({self.load.load_id: stored}, complete=complete)
        fault("after_commit")
        self._committed_at = time.monotonic()
        self._bytes_at_commit = self._bytes
        self._account(committed, bookmark)
        if not complete:
            for one in committed:
                self.observer.checkpoint(one)

    def _account(self, committed: Sequence[Committed], bookmark: Bookmark | None) -> None:
        result = self.result
        result.bookmark = bookmark
        for one in committed:
            result.account(one)
