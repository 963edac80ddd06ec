"""Where a sync begins, and how its rows meet their table.

Where it begins: the caller's word, else the destination's state row, else what an orchestrator
knows (`resolve_start`). How its rows meet the table is settled from there (`strategy_of`), and
becomes the `Load` that a session is opened with (`plan_load`). Both verbs, the steps of a split and
a target on standard input begin here.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from etl_assets.exceptions import (
    ConfigError,
    DestinationError,
    StateError,
    UnsupportedWriteError,
    naming_stream,
)
from etl_assets.faults import fault
from etl_assets.model.bookmarks.given import GivenBookmark, given_bookmark
from etl_assets.model.bookmarks.tracker import without_fingerprint
from etl_assets.model.load import (
    Load,
    PartitionedTarget,
    RepeatedKeys,
    StreamOfSource,
    Target,
    contract_of,
    image_of,
    refuse_unchecked,
)
from etl_assets.strategies import WriteStrategy, resolve_strategy

if TYPE_CHECKING:
    from etl_assets.model.bookmarks.appending import LateRows
    from etl_assets.model.checks import LoadCheck
    from etl_assets.model.contract import SchemaContract
    from etl_assets.model.partitions import Partitions
    from etl_assets.model.stored import Bookmark, Stored, StreamState, TableName
    from etl_assets.model.stream import Stream


@dataclass(frozen=True)
class Start:
    """Where a sync begins, and why.

    Args:
        bookmark: Read from here; None from the very beginning.
        begins_from: The load id of the state row this read begins from; the commit checks that it
            is still there.
        full_refresh: Read everything. `auto` then replaces the table; one that was named rules all
            the same.
        anew: The table, or its state, is not what the last load has left (somebody changed or
            emptied it, the state was reset): it is replaced whatever the write strategy, as an
            append would double what is left of it.
        given: The bookmark is the caller's.
        asked: And this is what the caller asks for, held against what is stored; None where it is
            not known.
        reason: A sentence for the log.
        state: The state row, if there is one.
        fences: The load ids of the state rows of the partitions that are loaded, by name.
        by_partition: Some of what is there was loaded by partition.
    """

    bookmark: "Bookmark | None" = None
    begins_from: str | None = None
    full_refresh: bool = False
    anew: bool = False
    given: bool = False
    reason: str = "nothing was synced before"
    state: "StreamState | None" = None
    asked: GivenBookmark | None = None
    fences: Mapping[str, str] = field(default_factory=dict)
    by_partition: bool = False

    @property
    def begins_anew(self) -> bool:
        """Whether a table that is replaced need not have the types it has."""
        return self.full_refresh or self.anew


@dataclass(frozen=True)
class StreamPlan:
    """How one stream is to be loaded: the options of `sync` and `resolve_start`.

    Args:
        by_default: `strategy` is what `auto` stands for and nobody's word, so a source may begin
            its table anew.
    """

    strategy: WriteStrategy | str = WriteStrategy.AUTO
    full_refresh: bool = False
    fallback: Callable[[], "Bookmark | None"] | None = None
    on_table_changed: Literal["error", "full_refresh"] = "error"
    adopt: bool = False
    table: "TableName | None" = None
    on_conflict: str = "update"
    schema_contract: "SchemaContract | str | Mapping[str, Any] | None" = None
    keep_rejected: bool = False
    late_rows: "LateRows | None" = None
    repeated_keys: RepeatedKeys | None = None
    by_default: bool = False
    declared_only: bool = False
    partition: str = ""
    partitions: "Partitions | None" = None
    checks: Sequence["LoadCheck"] = ()

    @property
    def wanted(self) -> WriteStrategy:
        """The write strategy that was asked for."""
        return WriteStrategy(self.strategy)


def resolve_start(  # noqa: PLR0913 - each is one of the things that can rule
    read: StreamOfSource,
    destination: Target,
    *,
    full_refresh: bool = False,
    bookmark: "Bookmark | None" = None,
    keep_bookmark: bool = False,
    fallback: Callable[[], "Bookmark | None"] | None = None,
    on_table_changed: Literal["error", "full_refresh"] = "error",
    adopt: bool = False,
    table: "TableName | None" = None,
    partition: str = "",
    stored: "Stored | None" = None,
) -> Start:
    """Decide where a sync begins.

    The caller's word rules, else the destination's state row, else the fallback.

    Args:
        read: What is going to be read.
        destination: Where to.
        full_refresh: Read everything, as a new stream.
        bookmark: Begin here instead of where the stored bookmark says. If that leaves rows out, the
            stored bookmark stays where it is.
        keep_bookmark: Store what a read from the given bookmark reaches, so that those rows are
            skipped for good.
        fallback: Asked where the destination keeps no state (the newest event of a run).
        on_table_changed: What to do when someone else emptied or dropped the table since the last
            load.
        adopt: Take over a table that this library did not make.
        table: The stream's table, where it is not the destination's default.
        partition: The partition that is synced.
        stored: What the destination knows of the stream, where the caller has asked already.

    Raises:
        DestinationError: The table is somebody else's.
        UnsupportedWriteError: The table's engine cannot roll back.
        StateError: The table is not as its ledger says, and `on_table_changed` is `error`.
    """
    fault("begin")
    if stored is None:
        with naming_stream(read.stream.name):
            stored = destination.stored(
                read.source_name, read.stream, table=table, partition=partition
            )
    _refuse_table(read, stored, adopt=adopt)
    return replace(
        _start_of(
            read,
            destination,
            stored,
            full_refresh=full_refresh,
            bookmark=bookmark,
            keep_bookmark=keep_bookmark,
            fallback=fallback,
            on_table_changed=on_table_changed,
        ),
        by_partition=stored.by_partition,
    )


def _start_of(
    read: StreamOfSource,
    destination: Target,
    stored: "Stored",
    *,
    full_refresh: bool,
    bookmark: "Bookmark | None",
    keep_bookmark: bool,
    fallback: Callable[[], "Bookmark | None"] | None,
    on_table_changed: Literal["error", "full_refresh"],
) -> Start:
    """Decide where a sync begins; see `resolve_start`."""
    state = stored.state
    begins_from = state.load_id if state else None
    if full_refresh:
        asked = "a full refresh was asked for"
        return Start(
            None, begins_from, full_refresh=True, anew=stored.reset, reason=asked, state=state
        )
    if stored.problem:
        if on_table_changed == "full_refresh":
            return Start(
                None, begins_from, full_refresh=True, anew=True, reason=stored.problem, state=state
            )
        raise StateError(
            f"stream {read.stream.name!r}: {stored.problem}.",
            hint="Someone else changed it. Load it anew with `full_refresh` (in a script "
            '`force_full_refresh=True`), or always, with on_table_changed="full_refresh".',
            stream=read.stream.name,
        )
    if bookmark is not None:
        return _given(read, destination, bookmark, state, fallback, keep=keep_bookmark)
    return _where_it_ended(stored, None if destination.capabilities.keeps_state else fallback)


def resolve_partitions(
    read: StreamOfSource,
    destination: Target,
    partitions: "Partitions",
    *,
    on_table_changed: Literal["error", "full_refresh"] = "error",
    adopt: bool = False,
    table: "TableName | None" = None,
) -> Start:
    """Decide where a sync of whole partitions begins.

    It is at their beginning, whatever was loaded of them before.

    Args:
        read: What is going to be read.
        destination: Where to.
        partitions: The partitions.
        on_table_changed: As for `resolve_start`.
        adopt: As for `resolve_start`.
        table: As for `resolve_start`.

    Raises:
        ConfigError: The destination cannot replace single partitions.
        DestinationError: The table is somebody else's.
        UnsupportedWriteError: The table's engine cannot roll back.
        StateError: The table is not as its ledger says, and `on_table_changed` is `error`.
    """
    fault("begin")
    says_so = destination.capabilities.partitions
    if not says_so or not isinstance(destination, PartitionedTarget):
        raise ConfigError(
            f"stream {read.stream.name!r}: the destination cannot replace the rows of single "
            "partitions.",
            hint="Leave partitions_def out, or load into a database.",
            stream=read.stream.name,
        )
    with naming_stream(read.stream.name):
        found = destination.stored_partitions(
            read.source_name, read.stream, names=list(partitions.names), table=table
        )
    _refuse_table(read, found.stored, adopt=adopt)
    if found.stored.problem and on_table_changed == "error":
        raise StateError(
            f"stream {read.stream.name!r}: {found.stored.problem}.",
            hint="Someone else changed it. To load these partitions all the same, and the others "
            'by a backfill, set on_table_changed="full_refresh".',
            stream=read.stream.name,
        )
    reason = "partitions are loaded whole"
    return Start(reason=reason, state=found.stored.state, fences=found.load_ids)


def _where_it_ended(stored: "Stored", fallback: Callable[[], "Bookmark | None"] | None) -> Start:
    """Begin where the last sync ended, as the state row says.

    A destination that keeps none has the fallback asked.
    """
    if stored.state:
        reached = without_fingerprint(stored.state.bookmark)
        reason = "the destination's state row" if reached else "the last sync left no bookmark"
        return Start(reached, stored.state.load_id, reason=reason, state=stored.state)
    if stored.reset:
        return Start(full_refresh=True, anew=True, reason="the stored state was reset")
    if stored.by_partition and stored.of_partitions is not None:
        reason = (
            "the largest replication key of its partitions; rows before it, of partitions that "
            "were never loaded, stay out"
        )
        return Start(without_fingerprint(stored.of_partitions), reason=reason)
    if stored.by_partition:
        return Start(reason="it was loaded by partition, which does not tell how far it is read")
    # A destination that keeps state and has none for this stream is new to it, whatever events say.
    found = fallback() if fallback else None
    return Start(found, None, reason="the newest event of a run") if found is not None else Start()


def _given(
    read: StreamOfSource,
    destination: Target,
    bookmark: "Bookmark",
    state: "StreamState | None",
    fallback: Callable[[], "Bookmark | None"] | None,
    *,
    keep: bool,
) -> Start:
    stored = state.bookmark if state else None
    if fallback is not None and not destination.capabilities.keeps_state:
        # Of a digest, which cannot be read from, a given bookmark takes the place.
        with suppress(ConfigError):
            stored = fallback()
    return Start(
        bookmark,
        state.load_id if state else None,
        given=True,
        reason="the bookmark was given",
        state=state,
        asked=given_bookmark(bookmark, stored, read.stream, keep=keep),
    )


def _refuse_table(read: StreamOfSource, stored: "Stored", *, adopt: bool) -> None:
    """Refuse a table that is not to be written to, before anything is read."""
    if stored.foreign and not adopt:
        raise DestinationError(
            f"stream {read.stream.name!r}: {stored.foreign}.",
            hint="Choose another table, or take this one over with adopt=True.",
            stream=read.stream.name,
        )
    if stored.unsafe:
        raise UnsupportedWriteError(
            f"stream {read.stream.name!r}: {stored.unsafe}", stream=read.stream.name
        )


def plan_load(
    read: StreamOfSource,
    destination: Target,
    start: Start,
    plan: StreamPlan,
    *,
    run_id: str = "",
    load_id: str | None = None,
    settled: WriteStrategy | None = None,
) -> Load:
    """Return what a sync is about to do with a stream; no load is made anywhere else.

    Args:
        read: What is going to be read.
        destination: Where to.
        start: Where the sync begins.
        plan: How the stream is to be loaded.
        run_id: Of the orchestrator's run.
        load_id: Of a load that was planned before; a new one by default.
        settled: How the rows meet the table, where nothing is left to settle; see `strategy_of`
            otherwise.

    Raises:
        ConfigError: The destination cannot do it, or it would lose or double rows.
    """
    if plan.partitions is not None:
        strategy = _strategy_of_partitions(read, plan.wanted)
    elif settled is not None:
        strategy = settled
    else:
        strategy = strategy_of(read, destination, start, plan.wanted)
    refuse_unchecked(plan.checks, destination.capabilities, read.stream)
    reads_whole = strategy is WriteStrategy.REPLACE
    return Load(
        source=read.source_name,
        stream=read.stream,
        strategy=strategy,
        load_id=load_id if load_id is not None else new_load_id(),
        run_id=run_id,
        table=plan.table,
        partition=plan.partition,
        partitions=plan.partitions,
        fences=start.fences,
        by_partition=start.by_partition,
        begins_from=start.begins_from,
        bookmark=None if reads_whole else start.bookmark,
        on_conflict=plan.on_conflict,
        adopt=plan.adopt,
        contract=contract_of(
            plan.schema_contract,
            read.stream,
            destination.capabilities,
            keep_rejected=plan.keep_rejected,
        ),
        keep_rejected=plan.keep_rejected,
        declared_only=plan.declared_only,
        image=image_of(read, strategy, plan.wanted, plan.repeated_keys),
        checks=plan.checks,
    )


def new_load_id() -> str:
    """Return a load id: 26 characters, microseconds since 1970, then chance.

    It is unique and readable, and no more: clocks differ and go back, so the order of loads is that
    of the ledger.
    """
    return f"{time.time_ns() // 1000:014x}{secrets.token_hex(6)}"


def strategy_of(
    read: StreamOfSource, destination: Target, start: Start, wanted: WriteStrategy
) -> WriteStrategy:
    """Settle how a read meets its table.

    Raises:
        ConfigError: The destination cannot do it, or it would lose or double rows.
    """
    stream = read.stream
    can = destination.capabilities.strategies
    keyed = _has_key(stream)
    chosen = resolve_strategy(wanted, incremental=stream.method != "FULL_TABLE", keyed=keyed)
    is_free = wanted is WriteStrategy.AUTO  # otherwise the one that was named rules
    replaces = start.anew or (start.full_refresh and is_free)
    if replaces and WriteStrategy.REPLACE in can:
        chosen = WriteStrategy.REPLACE
    may_be_another = replaces or is_free
    if chosen not in can and may_be_another:
        # A destination of `export_batch_data` alone takes rows as they come; one that merges need
        # not double them.
        can_merge = keyed and WriteStrategy.MERGE in can
        chosen = WriteStrategy.MERGE if can_merge else WriteStrategy.APPEND
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
    if chosen is WriteStrategy.APPEND and start.by_partition:
        raise StateError(
            f"stream {stream.name!r}: its table was loaded by partition, so which rows it holds "
            "already cannot be told, and they are to be appended.",
            hint='Load it anew with `full_refresh` and write_strategy="auto", or give it a '
            "primary_key, by which its rows are merged.",
            stream=stream.name,
        )
    _refuse_partial(read, chosen, exact=destination.capabilities.keeps_state)
    return chosen


def _strategy_of_partitions(read: StreamOfSource, wanted: WriteStrategy) -> WriteStrategy:
    """Settle how the rows of whole partitions meet the table.

    Raises:
        ConfigError: They were to be appended, which would double them each time; or they are cut.
    """
    stream = read.stream
    if read.partial:
        raise ConfigError(
            f"stream {stream.name!r}: a read cut by `limit` or `query` is not the whole partition, "
            "so it cannot take the place of its rows.",
            hint="Leave the cut out.",
            stream=stream.name,
        )
    if wanted is WriteStrategy.APPEND:
        raise ConfigError(
            f"stream {stream.name!r}: the rows of a partition take the place of those that are "
            "there, so they cannot be appended.",
            hint='Leave write_strategy out, or set it to "auto".',
            stream=stream.name,
        )
    return WriteStrategy.MERGE if _has_key(stream) else WriteStrategy.APPEND


def _has_key(stream: "Stream") -> bool:
    """Return whether rows of a stream can be merged."""
    return bool(stream.primary_key or stream.unique_constraints)


def _refuse_given(stream: "Stream", start: Start) -> None:
    """Refuse to append from a given bookmark, if the next run would load these rows again."""
    if start.asked is not None and start.asked.stays:
        stands = "is ahead of" if start.asked.skips else "cannot be compared with"
        raise ConfigError(
            f"stream {stream.name!r}: the given bookmark {stands} the stored one, and rows are "
            "appended: the next run, which goes on from the stored one, would load this run's rows "
            "again.",
            hint="Set keep_bookmark: true in the run config to go on from where this run ends; "
            "what lies before the given bookmark is then skipped for good. Or leave the bookmark "
            "out.",
            stream=stream.name,
        )


def _refuse_without_key(stream: "Stream", chosen: WriteStrategy, wanted: WriteStrategy) -> None:
    """Refuse a merge without a key, and what `auto` would append though it has a key.

    The latter is a key that no table can have.
    """
    if chosen is WriteStrategy.APPEND and wanted is WriteStrategy.AUTO:
        from etl_assets.protocol.airbyte.messages import refuse_nested_key

        refuse_nested_key(stream)
    if chosen is WriteStrategy.MERGE and not _has_key(stream):
        raise ConfigError(
            f"stream {stream.name!r}: a merge needs a primary key.",
            hint="Declare primary_key on the stream, or use append or replace.",
            stream=stream.name,
        )


def _refuse_partial(read: StreamOfSource, strategy: WriteStrategy, *, exact: bool) -> None:
    """Refuse a cut read where it would delete rows, or load them twice.

    The latter happens where its bookmark cannot move.
    """
    if not read.partial:
        return
    if strategy is WriteStrategy.REPLACE:
        raise ConfigError(
            f"stream {read.stream.name!r}: a read cut by `limit` or `query` is not the whole "
            "stream, so it cannot replace the table.",
            hint="Leave the cut out, or set the write strategy to append or merge.",
            stream=read.stream.name,
        )
    moves_no_bookmark = exact and not read.ordered
    if strategy is WriteStrategy.APPEND and moves_no_bookmark:
        raise ConfigError(
            f"stream {read.stream.name!r}: a read cut by `limit` or `query` moves no bookmark "
            "here, so the rows it appends would be loaded again by the next run.",
            hint="Leave the cut out, or give the stream a primary key and merge.",
            stream=read.stream.name,
        )
