"""The verb for one stream."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from etl_assets.engine.checkpoints import CHECKPOINT_BYTES, Checkpoints
from etl_assets.engine.events import stream_events
from etl_assets.engine.line import Line, line_of, request_of
from etl_assets.engine.loop import Loop
from etl_assets.engine.observer import Observer
from etl_assets.engine.publishing import Publishing
from etl_assets.engine.start import Start, StreamPlan, plan_load, resolve_partitions, resolve_start
from etl_assets.exceptions import naming_stream
from etl_assets.model.bookmarks.appending import LateRows
from etl_assets.model.checks import LoadCheck
from etl_assets.model.contract import SchemaContract
from etl_assets.model.load import Readable, RepeatedKeys, Session, SyncResult, Target
from etl_assets.model.partitions import Partitions
from etl_assets.model.stored import TableName
from etl_assets.strategies import WriteStrategy


def sync(  # noqa: PLR0913 - options of one verb
    read: Readable,
    destination: Target,
    *,
    start: Start | None = None,
    strategy: WriteStrategy | str = WriteStrategy.AUTO,
    run_id: str = "",
    table: TableName | None = None,
    partition: str = "",
    partitions: Partitions | None = None,
    on_conflict: str = "update",
    adopt: bool = False,
    schema_contract: SchemaContract | str | Mapping[str, Any] | None = None,
    keep_rejected: bool = False,
    late_rows: LateRows | None = None,
    repeated_keys: RepeatedKeys | None = None,
    declared_only: bool = False,
    checks: Sequence[LoadCheck] = (),
    observer: Observer | None = None,
    checkpoint_seconds: float | None = None,
    checkpoint_bytes: int = CHECKPOINT_BYTES,
) -> SyncResult:
    """Read a stream from its bookmark on, and load it.

    The rows are committed together with the bookmark that covers them.

    Args:
        read: What to read.
        destination: Where to.
        start: Where to begin; resolved from the destination by default.
        strategy: How the rows meet the table.
        run_id: Of the orchestrator's run.
        table: The stream's table, where it is not the destination's default.
        partition: The partition that is synced.
        partitions: The partitions that are loaded whole: their rows take the place of those that
            are there, by one transaction with a state row for each. The read is asked for these
            rows alone, and others are left out or an error.
        on_conflict: `update` or `ignore`: what a merge does with a key that is there already.
        adopt: Take over a table that this library did not make.
        schema_contract: What may change about the table: `evolve`, `freeze`, `discard_value` or
            `discard_row`, or a mapping of `columns` and `data_type` to these. By default it
            evolves, or freezes the types where the stream says `disable_column_type_check=False`.
        keep_rejected: Keep the records that the contract leaves out, or takes a value from, in
            `<table>__rejected`.
        late_rows: What becomes of appended rows from before the bookmark: `drop`, `error` or
            `load`. By default they are an error for a stream with a primary key, else dropped,
            counted and told.
        repeated_keys: Which of several images of a key in this read is merged: the `newest` by the
            replication key (by default), or the `last` to come.
        declared_only: Leave out fields that the stream does not declare.
        checks: What the table is checked for by the transaction of its rows; see
            `etl_assets.checks`. Where one is a gate, nothing is committed before the end.
        observer: Sees progress and checkpoints.
        checkpoint_seconds: Commit at the first checkpoint after so many seconds since the last
            commit.
        checkpoint_bytes: Or after so many bytes.

    Returns:
        What was done; its counts are those of the destination's ledger.

    Raises:
        EtlAssetsError: Reading or loading failed. What was committed at checkpoints stays; nothing
            else is visible.
    """
    plan = StreamPlan(
        strategy=strategy,
        adopt=adopt,
        table=table,
        on_conflict=on_conflict,
        schema_contract=schema_contract,
        keep_rejected=keep_rejected,
        late_rows=late_rows,
        repeated_keys=repeated_keys,
        declared_only=declared_only,
        checks=checks,
        partition=partition,
        partitions=partitions,
    )
    if start is None and partitions is not None:
        start = resolve_partitions(read, destination, partitions, adopt=adopt, table=table)
    start = start or resolve_start(read, destination, adopt=adopt, table=table, partition=partition)
    load = plan_load(read, destination, start, plan, run_id=run_id)
    line = line_of(load, start, plan, destination, called=read.stream.name)
    checkpoints = Checkpoints.every(checkpoint_seconds, checkpoint_bytes)
    with naming_stream(read.stream.name), destination.session([load]) as session:
        _load(read, line, session, observer or Observer(), checkpoints)
    return line.result


def _load(
    read: Readable, line: Line, session: Session, observer: Observer, checkpoints: Checkpoints
) -> None:
    """Read one stream into a session, as a read of many of which there is one.

    Raises:
        Exception: What it failed by.
    """
    runs_ahead = getattr(read, "runs_ahead", False)
    publishing = Publishing(
        [line], session, observer, checkpoints, shared=None, runs_ahead=runs_ahead
    )
    open_read = partial(stream_events, read, line.load.bookmark, request_of(line, session))
    for outcome in Loop(publishing, session, observer).run(open_read):
        if outcome.error is not None:
            raise outcome.error
