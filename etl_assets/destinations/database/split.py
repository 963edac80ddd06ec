"""A split: several steps load the ranges of one stream, which are published together.

Each range goes into a staging table of its own. The plan is a row of the state table beside the
stream's own, and so is what each range has loaded: their `partition` begins with `split/`. By a
range's row, a later plan finds the staging table that a killed run has left. Nothing else is kept
anywhere, so the steps may run in different processes and places.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.ownership import lock_name, own_table, why_foreign
from etl_assets.destinations.database.plan import Plan
from etl_assets.destinations.database.record_columns import NAMES, staged_as
from etl_assets.destinations.database.session import DatabaseSession
from etl_assets.destinations.database.stored_columns import known_columns
from etl_assets.destinations.database.stored_states import SPLIT
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.engine.staging_folder import sweep
from etl_assets.exceptions import ConcurrentSyncError, DestinationError, SplitOvertakenError
from etl_assets.model.key_ranges import KeyRanges
from etl_assets.model.load import Committed, Load, SyncResult
from etl_assets.model.stored import Bookmark, Column, StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import with_hash
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    import pyarrow as pa

SCAN_ROWS = 100_000
STAGED_BYTES = "etl_assets/bytes"
"""What a range's row says of the size of its rows, in the place of a bookmark."""


@dataclass(frozen=True)
class SplitPlan:
    """What was planned before the first read.

    Args:
        load_id: The id of the load that all ranges become.
        ranges: The ranges that the source has given.
        bookmark: The replication key before the first read, which becomes the state.
        begins_from: The load id of the state row at that time.
        planned_at: When it was planned.
        tables: The staging table of each range.
        staged_bytes: The size of the rows of all ranges; None unless each range has told it.
    """

    load_id: str
    ranges: Sequence[Any]
    bookmark: Bookmark | None
    begins_from: str | None
    planned_at: datetime
    tables: Sequence[TableName]
    staged_bytes: int | None = None

    def partition(self, number: int) -> str:
        """Return the partition under which a range's state row is kept."""
        return f"{SPLIT}{self.load_id}/{number}"


def plan_split(database: DatabaseDestination, load: Load, ranges: KeyRanges) -> None:
    """Write down a plan, and drop what earlier plans have left.

    Args:
        database: The destination.
        load: The load that all ranges become, with its table.
        ranges: The ranges that the source has given.
    """
    with database.transaction() as tx:
        tx.lock(lock_name(load.source, load.stream, ""))
        ledger = database.ledger(tx)
        ledger.create()
        _drop(tx, ledger, load.source, load.stream)
        table = own_table(ledger, database, load.source, load.stream, load.table)
        planned = {
            "bookmark": ranges.bookmark,
            "begins_from": load.begins_from,
            "ranges": list(ranges.ranges),
        }
        ledger.insert(_row(load, f"{SPLIT}{load.load_id}", table, planned))
        limit = database.capabilities.max_identifier_bytes
        for number in range(len(ranges.ranges)):
            name = with_hash(f"{table.name}__split_{number}", f"{load.load_id}/{number}", limit)
            staging_table = TableName(name, table.schema)
            ledger.insert(_row(load, f"{SPLIT}{load.load_id}/{number}", staging_table, None))


def drop_split(database: DatabaseDestination, source: str, stream: Stream) -> None:
    """Drop the staging tables that a killed or failed run has left."""
    if not database.exists():
        return
    with database.transaction() as tx:
        ledger = database.ledger(tx)
        if ledger.exists():
            _drop(tx, ledger, source, stream)


def table_exists(database: DatabaseDestination, table: TableName) -> bool:
    """Return whether there is such a table."""
    if not database.exists():
        return False
    with database.transaction() as tx:
        return tx.exists(table)


def planned_split(
    database: DatabaseDestination, source: str, stream: Stream, load_id: str
) -> SplitPlan:
    """Read a plan.

    Raises:
        SplitOvertakenError: It is gone: a later run has planned anew.
    """
    with database.transaction() as tx:
        return _planned(database.ledger(tx), source, stream, load_id)[0]


def note_staged(
    database: DatabaseDestination, stream: Stream, partition: str, result: SyncResult
) -> None:
    """Write down the size of what a range has staged, for the event of the whole load.

    Args:
        database: The destination.
        stream: The whole stream.
        partition: That of the range's state row.
        result: Of the range.
    """
    with database.transaction() as tx:
        ledger = database.ledger(tx)
        for row in ledger.splits(result.source, stream):
            # It may be gone, or another attempt's.
            if (row.partition, row.load_id) == (partition, result.load_id):
                ledger.note(row, {STAGED_BYTES: result.bytes_loaded})


def publish_split(database: DatabaseDestination, load: Load) -> tuple[SplitPlan, Committed]:
    """Replace the table's rows by those of all ranges, with the planned state, in one transaction.

    Args:
        database: The destination.
        load: The load, with the load id of the plan.

    Returns:
        The plan, and what was committed.

    Raises:
        SplitOvertakenError: Another run was faster.
        DestinationError: A range is not loaded, or a staging table does not hold what was loaded
            into it.
    """
    plan = planned_split(database, load.source, load.stream, load.load_id)
    load = replace(load, strategy=WriteStrategy.REPLACE, begins_from=plan.begins_from)
    roots = database.staging_roots()
    sweep(roots)
    session = SplitSession(database, [load], roots, database.options.staging_memory_bytes)
    try:
        (committed,) = session.commit({load.load_id: plan.bookmark}, complete=True)
    except SplitOvertakenError:
        raise
    except ConcurrentSyncError as error:
        hint = "Materialize the stream once more: it is planned anew then."
        raise SplitOvertakenError(error.message, hint=hint, stream=error.stream) from error
    finally:
        session.close()
        sweep(roots)
    return plan, committed


class SplitSession(DatabaseSession):
    """Publishes the rows of staging tables, as those of batches are published."""

    _copied: tuple[Sequence[TableName], dict[str, str]] = ((), {})
    """Tables whose rows the database itself copies, and their columns by the field's name."""

    @override
    def _publish(
        self, tx: Transaction, ledger: Ledger, load: Load, bookmark: Bookmark | None
    ) -> Committed:
        states = _planned(ledger, load.source, load.stream, load.load_id)[1]
        expected = sum(_counted(tx, load, state) for state in states)
        # Where no row came, none has told of columns.
        filled = [state for state in states if state.rows_in_table]
        columns = filled[0].columns if filled else ()
        self.discard(load.load_id)  # a check may have ended the transaction before this one
        staged = self._staged[load.load_id].rows
        alike = bool(filled) and all(state.columns == columns for state in filled)
        if alike:
            about = set(tx.type_names(filled[0].table)) & set(self._database.record_columns)
            by_field = known_columns(filled[0]) | {staged_as(name): name for name in about}
            self._copied = ([state.table for state in filled], by_field)
            staged.add(_empty(tx, filled[0]))
        else:
            # One range has met other types than another, so their rows are merged as batches are.
            for state in filled:
                for table in tx.scan(state.table, "", SCAN_ROWS):
                    staged.add(_by_field(table, state))
        committed = super()._publish(tx, ledger, load, bookmark)
        if not committed.rows_loaded == committed.rows_in_table == expected:
            raise DestinationError(
                f"stream {load.stream.name!r}: its ranges have {expected} rows, of which "
                f"{committed.rows_loaded} came into the table; nothing was published."
            )
        if alike and not _types_of(columns) <= _types_of(committed.columns):
            raise DestinationError(
                f"stream {load.stream.name!r}: its table has other types than those of its ranges."
            )
        _drop(tx, ledger, load.source, load.stream)
        return committed

    @override
    def _plan(self, load: Load, table: TableName, current: StreamState | None) -> Plan:
        plan = super()._plan(load, table, current)
        tables, columns = self._copied
        places = {**plan.physical, **{staged_as(name): name for name in plan.stamp.about}}
        copied = {places[name]: columns[name] for name in columns if name in places}
        return replace(plan, tables=tables, copied=copied)


def _types_of(columns: Sequence[Column]) -> set[tuple[str, str]]:
    return {(column.name, column.type) for column in columns}


def _empty(tx: Transaction, state: StreamState) -> "pa.Table":
    schema = tx.schema(state.table)
    assert schema is not None  # noqa: S101 - it was counted
    return _by_field(schema.empty_table(), state, keep_types=True)


def _by_field(table: "pa.Table", state: StreamState, *, keep_types: bool = False) -> "pa.Table":
    """Return a staging table's rows by the names of the fields, without our own columns.

    A column that is NULL throughout gets the type null, because no value has told its type; unless
    types are kept.
    """
    import pyarrow as pa

    columns = {column.name: table.column(column.physical) for column in state.columns}
    columns |= {staged_as(name): table.column(name) for name in NAMES if name in table.column_names}
    if keep_types:
        return pa.table(columns)
    for name, column in columns.items():
        if column.null_count == table.num_rows:
            columns[name] = pa.nulls(table.num_rows)
    return pa.table(columns)


def _row(load: Load, partition: str, table: TableName, bookmark: Bookmark | None) -> StreamState:
    return StreamState(
        source=load.source,
        namespace=load.stream.namespace or "",
        stream=load.stream.name,
        partition=partition,
        load_id=load.load_id,
        run_id=load.run_id,
        bookmark=bookmark,
        committed_at=datetime.now(UTC),
        table=table,
        changed_by=load.load_id,
    )


def _planned(
    ledger: Ledger, source: str, stream: Stream, load_id: str
) -> tuple[SplitPlan, list[StreamState]]:
    """Return a plan, and the state rows of its ranges in their order."""
    splits = ledger.splits(source, stream) if ledger.exists() else []
    rows = {row.partition: row for row in splits}
    found = rows.get(f"{SPLIT}{load_id}")
    if found is None or found.bookmark is None:
        raise SplitOvertakenError(
            f"stream {stream.name!r}: the ranges of this run were dropped, "
            "because a later run has planned anew.",
            hint="Materialize it once more if that run is not at it.",
            stream=stream.name,
        )
    ranges = found.bookmark["ranges"]
    states = [rows[f"{SPLIT}{load_id}/{number}"] for number in range(len(ranges))]
    plan = SplitPlan(
        load_id=load_id,
        ranges=ranges,
        bookmark=found.bookmark["bookmark"],
        begins_from=found.bookmark["begins_from"],
        planned_at=found.committed_at,
        tables=[state.table for state in states],
        staged_bytes=_staged_bytes(states),
    )
    return plan, states


def _staged_bytes(states: Sequence[StreamState]) -> int | None:
    sizes = [(state.bookmark or {}).get(STAGED_BYTES) for state in states]
    known = [size for size in sizes if isinstance(size, int)]
    return sum(known) if len(known) == len(sizes) else None


def _counted(tx: Transaction, load: Load, state: StreamState) -> int:
    """Count the rows of a range's staging table, which have to be those that were loaded."""
    number = state.partition.rpartition("/")[2]
    if state.load_id == load.load_id or not tx.exists(state.table):
        problem = "is not loaded"
    else:
        rows, loaded = tx.count(state.table), state.rows_in_table
        if rows == loaded:
            return rows
        problem = f"has {rows} rows in {tx.quoted(state.table)}, though {loaded} were loaded"
    raise DestinationError(
        f"stream {load.stream.name!r}: range {number} {problem}; nothing was published.",
        hint="Materialize it once more.",
        stream=load.stream.name,
    )


def _drop(tx: Transaction, ledger: Ledger, source: str, stream: Stream) -> None:
    """Drop the staging tables that the ledger knows as this stream's, and their state rows."""
    key = (source, stream.namespace or "", stream.name)
    for row in sorted(ledger.splits(source, stream), key=lambda row: row.partition):
        # A step that is just publishing its range ends first.
        tx.lock(lock_name(source, stream, row.partition))
        is_plan = row.partition.count("/") == 1
        is_there = not is_plan and tx.exists(row.table)
        if is_there and why_foreign(tx, ledger, key, row.table) is None:
            tx.drop_table(row.table)
        ledger.delete(row)
