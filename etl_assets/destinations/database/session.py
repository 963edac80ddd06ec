"""The session of a database: batches are staged, then published with their state and ledger rows.

What is published goes in one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from etl_assets.destinations.contract import Shape, declared_shape
from etl_assets.destinations.database.checking import LoadChecks
from etl_assets.destinations.database.interface import Database
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.ledger_partitions import Entry
from etl_assets.destinations.database.ownership import (
    check_owner,
    lock_name,
    own_table,
)
from etl_assets.destinations.database.plan import Plan
from etl_assets.destinations.database.record_columns import with_columns
from etl_assets.destinations.database.rejected import rejected_table
from etl_assets.destinations.database.staged_load import StagedLoad
from etl_assets.destinations.database.standing import StandingTypes
from etl_assets.destinations.database.stored_columns import (
    columns_after,
    columns_if_kept,
    known_columns,
)
from etl_assets.destinations.database.transaction import Stamp, Transaction
from etl_assets.destinations.database.write import prepare, rows_of_partitions, write
from etl_assets.exceptions import DestinationError, EtlAssetsError, SchemaConflictError
from etl_assets.faults import fault
from etl_assets.model.batch import Batch, Encoding, declared_schema
from etl_assets.model.contract import Rejected
from etl_assets.model.load import Committed, Load, Session
from etl_assets.model.request import TableTypes
from etl_assets.model.stored import Bookmark, Column, SharedState, StreamState, TableName

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_MEMORY_BYTES = 1024 * 1024
"""The least memory of one load among many: with less it would write many small files."""


class DatabaseSession(Session):
    """Stages what is exported, and publishes it with `commit`.

    Args:
        database: The destination.
        loads: What is loaded.
        staging_roots: Where batches are written that do not fit into memory: in the first of these
            that can be written to.
        memory_bytes: The memory of all loads together, which they share equally.
    """

    encoding: Encoding = "arrow"

    def __init__(
        self,
        database: Database,
        loads: Sequence[Load],
        staging_roots: Sequence[Path],
        memory_bytes: int,
    ) -> None:
        self._database = database
        # Rows that stay encoded are not looked into, so no columns can be added to them.
        self.encoded_as = None if database.record_columns else database.encoded_as
        self.commits_many = database.rolls_back
        self._staging_roots = staging_roots
        share = max(memory_bytes // max(len(loads), 1), LEAST_MEMORY_BYTES)
        self._memory_bytes = min(memory_bytes, share)
        self._staged: dict[str, StagedLoad] = {}
        self._checks = LoadChecks()
        for load in loads:
            self._begin(load)

    def _begin(self, load: Load) -> None:
        self._staged[load.load_id] = StagedLoad(load, self._staging_roots, self._memory_bytes)

    # Staging

    @override
    def table_types(self, load: Load, *, anew: bool = False) -> TableTypes:
        """Return the types of a load's table as it is when they are first asked for."""
        table = load.table or self._database.table_for(load.source, load.stream)
        return StandingTypes(
            load, table, self._database.transaction, partial(self._shape, load=load), anew=anew
        )

    @override
    def screen(self, batch: Batch, load: Load) -> Batch:
        """Hold a batch against its table, which is looked up once between two commits."""
        staged = self._staged[load.load_id]
        screen = staged.screen
        if screen is None:
            with self._database.short_transaction() as tx:
                shape = self._shape(tx, load)
            screen = staged.screen_by(shape, load)
        return screen.take(batch)

    @override
    def export(self, batch: Batch, load: Load) -> int:
        """Stage a batch."""
        fault("export")
        staged = self._staged[load.load_id]
        batch = staged.settled(batch)
        try:
            encoded = batch.encoded(load.stream) if self.encoded_as else None
            size = staged.add(encoded or self._as_table(batch, load))
        except SchemaConflictError as error:
            raise error.named(stream=load.stream.name) from None
        fault("staged")
        return size

    def _as_table(self, batch: Batch, load: Load) -> "pa.Table":
        table = batch.to_arrow(load.stream)
        if load.declared_only:
            table = self._staged[load.load_id].without_undeclared(table, load.stream)
        return with_columns(table, batch) if self._database.record_columns else table

    @override
    def revise(self, load: Load) -> None:
        staged = self._staged.get(load.load_id)
        if staged is None:
            self._begin(load)
        else:
            staged.revise(load)

    @override
    def discard(self, load_id: str) -> None:
        self._staged[load_id].discard()

    def close(self) -> None:
        """Drop what was not published."""
        for staged in self._staged.values():
            staged.close()

    def _shape(self, tx: Transaction, load: Load) -> Shape | None:
        """Return what a load has to fit: its table, or the declared schema of one to be made."""
        ledger = self._database.ledger(tx)
        current, table = None, load.table or self._database.table_for(load.source, load.stream)
        if ledger.exists():
            current = self._current(ledger, load)
            table = self._table(ledger, load)
        existing = tx.schema(table)
        if existing is None:
            return declared_shape(load)
        ours = self._database.own_columns
        types = {field.name: field.type for field in existing if field.name not in ours}
        known = known_columns(current)
        columns_of = partial(self._database.column_identifiers, known=known, reserved=ours)
        return Shape(types, columns_of, tx.type_name, exists=True)

    def _current(self, ledger: Ledger, load: Load) -> StreamState | None:
        """Return what is stored of a load's stream."""
        if load.partitions is not None:
            return ledger.table_state(load.source, load.stream)
        return self._known(ledger, load, ledger.state(load.source, load.stream, load.partition))

    def _known(self, ledger: Ledger, load: Load, own: StreamState | None) -> StreamState | None:
        """Return what is stored of a load's table, also by the partitions of its stream.

        Args:
            ledger: The database's ledger.
            load: The load.
            own: The state row that the load goes on from.
        """
        if own is not None or not load.by_partition:
            return own
        return ledger.table_state(load.source, load.stream)

    # Publishing

    @override
    def commit(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None = None,
    ) -> list[Committed]:
        """Publish everything staged in one transaction, or nothing."""
        for load_id in bookmarks:
            if self._staged[load_id].load.waits_for_end and not complete:
                raise DestinationError(
                    "A replace is published only when its stream is complete, and so is a load "
                    "with a gate."
                )
        committed = self._checks.published(
            lambda: self._in_one_transaction(bookmarks, complete=complete, shared=shared)
        )
        fault("committed")
        if complete:
            fault("last_committed")
        is_last = complete and len(self._staged) == 1
        for one in committed:
            self._staged[one.load_id].committed(is_last=is_last)
        fault("cleaned")
        return committed

    def _in_one_transaction(
        self,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
        shared: SharedState | None,
    ) -> list[Committed]:
        size = sum(self._staged[load_id].rows.bytes for load_id in bookmarks)
        with self._database.short_transaction(size) as tx:
            ledger = self._database.ledger(tx)
            ledger.create()
            committed = self._publish_all(tx, ledger, bookmarks, complete=complete)
            if shared is not None:
                ledger.save_shared(shared, datetime.now(UTC))
            fault("state")
        return committed

    def _publish_all(
        self,
        tx: Transaction,
        ledger: Ledger,
        bookmarks: Mapping[str, Bookmark | None],
        *,
        complete: bool,
    ) -> list[Committed]:
        changes = {}
        if tx.alters_at_once:
            # A change of a table commits, so all of them come before the first row is written.
            for load_id in bookmarks:
                changes[load_id] = self._prepare_tables(tx, ledger, self._staged[load_id].load)
        committed = []
        for load_id, bookmark in bookmarks.items():
            load = self._staged[load_id].load
            try:
                one = self._publish(tx, ledger, load, bookmark)
                if load.checks and complete:
                    one = self._checks.judged(tx, ledger, load, self._table(ledger, load), one)
            except EtlAssetsError as error:
                # Of the many in this transaction, it was this one that failed.
                error.stream = error.stream or load.stream.name
                raise
            committed.append(replace(one, schema_changes=changes.get(load_id, one.schema_changes)))
        return committed

    def _prepare_tables(self, tx: Transaction, ledger: Ledger, load: Load) -> list[str]:
        """Make a load's tables as its rows need them, and stage these in the database.

        Returns:
            Sentences about what was done to the table's schema.
        """
        current = self._known(ledger, load, self._checked(ledger, load))
        table = self._table(ledger, load)
        check_owner(tx, ledger, load, table)
        rejects = self._staged[load.load_id].rejects
        if rejects is not None and load.keep_rejected:
            rejects.prepare(tx, self._rejected_table(table))
        if self._columns_if_kept(tx, load, table, current) is not None:
            return []
        plan = self._plan(load, table, current)
        prepare(tx, plan)
        return plan.changes if current else []

    def _publish(
        self, tx: Transaction, ledger: Ledger, load: Load, bookmark: Bookmark | None
    ) -> Committed:
        tx.lock(lock_name(load.source, load.stream, load.partition))
        with ledger.reading():
            table = self._table(ledger, load)
            tx.settle(table)
            own = self._checked(ledger, load)
            current = self._known(ledger, load, own)
            self._checks.begin(load, current)
            check_owner(tx, ledger, load, table)
        rows, changes, plan = 0, [], None
        columns = self._columns_if_kept(tx, load, table, current)
        if columns is None:
            plan = self._plan(load, table, current)
            rows, changes = write(tx, plan), plan.changes
            columns = columns_after(tx, load.stream, table, plan.physical, current)
        fault("rows")
        rows_in_table = tx.count(table)
        changed_by = load.load_id
        if current is not None and not rows and not load.is_whole:
            changed_by = current.changed_by
        now = datetime.now(UTC)
        entry = Entry(load, table, bookmark, rows, rows_in_table, now)
        partition_rows: dict[str, int] = {}
        if load.partitions is None:
            ledger.save(entry, own, columns, changed_by)
            if load.by_partition:  # the stream has a row of its own from now on
                ledger.forget_partitions(load.source, load.stream)
        else:
            partition_rows = rows_of_partitions(
                tx, plan or self._plan(load, table, current)
            ).counts()
            ledger.save_partitions(entry, columns, partition_rows)
        rejected, rejections = self._write_rejected(tx, ledger, entry)
        return Committed(
            load_id=load.load_id,
            rows_loaded=rows,
            rows_in_table=rows_in_table,
            bookmark=bookmark,
            committed_at=now,
            table=tx.quoted(table),
            bytes_loaded=self._staged[load.load_id].rows.bytes,
            columns=columns,
            schema_changes=changes if current else [],
            last_changed_by=changed_by,
            rejected=rejected,
            rejections=rejections,
            partition_rows=partition_rows,
        )

    def _checked(self, ledger: Ledger, load: Load) -> StreamState | None:
        """Return what is stored of a load's stream, if nobody has loaded it since the read began.

        Raises:
            ConcurrentSyncError: Somebody has.
        """
        if load.partitions is not None:
            ledger.check_fences(load)
            return ledger.table_state(load.source, load.stream)
        current = ledger.state(load.source, load.stream, load.partition)
        ledger.check_begins_from(load, current)
        return current

    def _write_rejected(
        self, tx: Transaction, ledger: Ledger, entry: Entry
    ) -> tuple[int, Sequence[Rejected]]:
        """Keep the rejected records where that is asked for.

        Returns:
            How many records were rejected, and why.
        """
        rejects = self._staged[entry.load.load_id].rejects
        if rejects is None:
            return 0, ()
        if entry.load.keep_rejected and rejects.records:
            table = self._rejected_table(entry.table)
            # To adopt a stream's table does not mean to adopt one that happens to stand beside it.
            check_owner(tx, ledger, replace(entry.load, adopt=False), table)
            rows = rejects.write(tx, table, entry.committed_at)
            ledger.note_rejected(
                replace(entry, table=table, rows_in=rows, rows_in_table=tx.count(table))
            )
        return rejects.records, rejects.counts

    # Tables and columns

    def _table(self, ledger: Ledger, load: Load) -> TableName:
        return own_table(ledger, self._database, load.source, load.stream, load.table)

    def _rejected_table(self, table: TableName) -> TableName:
        return rejected_table(table, self._database.capabilities.max_identifier_bytes)

    def _columns_if_kept(
        self, tx: Transaction, load: Load, table: TableName, current: StreamState | None
    ) -> list[Column] | None:
        """Return the table's columns if there is nothing to write, or None if a plan is needed.

        A run without anything new is the most frequent one, and a plan needs Arrow, whose import
        takes longer than the rest of such a run. So a declared type that has changed waits for the
        first rows; a new field does not.
        """
        staged = self._staged[load.load_id]
        nothing_new = not staged.rows.rows and not load.is_whole
        if not nothing_new or current is None or current.table != table:
            return None
        return columns_if_kept(
            tx, load.stream, current, staged.fields(), self._database.own_columns
        )

    def _plan(self, load: Load, table: TableName, current: StreamState | None) -> Plan:
        import pyarrow as pa

        database = self._database
        staged = self._staged[load.load_id]
        declared = declared_schema(load.stream)
        schema = staged.row_schema()
        if schema is None:
            schema = pa.schema([]) if declared is None else declared
        known = known_columns(current)
        partition_by = load.partitions.fields if load.partitions else ()
        names = list(dict.fromkeys([*schema.names, *partition_by]))
        physical = database.column_identifiers(names, known, database.own_columns)
        _check_width(load, len(physical), database)
        about = tuple(name for name in database.record_columns if name not in known.values())
        stamp = Stamp(load.load_id, database.load_id_column, database.loaded_at_column, about)
        plan = Plan(load, table, staged.rows, physical, schema, declared, stamp)
        if staged.images is not None:
            plan.stale, plan.unique = staged.images.told()
        return plan


def _check_width(load: Load, columns: int, database: Database) -> None:
    """Refuse more columns than a table can have."""
    most = database.capabilities.max_columns
    if not most:
        return
    most -= len(database.own_columns)
    if columns > most:
        raise DestinationError(
            f"stream {load.stream.name!r} has {columns} columns; a table here can have {most}.",
            hint="Select fewer columns.",
            stream=load.stream.name,
        )
