"""The loop for sources whose streams are read together: one read, many tables, and states that are barriers."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.bookmarks.appending import Appending, LateRows
from etl_assets.model.contract import EVOLVES, SchemaContract
from etl_assets.model.events import SourceReadable, SourceState, StreamKey
from etl_assets.model.load import RepeatedKeys, Session, SourceTarget, TableTypes, contract_of, image_of
from etl_assets.model.stored import Bookmark, SharedState, Stored, StoredSource, TableName
from etl_assets.model.stream import Stream
from etl_assets.source_line import Line, StreamOutcome
from etl_assets.source_loop import Loop
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import (
    CHECKPOINT_BYTES,
    Observer,
    Start,
    appending_of,
    load_of,
    new_load_id,
    refresh_remark,
    resolve_start,
    result_of,
    seconds_between_commits,
    strategy_of,
)

__all__ = ["StreamOutcome", "StreamPlan", "sync_source"]


@dataclass(frozen=True)
class StreamPlan:
    """How one of many streams is to be loaded: the options of `sync` and `resolve_start`.

    Args:
        by_default: `strategy` is what `auto` stands for and nobody's word, so a source may begin its table anew.
    """

    strategy: WriteStrategy | str = WriteStrategy.AUTO
    full_refresh: bool = False
    fallback: Callable[[], Bookmark | None] | None = None
    on_table_changed: Literal["error", "full_refresh"] = "error"
    adopt: bool = False
    table: TableName | None = None
    on_conflict: str = "update"
    schema_contract: SchemaContract | str | Mapping[str, Any] | None = None
    keep_rejected: bool = False
    late_rows: LateRows | None = None
    repeated_keys: RepeatedKeys | None = None
    by_default: bool = False
    declared_only: bool = False


@dataclass
class Part:
    """One stream of a read of many, for what is settled before it is read."""

    source_name: str
    stream: Stream
    partial: bool = False
    ordered: bool = False
    checked_order: bool = False


def sync_source(  # noqa: PLR0913 - options of one verb
    read: SourceReadable,
    destination: SourceTarget,
    *,
    plans: Mapping[StreamKey, StreamPlan] | None = None,
    run_id: str = "",
    fallback: Callable[[], Bookmark | None] | None = None,
    others: Collection[StreamKey] = (),
    observer: Observer | None = None,
    checkpoint_seconds: float | None = None,
    checkpoint_bytes: int = CHECKPOINT_BYTES,
) -> Generator[StreamOutcome, None, None]:
    """Read many streams at once from where they ended, and load each; gives what became of each as it is settled.

    To be run to its end, or closed: then the read is ended, and what was not committed is dropped.

    Args:
        read: What to read.
        destination: Where to.
        plans: How, by the key of the stream; the defaults for the others. Those of streams that the read finds are
            looked up when they begin.
        run_id: Of the orchestrator's run.
        fallback: Asked for the state of the whole source where the destination keeps no state.
        others: Streams of the source that are not read now; asked for where the destination keeps no state.
        observer: Sees where each stream begins, progress and checkpoints.
        checkpoint_seconds: Commit at the first state after so many seconds since the last commit.
        checkpoint_bytes: Or after so many bytes.

    Yields:
        One outcome for each stream of the read.

    Raises:
        EtlAssetsError: The read failed after all its streams had ended; or nothing is known of the destination.
    """
    observer, plans = observer or Observer(), {} if plans is None else plans
    known = destination.stored_source(read.source_name)
    stored = _stored(read, destination, plans)

    def begin(stream: Stream) -> Line:
        known_of_it = stored.pop(stream.key, None)  # one that begins once more is looked up once more
        line = _line(read.source_name, stream, destination, plans.get(stream.key), run_id, known_of_it)
        if line.error is None:
            _tell_start(observer, line)
        return line

    lines = [begin(stream) for stream in read.streams]
    shared = _shared(read.source_name, known, run_id)
    if fallback is not None and not destination.capabilities.keeps_state:
        shared = replace(shared, bookmark=fallback())
    begins = replace(_begins(lines, shared.bookmark, known.streams), appended=_appended(lines, destination, plans))
    with destination.session([line.load for line in lines if line.error is None]) as session:
        loop = Loop(lines, session, shared, observer)
        loop.others = known.streams - {line.key for line in lines} if destination.capabilities.keeps_state else others
        loop.can_replace = WriteStrategy.REPLACE in destination.capabilities.strategies
        loop.whole = known.state is not None or shared.bookmark is not None
        loop.seconds = seconds_between_commits(checkpoint_seconds)
        loop.bytes = checkpoint_bytes
        loop.begin = begin if getattr(read, "finds_streams", False) else None
        yield from loop.run(read, replace(begins, tables=_tables(lines, session)))


def _shared(source: str, known: StoredSource, run_id: str) -> SharedState:
    """Return the state of the whole source as it is stored, to be moved by this run."""
    return SharedState(
        source=source,
        load_id=new_load_id(),
        bookmark=known.state.bookmark if known.state else None,
        run_id=run_id,
        begins_from=known.state.load_id if known.state else None,
    )


def _tell_start(observer: Observer, line: Line) -> None:
    observer.begin(line.load, line.start)
    doubles = refresh_remark(line.load, line.start)
    if doubles:
        line.result.remarks.append(doubles)
        observer.remark(line.name, doubles)


def _tables(lines: Sequence["Line"], session: Session) -> dict[StreamKey, TableTypes]:
    """Return what types the tables of the streams have, for those that anybody can tell."""
    live = [line for line in lines if line.error is None]
    found = {line.key: session.table_types(line.load, anew=line.start.begins_anew) for line in live}
    return {key: table for key, table in found.items() if table is not None}


def _appended(
    lines: Sequence["Line"], destination: SourceTarget, plans: Mapping[StreamKey, StreamPlan]
) -> dict[StreamKey, Appending]:
    """Return how the rows of the streams are appended; a stream that is merged is not in it."""
    appended: dict[StreamKey, Appending] = {}
    for line in lines:
        plan = plans.get(line.key) or StreamPlan()
        appending = appending_of(line.load, destination, line.start, WriteStrategy(plan.strategy), plan.late_rows)
        if appending is not None:
            appended[line.key] = appending
    return appended


def _begins(lines: Sequence["Line"], shared: Bookmark | None, known: Collection[StreamKey]) -> SourceState:
    live = [line for line in lines if line.error is None]
    unknown = {line.key for line in live if known and shared is not None and line.start.state is None}
    refreshed = unknown | {line.key for line in live if line.replaces or line.start.full_refresh}
    own = {line.key: line.state for line in live if line.state is not None}
    # Streams that are not read now share it too, and would be read from the beginning without it.
    forgotten = refreshed.issuperset(known) and all(line.key in refreshed for line in live)
    return SourceState(None if forgotten and refreshed else shared, own, frozenset(refreshed))


def _stored(
    read: SourceReadable, destination: SourceTarget, plans: Mapping[StreamKey, StreamPlan]
) -> dict[StreamKey, Stored]:
    """Look all streams up at once; {} where something is wrong with one of them, or the destination knows no such way.

    Each is looked up by itself then, so that what is wrong with one leaves the others alone.
    """
    look_up = getattr(destination, "stored_many", None)
    if look_up is None:
        return {}
    tables = [(one, plans[one.key].table if one.key in plans else None) for one in read.streams]
    try:
        found = look_up(read.source_name, tables)
    except EtlAssetsError as error:
        if error.retryable:
            raise  # the destination is not there; it would be asked once for each stream
        return {}
    return {stream.key: one for (stream, _), one in zip(tables, found, strict=True)}


def _start(part: Part, destination: SourceTarget, plan: StreamPlan, stored: Stored | None) -> Start:
    return resolve_start(
        part,
        destination,
        full_refresh=plan.full_refresh,
        fallback=plan.fallback,
        on_table_changed=plan.on_table_changed,
        adopt=plan.adopt,
        table=plan.table,
        stored=stored,
    )


def _line(
    source: str,
    stream: Stream,
    destination: SourceTarget,
    plan: StreamPlan | None,
    run_id: str,
    stored: Stored | None,
) -> Line:
    """Settle how a stream is loaded; what is wrong with one leaves the others alone."""
    plan, part = plan or StreamPlan(), Part(source, stream)
    start, strategy, contract, error = Start(), WriteStrategy.APPEND, EVOLVES, None
    try:
        start = _start(part, destination, plan, stored)
        strategy = strategy_of(part, destination, start, WriteStrategy(plan.strategy))
        keep = plan.keep_rejected
        contract = contract_of(plan.schema_contract, stream, destination.capabilities, keep_rejected=keep)
    except EtlAssetsError as wrong:
        error = wrong
    load = replace(
        load_of(part, start, strategy, run_id=run_id, table=plan.table),
        on_conflict=plan.on_conflict,
        adopt=plan.adopt,
        contract=contract,
        keep_rejected=plan.keep_rejected,
        declared_only=plan.declared_only,
        image=image_of(part, strategy, WriteStrategy(plan.strategy), plan.repeated_keys),
    )
    named = WriteStrategy(plan.strategy) is not WriteStrategy.AUTO and not plan.by_default
    return Line(load, start, result_of(load, start), error, state=load.bookmark, named=named)
