"""The one loop: the only place where data moves from a source to a destination.

`resolve_start` decides where a sync begins, `sync` reads from there into a session of the destination and commits. Both
know the source and the destination by their structure alone (`protocol/load.py`), and nothing of an orchestrator.
"""

import os
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from etl_assets.exceptions import ConfigError, DestinationError, StateError, naming_stream
from etl_assets.faults import fault
from etl_assets.protocol.batch import Batch
from etl_assets.protocol.bookmarks import FINGERPRINT, BookmarkTracker, plain, without_fingerprint
from etl_assets.protocol.contract import SchemaContract
from etl_assets.protocol.load import (
    Bookmark,
    Committed,
    Encodes,
    Fingerprinted,
    Load,
    Readable,
    Session,
    Stored,
    StreamOfSource,
    StreamState,
    SyncResult,
    TableName,
    Target,
    contract_of,
)
from etl_assets.strategies import WriteStrategy, resolve_strategy

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


@dataclass(frozen=True)
class Start:
    """Where a sync begins, and why.

    Args:
        bookmark: Read from here; None from the very beginning.
        begins_from: The load id of the state row this read begins from; the commit checks that it is still there.
        full_refresh: Replace the table whatever the write strategy.
        given: The bookmark is the caller's.
        reason: A sentence for the log.
        state: The state row, if there is one.
    """

    bookmark: Bookmark | None = None
    begins_from: str | None = None
    full_refresh: bool = False
    given: bool = False
    reason: str = "nothing was synced before"
    state: StreamState | None = None


def seconds_between_commits() -> float:
    """Give how often a long sync commits, as the environment says or by default."""
    return float(os.environ.get("ETL_ASSETS_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS))


def new_load_id() -> str:
    """Give a load id: 26 characters, later ones sort later (microseconds since 1970, then chance)."""
    return f"{time.time_ns() // 1000:014x}{secrets.token_hex(6)}"


def resolve_start(  # noqa: PLR0913 - each is one of the things that can rule
    read: StreamOfSource,
    destination: Target,
    *,
    full_refresh: bool = False,
    bookmark: Bookmark | None = None,
    fallback: Callable[[], Bookmark | None] | None = None,
    on_table_changed: Literal["error", "full_refresh"] = "error",
    adopt: bool = False,
    table: TableName | None = None,
    partition: str = "",
    stored: Stored | None = None,
) -> Start:
    """Decide where a sync begins: the caller's word, else the destination's state row, else the fallback.

    Args:
        read: What is going to be read.
        destination: Where to.
        full_refresh: Begin anew and replace the table.
        bookmark: Begin here instead of where the stored bookmark says.
        fallback: Asked where the destination keeps no state (the newest event of a run).
        on_table_changed: What to do when someone else emptied or dropped the table since the last load.
        adopt: Take over a table that this library did not make.
        table: The stream's table, where it is not the destination's default.
        partition: The partition that is synced.
        stored: What the destination knows of the stream, where the caller has asked already.

    Raises:
        DestinationError: The table is somebody else's.
        StateError: The table is not as its ledger says, and `on_table_changed` is `error`.
    """
    fault("begin")
    if stored is None:
        with naming_stream(read.stream.name):
            stored = destination.stored(read.source_name, read.stream, table=table, partition=partition)
    if stored.foreign and not adopt:
        raise _foreign(read, stored.foreign)
    state = stored.state
    begins_from = state.load_id if state else None
    if full_refresh:
        return Start(None, begins_from, full_refresh=True, reason="a full refresh was asked for", state=state)
    if stored.problem:
        if on_table_changed == "full_refresh":
            return Start(None, begins_from, full_refresh=True, reason=stored.problem, state=state)
        raise StateError(
            f"stream {read.stream.name!r}: {stored.problem}.",
            hint="Someone else changed it. Load it anew with `full_refresh`, or always, with "
            'on_table_changed="full_refresh".',
            stream=read.stream.name,
        )
    if bookmark is not None:
        return Start(bookmark, begins_from, given=True, reason="the bookmark was given", state=state)
    if state:
        reached = without_fingerprint(state.bookmark)
        return Start(reached, begins_from, reason="the destination's state row", state=state)
    if stored.reset:
        return Start(full_refresh=True, reason="the stored state was reset")
    # A destination that keeps state and has none for this stream is new to it, whatever events say.
    found = fallback() if fallback and not destination.capabilities.keeps_state else None
    return Start(found, None, reason="the newest event of a run") if found is not None else Start()


def _foreign(read: StreamOfSource, why: str) -> DestinationError:
    return DestinationError(
        f"stream {read.stream.name!r}: {why}.",
        hint="Choose another table, or take this one over with adopt=True.",
        stream=read.stream.name,
    )


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
    load = Load(
        source=read.source_name,
        stream=read.stream,
        strategy=chosen,
        load_id=new_load_id(),
        run_id=run_id,
        table=table,
        partition=partition,
        begins_from=start.begins_from,
        # A replace reads the whole stream: part of it would take the place of the table.
        bookmark=None if chosen is WriteStrategy.REPLACE else start.bookmark,
        on_conflict=on_conflict,
        adopt=adopt,
        contract=contract_of(schema_contract, read.stream, destination.capabilities, keep_rejected=keep_rejected),
        keep_rejected=keep_rejected,
    )
    with naming_stream(read.stream.name), destination.session([load]) as session:
        seconds = seconds_between_commits() if checkpoint_seconds is None else checkpoint_seconds
        appends = not read.stream.primary_key or WriteStrategy(strategy) is WriteStrategy.APPEND
        loop = _Loop(read, load, start, session, observer or Observer(), appends=appends)
        return loop.run(seconds, checkpoint_bytes)


def result_of(load: Load, start: Start) -> SyncResult:
    """Give the result of a sync that begins: nothing was done yet."""
    return SyncResult(
        stream=load.stream.name,
        source=load.source,
        load_id=load.load_id,
        strategy=load.strategy,
        bookmark=load.bookmark,
        bookmark_previous=without_fingerprint(start.state.bookmark) if start.state else start.bookmark,
    )


def strategy_of(read: StreamOfSource, destination: Target, start: Start, wanted: WriteStrategy) -> WriteStrategy:
    """Settle how a read meets its table.

    Raises:
        ConfigError: The destination cannot do it, or it would lose or double rows.
    """
    stream = read.stream
    can = destination.capabilities.strategies
    keyed = bool(stream.primary_key or stream.unique_constraints)
    chosen = resolve_strategy(wanted, incremental=stream.method != "FULL_TABLE", keyed=keyed)
    if start.full_refresh and WriteStrategy.REPLACE in can:
        chosen = WriteStrategy.REPLACE
    if chosen not in can and (wanted is WriteStrategy.AUTO or start.full_refresh):
        # A destination of `export_batch_data` alone takes rows as they come; one that merges need not double them.
        chosen = WriteStrategy.MERGE if keyed and WriteStrategy.MERGE in can else WriteStrategy.APPEND
    if chosen not in can:
        raise ConfigError(
            f"stream {stream.name!r}: the destination cannot {chosen}.",
            hint=f"It can: {', '.join(sorted(can))}.",
            stream=stream.name,
        )
    if chosen is WriteStrategy.MERGE and not keyed:
        raise ConfigError(
            f"stream {stream.name!r}: a merge needs a primary key.",
            hint="Declare primary_key on the stream, or use append or replace.",
            stream=stream.name,
        )
    if chosen is WriteStrategy.REPLACE and start.given:
        raise ConfigError(
            f"stream {stream.name!r}: a read from a given bookmark cannot replace the table.",
            hint="Leave the bookmark out, or set the write strategy to append or merge.",
            stream=stream.name,
        )
    _refuse_partial(read, chosen, exact=destination.capabilities.keeps_state)
    return chosen


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
        self, read: Readable, load: Load, start: Start, session: Session, observer: Observer, *, appends: bool
    ) -> None:
        self.read = read
        self.load = load
        self._start = start
        self._appends = appends  # this load, or the next one after a full refresh
        self.session = session
        self.observer = observer
        self.result = result_of(load, start)
        self._tracker = self._new_tracker()
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
            boundary=self._appends and self.load.strategy is not WriteStrategy.MERGE,
            check_order=self.read.checked_order,
            ordered=self.read.ordered,
            given=self._start.given,
        )

    def run(self, checkpoint_seconds: float, checkpoint_bytes: int) -> SyncResult:
        """Read to the end, then commit what is left."""
        batches = self._readable().open(plain(self.load.bookmark))
        fault("opened")
        try:
            self._read(batches, checkpoint_seconds, checkpoint_bytes)
        finally:
            if isinstance(batches, Generator):
                batches.close()  # at once, not when it is collected: it may hold a connection
        fault("read")
        self._commit(complete=True)
        self.result.duration_seconds = time.monotonic() - self._began
        return self.result

    def _read(self, batches: Iterator[Batch], checkpoint_seconds: float, checkpoint_bytes: int) -> None:
        for batch in batches:
            fault("batch")
            if batch.bookmark is not None:
                self._given = batch.bookmark
            self._fingerprint = batch.fingerprint
            if batch.expected:
                self.observer.expect(self.load.stream.name, batch.expected)
            if len(batch):
                self._take(batch)
            due = (
                time.monotonic() - self._committed_at >= checkpoint_seconds
                or self._bytes - self._bytes_at_commit >= checkpoint_bytes
            )
            if due and self._at_checkpoint(batch.bookmark):
                self._commit(complete=False)

    def _readable(self) -> Readable:
        """Give the read; where nothing has to look into its rows, they may come as the destination takes them."""
        read = self.read
        format_ = self.session.encoded_as
        if format_ is not None and self.load.contract.evolves and isinstance(read, Encodes):
            read = read.encoded_as(format_)
        # Rows that a contract or a conflict may have left out are to be read again once these say otherwise.
        whole = not self.load.contract.discards and self.load.on_conflict == "update"
        if self._tracker is None or not whole or not isinstance(read, Fingerprinted):
            return read
        # Who gives a bookmark wants the rows from there on, whether or not they were loaded before.
        state = None if self._start.given or self.load.bookmark is None else self._start.state
        return read.fingerprinted((state.bookmark or {}).get(FINGERPRINT) if state else None)

    def _take(self, batch: Batch) -> None:
        self.result.records_read += len(batch)
        if not self.load.contract.evolves:
            batch = self.session.screen(batch, self.load)
        elif self.session.encoding == "arrow" and batch.encoded(self.load.stream) is None:
            batch.to_arrow(self.load.stream)  # once, here: the tracker then compares columns, not rows
        if self._tracker is not None:
            batch = self._tracker.take(batch)
        if len(batch):
            self._bytes += self.session.export(batch, self.load)
        seconds = time.monotonic() - self._began
        self.observer.progress(
            self.load.stream.name, self.result.records_read, self._bytes, seconds, self._bookmark_so_far(shown=True)
        )

    def _at_checkpoint(self, given: Bookmark | None) -> bool:
        if self.load.strategy is WriteStrategy.REPLACE:
            return False  # published only when the stream is complete
        return given is not None or (self._given is None and self._tracker is not None and self.read.ordered)

    def _bookmark_so_far(self, *, shown: bool = False) -> Bookmark | None:
        if self.read.partial and not self.read.ordered:
            return self.load.bookmark  # what the cut left out would be lost behind any other
        if self._given is not None:
            return self._given
        if self._tracker is None:
            return self.load.bookmark
        return self._tracker.position() if shown else self._tracker.bookmark()

    def _commit(self, *, complete: bool) -> None:
        bookmark = self._bookmark_so_far()
        stored = bookmark
        if complete and bookmark and self._fingerprint and self._given is None:
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
