"""The verb for many streams of a source that are read together.

It is one read into many tables, with states that are barriers.
"""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from etl_assets.engine.checkpoints import CHECKPOINT_BYTES, Checkpoints
from etl_assets.engine.line import Line, StreamOutcome, line_of, request_of
from etl_assets.engine.loop import Loop
from etl_assets.engine.observer import Observer
from etl_assets.engine.publishing import Publishing
from etl_assets.engine.shared import Shared
from etl_assets.engine.start import (
    Start,
    StreamPlan,
    new_load_id,
    plan_load,
    resolve_partitions,
    resolve_start,
)
from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.events import SourceReadable, SourceState, StreamKey
from etl_assets.model.load import Session, SourceTarget, StreamToRead
from etl_assets.model.stored import Bookmark, SharedState, Stored, StoredSource
from etl_assets.model.stream import Stream
from etl_assets.strategies import WriteStrategy


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
    """Read many streams at once from where they ended, load each, and tell how it ended.

    To be run to its end, or closed: then the read is ended, and what was not committed is dropped.

    Args:
        read: What to read.
        destination: Where to.
        plans: How, by the key of the stream; the defaults for the others. Those of streams that the
            read finds are looked up when they begin.
        run_id: Of the orchestrator's run.
        fallback: Asked for the state of the whole source where the destination keeps no state.
        others: Streams of the source that are not read now; asked for where the destination keeps
            no state.
        observer: Sees where each stream begins, progress and checkpoints.
        checkpoint_seconds: Commit at the first state after so many seconds since the last commit.
        checkpoint_bytes: Or after so many bytes.

    Yields:
        One outcome for each stream of the read.

    Raises:
        EtlAssetsError: The read failed after all its streams had ended; or nothing is known of the
            destination.
    """
    observer, plans = observer or Observer(), {} if plans is None else plans
    known = destination.stored_source(read.source_name)
    stored = _stored(read, destination, plans)

    def begin(stream: Stream) -> Line:
        # One that begins once more is looked up once more.
        known_of_it = stored.pop(stream.key, None)
        plan = plans.get(stream.key) or StreamPlan()
        by_partition = plan.partitions is None and stream.key in known.by_partition
        line = _line(
            read.source_name,
            stream,
            destination,
            plan,
            run_id,
            known_of_it,
            by_partition=by_partition,
        )
        if line.error is None:
            observer.begin(line.load, line.start)
        return line

    lines = [begin(stream) for stream in read.streams]
    live = [line for line in lines if line.error is None]
    if destination.capabilities.keeps_state:
        fallback, others = None, known.streams - {line.key for line in lines}
    shared = _shared(read.source_name, known, others, fallback, run_id)
    checkpoints = Checkpoints.every(checkpoint_seconds, checkpoint_bytes)
    can_replace = WriteStrategy.REPLACE in destination.capabilities.strategies
    with destination.session([line.load for line in live]) as session:
        requests = {line.key: request_of(line, session) for line in live}
        begins = replace(_begins(live, shared.state.bookmark, known.streams), requests=requests)
        publishing = _publishing(read, lines, session, observer, checkpoints, shared)
        find = begin if publishing.finds_streams else None
        loop = Loop(publishing, session, observer, can_replace=can_replace, begin=find)
        yield from loop.run(partial(read.open, begins))


def _publishing(
    read: SourceReadable,
    lines: Sequence[Line],
    session: Session,
    observer: Observer,
    checkpoints: Checkpoints,
    shared: Shared,
) -> Publishing:
    return Publishing(
        lines,
        session,
        observer,
        checkpoints,
        shared,
        runs_ahead=getattr(read, "runs_ahead", False),
        finds_streams=getattr(read, "finds_streams", False),
    )


def _shared(
    source: str,
    known: StoredSource,
    others: Collection[StreamKey],
    fallback: Callable[[], Bookmark | None] | None,
    run_id: str,
) -> Shared:
    """Return what the streams of a source have in common, with an id for its next state."""
    state = known.state
    bookmark = state.bookmark if state is not None else None
    if fallback is not None:
        bookmark = fallback()
    shared = SharedState(
        source=source,
        load_id=new_load_id(),
        bookmark=bookmark,
        run_id=run_id,
        begins_from=state.load_id if state is not None else None,
    )
    return Shared(shared, known=state is not None or bookmark is not None, others=others)


def _begins(
    live: Sequence[Line], shared: Bookmark | None, known: Collection[StreamKey]
) -> SourceState:
    unknown: set[StreamKey] = set()
    if known and shared is not None:
        unknown = {line.key for line in live if line.start.state is None}
    refreshed = unknown | {line.key for line in live if line.replaces or line.start.full_refresh}
    if shared is not None:
        # While some were loaded by partition, it moved past rows of theirs that were left out.
        refreshed |= {line.key for line in live if line.start.by_partition}
    own = {
        line.key: line.state
        for line in live
        if line.state is not None and line.key not in refreshed
    }
    # Streams that are not read now share it too, and would be read from the beginning without it.
    forgotten = refreshed.issuperset(known) and all(line.key in refreshed for line in live)
    return SourceState(None if forgotten and refreshed else shared, own, frozenset(refreshed))


def _stored(
    read: SourceReadable, destination: SourceTarget, plans: Mapping[StreamKey, StreamPlan]
) -> dict[StreamKey, Stored]:
    """Look all streams up at once.

    Where something is wrong with one of them, or the destination knows no such way, the outcome is
    {}: each is looked up by itself then, so that what is wrong with one leaves the others alone.
    """
    look_up = getattr(destination, "stored_many", None)
    if look_up is None:
        return {}
    tables = []
    for stream in read.streams:
        plan = plans.get(stream.key) or StreamPlan()
        if plan.partitions is None:  # those that have are looked up with the state of each
            tables.append((stream, plan.table))
    try:
        found = look_up(read.source_name, tables)
    except EtlAssetsError as error:
        if error.retryable:
            raise  # the destination is not there; it would be asked once for each stream
        return {}
    return {stream.key: one for (stream, _), one in zip(tables, found, strict=True)}


def _start(
    read: StreamToRead, destination: SourceTarget, plan: StreamPlan, stored: Stored | None
) -> Start:
    if plan.partitions is not None:
        return resolve_partitions(
            read,
            destination,
            plan.partitions,
            on_table_changed=plan.on_table_changed,
            adopt=plan.adopt,
            table=plan.table,
        )
    return resolve_start(
        read,
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
    plan: StreamPlan,
    run_id: str,
    stored: Stored | None,
    *,
    by_partition: bool,
) -> Line:
    """Settle how a stream is loaded; what is wrong with one leaves the others alone."""
    read = StreamToRead(source, stream)
    start = Start()
    try:
        start = _start(read, destination, plan, stored)
        start = replace(start, by_partition=start.by_partition or by_partition)
        load = plan_load(read, destination, start, plan, run_id=run_id)
    except EtlAssetsError as error:
        # No session is given it.
        load = plan_load(read, destination, start, StreamPlan(), settled=WriteStrategy.APPEND)
        return line_of(load, start, plan, destination, error=error)
    return line_of(load, start, plan, destination)
