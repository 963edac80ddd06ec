"""The session of a database: stage batches, then publish them with their state and ledger rows in one transaction."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.contract import Screen, Shape, declared_shape, settled
from etl_assets.destinations.database.images import Images, tells_images_apart
from etl_assets.destinations.database.interface import Database
from etl_assets.destinations.database.known_tables import check_owner, lock_name, table_in
from etl_assets.destinations.database.ledger import Entry, Ledger
from etl_assets.destinations.database.plan import Plan
from etl_assets.destinations.database.record_columns import is_staged, with_columns
from etl_assets.destinations.database.rejected import Rejects, rejected_table
from etl_assets.destinations.database.standing import StandingTypes
from etl_assets.destinations.database.transaction import Stamp, Transaction
from etl_assets.destinations.database.write import prepare, write
from etl_assets.engine.staging import Staging
from etl_assets.exceptions import DestinationError, EtlAssetsError, SchemaConflictError
from etl_assets.faults import fault
from etl_assets.model.batch import Batch, Encoding, declared_schema
from etl_assets.model.contract import Rejected
from etl_assets.model.load import Committed, Load, Session
from etl_assets.model.request import TableTypes
from etl_assets.model.selection import is_column_selected, key_columns
from etl_assets.model.stored import Bookmark, Column, SharedState, StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    import pyarrow as pa

LOGGER = "etl_assets.destinations"
LEAST_MEMORY_BYTES = 1024 * 1024
"""For a load among many others; less would make many small files."""


class DatabaseSession(Session):
    """Stages what is exported, and publishes it with `commit`.

    Args:
        database: The destination.
        loads: What is loaded.
        staging_roots: Where batches are written that do not fit `memory_bytes`, in the first that
            can be written.
        memory_bytes: Of all loads together, in equal parts.
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
        # What stays encoded is looked into nowhere, and gets no columns.
        self.encoded_as = None if database.record_columns else database.encoded_as
        self.commits_many = database.rolls_back
        self._loads = {load.load_id: load for load in loads}
        self._staging_roots = staging_roots
        self._memory_bytes = min(
            memory_bytes, max(memory_bytes // max(len(loads), 1), LEAST_MEMORY_BYTES)
        )
        self._staging: dict[str, Staging] = {}
        self._screens: dict[str, Screen] = {}
        self._rejects: dict[str, Rejects] = {}
        self._images: dict[str, Images] = {}
        self._pruned: dict[str, set[str]] = {}
        for load in loads:
            self._prepare(load)

    def _prepare(self, load: Load) -> None:
        staging = self._staging[load.load_id] = Staging(self._staging_roots, self._memory_bytes)
        if tells_images_apart(load):
            self._images[load.load_id] = Images(
                load, staging, Staging(self._staging_roots, self._memory_bytes // 4)
            )
        if not load.contract.evolves:
            staging = Staging(self._staging_roots, self._memory_bytes)
            self._rejects[load.load_id] = Rejects(load, staging)

    @override
    def table_types(self, load: Load, *, anew: bool = False) -> TableTypes:
        """Return the types of a load's table as it stands when it is asked for the first time."""
        table = load.table or self._database.table_for(load.source, load.stream)
        return StandingTypes(
            load, table, self._database.transaction, partial(self._shape, load=load), anew=anew
        )

    @override
    def screen(self, batch: Batch, load: Load) -> Batch:
        """Hold a batch against the table as it is, which is looked up once between two commits."""
        screen = self._screens.get(load.load_id)
        if screen is None:
            with self._database.transaction() as tx:
                shape = self._shape(tx, load)
            screen = self._screens[load.load_id] = Screen(
                load, shape, self._rejects[load.load_id].add
            )
        return screen.take(batch)

    @override
    def export(self, batch: Batch, load: Load) -> int:
        """Stage a batch."""
        fault("export")
        if batch.rejections:
            batch = settled(batch, self._rejects[load.load_id].add)
        try:
            encoded = batch.encoded(load.stream) if self.encoded_as else None
            staged = self._staging[load.load_id].add(part := encoded or self._to_stage(batch, load))
        except SchemaConflictError as error:
            raise error.named(stream=load.stream.name) from None
        if images := self._images.get(load.load_id):
            images.follow(part)
        fault("staged")
        return staged

    def _to_stage(self, batch: Batch, load: Load) -> "pa.Table":
        table = batch.to_arrow(load.stream)
        if load.declared_only:
            table = self._declared(table, load)
        return with_columns(table, batch) if self._database.record_columns else table

    def _declared(self, table: "pa.Table", load: Load) -> "pa.Table":
        """Return a table without the fields that its stream does not declare.

        It is logged once which these are.
        """
        properties = (load.stream.schema or {}).get("properties")
        if not properties:
            return table
        known = {*properties, *key_columns(load.stream)}
        pruned = [name for name in table.column_names if name not in known]
        told = self._pruned.setdefault(load.load_id, set())
        if new := set(pruned) - told:
            told |= new
            logging.getLogger(LOGGER).warning(
                "%s: fields that it does not declare are left out: %s (read(prune_undeclared_fields=False) keeps them)",
                load.stream.full_name,
                ", ".join(sorted(new)),
            )
        return table.drop_columns(pruned) if pruned else table

    @override
    def revise(self, load: Load) -> None:
        known = self._loads.get(load.load_id)
        if known is None:
            self._prepare(load)
        self._screens.pop(load.load_id, None)  # what the stream declares may be another thing now
        self._loads[load.load_id] = replace(load, begins_from=known.begins_from) if known else load

    @override
    def discard(self, load_id: str) -> None:
        self._staging[load_id].clear()
        self._screens.pop(load_id, None)
        if load_id in self._rejects:
            self._rejects[load_id].clear()

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
            if self._loads[load_id].strategy is WriteStrategy.REPLACE and not complete:
                raise DestinationError("A replace is published only when its stream is complete.")
        with self._database.transaction() as tx:
            ledger = self._database.ledger(tx)
            ledger.create()
            changes = {
                i: self._prepare_tables(tx, ledger, self._loads[i])
                for i in bookmarks
                if tx.alters_at_once
            }
            committed = [
                self._published(tx, ledger, self._loads[i], bookmark)
                for i, bookmark in bookmarks.items()
            ]
            committed = [
                replace(c, schema_changes=changes.get(c.load_id, c.schema_changes))
                for c in committed
            ]
            if shared is not None:
                ledger.save_shared(shared, datetime.now(UTC))
            fault("state")
        fault("committed")
        if complete:
            fault("last_committed")
        for one in committed:
            if one.load_id in self._images:
                self._images[one.load_id].commit(complete=complete and len(self._loads) == 1)
            self._staging[one.load_id].clear()
            if one.load_id in self._rejects:
                self._rejects[one.load_id].clear()
                self._screens.pop(one.load_id, None)  # the table may be there now
            load = self._loads[one.load_id]
            self._loads[one.load_id] = replace(load, begins_from=load.load_id)
        fault("cleaned")
        return committed

    def close(self) -> None:
        """Drop what was not published."""
        for staging in self._staging.values():
            staging.clear()
        for rejects in self._rejects.values():
            rejects.clear()
        for images in self._images.values():
            images.clear()

    def _shape(self, tx: Transaction, load: Load) -> Shape | None:
        """Return what a load has to fit: its table, or the schema that is declared for one to be."""
        ledger = self._database.ledger(tx)
        current = (
            ledger.state(load.source, load.stream, load.partition) if ledger.exists() else None
        )
        place = load.table or self._database.table_for(load.source, load.stream)
        existing = tx.schema(self._table(ledger, load) if ledger.exists() else place)
        if existing is None:
            return declared_shape(load)
        known = {column.name: column.physical for column in current.columns} if current else {}
        ours = self._own_columns()
        types = {field.name: field.type for field in existing if field.name not in ours}
        columns_of = partial(self._database.column_identifiers, known=known, reserved=ours)
        return Shape(types, columns_of, tx.type_name, exists=True)

    def _table(self, ledger: Ledger, load: Load) -> TableName:
        return table_in(ledger, self._database, load.source, load.stream, load.table)

    def _own_columns(self) -> list[str]:
        named = (self._database.load_id_column, self._database.loaded_at_column)
        return [*(name for name in named if name), *self._database.record_columns]

    def _write_rejected(
        self, tx: Transaction, ledger: Ledger, entry: Entry
    ) -> tuple[int, Sequence[Rejected]]:
        """Keep the rejected records where that is asked for; gives how many there were, and why."""
        rejects = self._rejects.get(entry.load.load_id)
        if rejects is None:
            return 0, ()
        if entry.load.keep_rejected and rejects.records:
            table = rejected_table(entry.table, self._database.capabilities.max_identifier_bytes)
            check_owner(tx, ledger, replace(entry.load, adopt=False), table)
            rows = rejects.write(tx, table, entry.committed_at)
            ledger.note_rejected(
                replace(entry, table=table, rows_in=rows, rows_in_table=tx.count(table))
            )
        return rejects.records, rejects.counts

    def _prepare_tables(self, tx: Transaction, ledger: Ledger, load: Load) -> list[str]:
        """Make a load's tables as its rows need them, and stage these.

        Gives what was done to the table's schema.
        """
        current = ledger.state(load.source, load.stream, load.partition)
        ledger.check_begins_from(load, current)
        table = self._table(ledger, load)
        check_owner(tx, ledger, load, table)
        rejects = self._rejects.get(load.load_id)
        if rejects is not None and load.keep_rejected:
            rejects.prepare(
                tx, rejected_table(table, self._database.capabilities.max_identifier_bytes)
            )
        if self._unchanged(tx, load, table, current) is not None:
            return []
        plan = self._plan(load, table, current)
        prepare(tx, plan)
        return plan.changes if current else []

    def _published(
        self, tx: Transaction, ledger: Ledger, load: Load, bookmark: Bookmark | None
    ) -> Committed:
        try:
            return self._publish(tx, ledger, load, bookmark)
        except EtlAssetsError as error:
            error.stream = (
                error.stream or load.stream.name
            )  # of many in one transaction, this one failed
            raise

    def _publish(
        self, tx: Transaction, ledger: Ledger, load: Load, bookmark: Bookmark | None
    ) -> Committed:
        stream = load.stream
        tx.lock(lock_name(load.source, stream, load.partition))
        table = self._table(ledger, load)
        tx.settle(table)
        current = ledger.state(load.source, stream, load.partition)
        ledger.check_begins_from(load, current)
        check_owner(tx, ledger, load, table)
        unchanged = self._unchanged(tx, load, table, current)
        if unchanged is None:
            plan = self._plan(load, table, current)
            rows, changes = write(tx, plan), plan.changes
            columns = _columns_of(tx, load.stream, table, plan.physical, current)
        else:
            rows, changes, columns = 0, [], unchanged
        fault("rows")
        rows_in_table = tx.count(table)
        changed = bool(rows) or load.strategy is WriteStrategy.REPLACE
        changed_by = load.load_id if changed or current is None else current.changed_by
        now = datetime.now(UTC)
        entry = Entry(load, table, bookmark, rows, rows_in_table, now)
        ledger.save(entry, current, columns, changed_by)
        rejected, rejections = self._write_rejected(tx, ledger, entry)
        return Committed(
            load_id=load.load_id,
            rows_loaded=rows,
            rows_in_table=rows_in_table,
            bookmark=bookmark,
            committed_at=now,
            table=tx.quoted(table),
            bytes_loaded=self._staging[load.load_id].bytes,
            columns=columns,
            schema_changes=changes if current else [],
            last_changed_by=changed_by,
            rejected=rejected,
            rejections=rejections,
        )

    def _unchanged(
        self, tx: Transaction, load: Load, table: TableName, current: StreamState | None
    ) -> list[Column] | None:
        """Return the table's columns where there is nothing to write at all.

        None where a plan has to be made.

        A run without anything new is the most frequent one, and a plan needs Arrow, whose import
        takes longer than the rest of such a run. So a declared type that has changed waits for the
        first rows; a new field does not.
        """
        staging = self._staging[load.load_id]
        nothing = not staging.rows and load.strategy is not WriteStrategy.REPLACE
        if not nothing or current is None or current.table != table:
            return None
        types = tx.type_names(table)
        known = {
            column.name: column.physical for column in current.columns if column.physical in types
        }
        declared = [
            n
            for n in (load.stream.schema or {}).get("properties") or {}
            if is_column_selected(load.stream, n)
        ]
        declared += (
            [n for n in staging.schema.names if n not in declared]
            if staging.schema is not None
            else []
        )
        ours = self._own_columns()
        if not known or not known.keys() >= set(declared) or not types.keys() >= set(ours):
            return None
        return _columns_of(
            tx, load.stream, table, {name: known[name] for name in declared}, current
        )

    def _plan(self, load: Load, table: TableName, current: StreamState | None) -> Plan:
        import pyarrow as pa

        staging = self._staging[load.load_id]
        declared = declared_schema(load.stream)
        schema = (
            declared
            if staging.schema is None
            else pa.schema(f for f in staging.schema if not is_staged(f.name))
        )
        if schema is None:
            schema = pa.schema([])
        known = {column.name: column.physical for column in current.columns} if current else {}
        ours = self._own_columns()
        physical = self._database.column_identifiers(schema.names, known, ours)
        limit = self._database.capabilities.max_columns
        if limit and len(physical) + len(ours) > limit:
            raise DestinationError(
                f"stream {load.stream.name!r} has {len(physical)} columns; a table here can have {limit - len(ours)}.",
                hint="Select fewer columns.",
                stream=load.stream.name,
            )
        about = tuple(name for name in self._database.record_columns if name not in known.values())
        stamp = Stamp(
            load.load_id, self._database.load_id_column, self._database.loaded_at_column, about
        )
        images = self._images.get(load.load_id)
        stale, unique = images.told() if images else (None, False)
        return Plan(
            load, table, staging, physical, schema, declared, stamp, stale=stale, unique=unique
        )


def _columns_of(
    tx: Transaction,
    stream: Stream,
    table: TableName,
    fields: Mapping[str, str],
    current: StreamState | None,
) -> list[Column]:
    """Return the table's columns: those of this load's fields first, then the ones kept from earlier loads."""
    types = tx.type_names(table)
    properties: Mapping[str, Any] = (stream.schema or {}).get("properties") or {}
    columns = []
    for name, physical in fields.items():
        if physical not in types:
            continue  # left out by the contract of a load without rows
        declared = properties.get(name)
        prop = declared if isinstance(declared, Mapping) else {}
        description = prop.get("description")
        if physical != name:
            description = f"{description or ''} (field {name!r})".strip()
        allowed = prop.get("type")
        nullable = allowed is None or "null" in allowed
        columns.append(Column(name, physical, types[physical], nullable, description))
    kept = [
        c
        for c in (current.columns if current else ())
        if c.name not in fields and c.physical in types
    ]
    return columns + kept
