"""The state row and the ledger, beside the data and in its transaction.

`_etl_assets_state` has one row per source, namespace, stream and partition: the state of record.
The state of a whole source is a row with an empty stream. `_etl_assets_loads` gets one row per
COMMIT of a stream or of a shared state. Its rows are never changed: rewind, repair and ownership
rely on them.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from etl_assets.destinations.database import ledger_indexes
from etl_assets.destinations.database.ledger_history import (
    NUMBER,
    REJECTED,
    REWIND,
    SET,
    History,
    Past,
)
from etl_assets.destinations.database.ledger_names import NamedStates
from etl_assets.destinations.database.ledger_partitions import Entry, PartitionStates
from etl_assets.destinations.database.state_rows import (
    FORMAT,
    STATE_TABLE,
    dump,
    label_of,
    sound,
)
from etl_assets.destinations.database.stored_states import equals, key_of
from etl_assets.destinations.database.transaction import STATE_KEY, LedgerTypes
from etl_assets.exceptions import ConcurrentSyncError, StateError
from etl_assets.model.load import Load
from etl_assets.model.stored import Bookmark, Column, SharedState, StreamState, TableName
from etl_assets.naming import quote
from etl_assets.strategies import WriteStrategy


class Ledger(PartitionStates, History, NamedStates):
    """The two tables of one database.

    Args:
        transaction: An open one.
        schema: The database schema they are in; "" for the connection's own.
    """

    def create(self) -> None:
        """Make the two tables if they are missing, and migrate those of an earlier version."""
        if self.exists():
            self._migrate()
            self._index()
            return  # A user without the right to make tables may still write to those there are.
        if not self._tx.alters_at_once:
            self._tx.lock("etl_assets ledger")
        if self._state_table.schema:
            self._tx.create_schema(self._state_table.schema)
        types = self._tx.ledger_types
        self._create(self._loads, _loads_columns(types), types)
        self._create(self._state, _state_columns(types), types)
        self._index()

    def _index(self) -> None:
        self._tx.index_own(self._ledger_table, ledger_indexes.OF_LOADS)
        if not self._tx.ledger_types.unique_finds:
            self._tx.index_own(self._state_table, ledger_indexes.OF_STATES)

    def _create(self, table: str, columns: Sequence[str], types: LedgerTypes) -> None:
        options = f" {types.options}" if types.options else ""
        self._tx.execute(f"{types.create} {table} ({', '.join(columns)}){options}")

    def exists(self) -> bool:
        """Return whether anything was ever synced into this database."""
        return self._tx.exists(self._state_table)

    def unsafe(self) -> str | None:
        """Return why changes of the two tables cannot be rolled back and what to do, or None."""
        return self._tx.unsafe(self._state_table) or self._tx.unsafe(self._ledger_table)

    def insert(self, state: StreamState) -> None:
        """Write a state row that is not there yet, and no ledger row: nothing was loaded."""
        values = (
            state.load_id,
            state.run_id,
            dump(state.bookmark),
            state.committed_at.isoformat(),
            FORMAT,
            state.table.schema,
            state.table.name,
            "[]",
            state.rows_in_table,
            state.changed_by,
        )
        self._put_state(key_of(state), values, None)

    def check_begins_from(self, load: Load | SharedState, current: StreamState | None) -> None:
        """Refuse a commit when another sync of the stream, or of the source, was faster.

        Raises:
            ConcurrentSyncError: Another sync was. The error names its run.
        """
        found = current.load_id if current else None
        if found == load.begins_from:
            return
        stream = load.stream.name if isinstance(load, Load) else None
        what = f"the source {load.source!r}" if stream is None else f"stream {stream!r}"
        if current is None:
            by = "nobody, but its state was reset"
        else:
            by = f"run {current.run_id}" if current.run_id else f"load {found}"
        raise ConcurrentSyncError(
            f"{what} was synced by {by} meanwhile; this sync was rolled back.",
            hint="Nothing is lost: the next run goes on from there.",
            stream=stream,
        )

    def save(
        self, entry: Entry, current: StreamState | None, columns: Sequence[Column], changed_by: str
    ) -> None:
        """Write the state row and append to the ledger."""
        load = entry.load
        key = (load.source, load.stream.namespace or "", load.stream.name, load.partition)
        committed_at = entry.committed_at.isoformat()
        before = dump(current.bookmark if current else None)
        after = dump(entry.bookmark_after, stream=load.stream.name)
        values = (
            load.load_id,
            load.run_id,
            after,
            committed_at,
            FORMAT,
            entry.table.schema,
            entry.table.name,
            json.dumps([asdict(column) for column in columns]),
            entry.rows_in_table,
            changed_by,
        )
        self._put_state(key, values, current)
        self._append(
            load.load_id,
            load.run_id,
            key,
            entry.table,
            str(load.strategy),
            before,
            after,
            entry.rows_in,
            entry.rows_in_table,
            entry.committed_at,
        )

    def save_shared(self, shared: SharedState, at: datetime) -> None:
        """Write the state row of a whole source and append to the ledger, if nobody was faster."""
        states = self.source_states(shared.source, shared.partition)
        current = next((sound(one) for one in states if one.shared), None)
        self.check_begins_from(shared, current)
        load_id, run_id = shared.load_id, shared.run_id
        key = (shared.source, "", "", shared.partition)
        before = dump(current.bookmark if current else None)
        after = dump(shared.bookmark)
        values = (load_id, run_id, after, at.isoformat(), FORMAT, "", "", "[]", 0, load_id)
        self._put_state(key, values, current)
        self._append(load_id, run_id, key, TableName(""), "state", before, after, 0, 0, at)

    def note_rejected(self, entry: Entry) -> None:
        """Append what was kept of rejected records, which makes their table the stream's own."""
        load = entry.load
        key = (load.source, load.stream.namespace or "", load.stream.name, load.partition)
        self._append(
            load.load_id,
            load.run_id,
            key,
            entry.table,
            REJECTED,
            None,
            None,
            entry.rows_in,
            entry.rows_in_table,
            entry.committed_at,
        )

    def note(self, state: StreamState, noted: Bookmark) -> None:
        """Write something down in the place of a row's bookmark, and leave all else as it is.

        It is for rows that no sync goes on from.
        """
        self._tx.execute(
            f"UPDATE {self._state} SET {quote('bookmark')} = ? "
            f"WHERE {equals(STATE_KEY)} AND {quote('load_id')} = ?",
            (dump(noted), *key_of(state), state.load_id),
        )

    # For people: `etl-assets state`

    def set_bookmark(
        self,
        state: StreamState,
        bookmark: Bookmark | None,
        load_id: str,
        *,
        read_at: datetime | None = None,
    ) -> None:
        """Store another bookmark, and repair whatever else of the row is damaged.

        The row gets the load id that is given, so that a sync which began before is refused.

        Args:
            state: The row as it is.
            bookmark: What it gets.
            load_id: A new one.
            read_at: When somebody else has read up to the bookmark, if that is why it is set.

        Raises:
            StateError: The row does not tell the stream's table any more.
        """
        if not state.shared and not state.table.name:
            raise StateError(
                f"stream {state.stream!r}: its row in the table {STATE_TABLE} "
                "does not tell where its rows are.",
                hint=f"Load everything anew after `etl-assets state reset {label_of(state)}`.",
                stream=state.stream,
            )
        self._migrate()
        now = datetime.now(UTC)
        before, after = dump(state.bookmark), dump(bookmark, stream=state.stream or None)
        there = not state.shared and self._tx.exists(state.table)
        rows = self._tx.count(state.table) if there else 0
        changed: dict[str, Any] = {"bookmark": after, "load_id": load_id, "run_id": ""}
        if there:
            changed["rows_in_table"] = rows  # Somebody may have deleted rows before this.
        if read_at is not None:
            changed["committed_at"] = read_at.isoformat()
        if state.damage is not None:
            columns = json.dumps([asdict(column) for column in state.columns])
            changed |= {
                "committed_at": now.isoformat(),
                "format": FORMAT,
                "columns": columns,
                "rows_in_table": rows,
            }
            changed |= {"changed_by": state.changed_by, "table_schema": state.table.schema}
        settings = ", ".join(f"{quote(name)} = ?" for name in changed)
        self._tx.execute(
            f"UPDATE {self._state} SET {settings} WHERE {equals(STATE_KEY)}",
            (*changed.values(), *key_of(state)),
        )
        self._append(load_id, "", key_of(state), state.table, SET, before, after, 0, rows, now)

    def delete(self, state: StreamState) -> None:
        """Delete a state row; the ledger still knows the table, so the next sync replaces it.

        A shared state goes with the rows of all its source's streams: without it they would be
        appended once more.
        """
        if state.shared:
            key = (state.source, state.partition)
            self._tx.execute(
                f"DELETE FROM {self._state} WHERE {equals(('source', 'partition'))}", key
            )
        else:
            self._tx.execute(f"DELETE FROM {self._state} WHERE {equals(STATE_KEY)}", key_of(state))

    def rename_source(self, old: str, new: str) -> int:
        """Move the states and loads of a source to another name, and return how many states.

        Raises:
            StateError: The new name already has states.
        """
        count = f"SELECT COUNT(*) FROM {self._state} WHERE {equals(('source',))}"
        if self._tx.execute(count, (new,))[0][0]:
            raise StateError(
                f"The source {new!r} has stored states already; {old!r} cannot be renamed to it."
            )
        renamed = int(self._tx.execute(count, (old,))[0][0])
        for table in (self._state, self._loads):
            self._tx.execute(
                f"UPDATE {table} SET {equals(('source',))} WHERE {equals(('source',))}", (new, old)
            )
        return renamed

    def rewind(self, state: StreamState, load_id: str, load_id_column: str | None) -> int:
        """Go back to what a stream was after a load.

        The rows of the later loads are deleted by their load ids, and the bookmark is restored.

        Returns:
            How many rows were deleted.

        Raises:
            StateError: There is no such load; or a later one has merged or replaced rows, which
                cannot be undone; or the bookmark is that of the whole source, which does not go
                back for one stream.
        """
        if any(one.shared for one in self.source_states(state.source, state.partition)):
            raise StateError(
                f"the streams of {state.source!r} share one state, "
                "which cannot be rewound for one of them.",
                hint="Do a full refresh of the stream, or `etl-assets state reset` it.",
                stream=state.stream or None,
            )
        self._migrate()
        found = self._since(state, load_id)
        if found is None:
            raise self._not_standing(state, load_id)
        target, later = found[0], found[1:]
        deleted = self._undo(state, later, load_id_column)
        rows = self._tx.count(state.table)
        self._tx.execute(
            f'UPDATE {self._state} SET "bookmark" = ?, "load_id" = ?, "rows_in_table" = ?, '
            f'"changed_by" = ? WHERE {equals(STATE_KEY)}',
            (target.bookmark_after, load_id, rows, load_id, *key_of(state)),
        )
        key, now = key_of(state), datetime.now(UTC)
        before, after = dump(state.bookmark), target.bookmark_after
        self._append(load_id, "", key, state.table, REWIND, before, after, 0, rows, now)
        return deleted

    def _not_standing(self, state: StreamState, load_id: str) -> StateError:
        """Return the error that a load was undone, or never was."""
        if any(one.load_id == load_id for one in self._past(state)):
            return StateError(
                f"stream {state.stream!r}: the load {load_id} was undone by an earlier rewind; "
                "its rows are gone.",
                hint="Its rows come again with the next sync.",
                stream=state.stream,
            )
        return StateError(f"stream {state.stream!r} has no load {load_id!r}.", stream=state.stream)

    def _undo(self, state: StreamState, later: Sequence[Past], load_id_column: str | None) -> int:
        """Delete the rows of loads, and the rejected records that were kept of them.

        Returns:
            How many rows were in the stream's table.
        """
        changing = [one for one in later if one.changed_rows]
        for one in changing:
            if one.strategy != WriteStrategy.APPEND:
                raise _not_undone(state, one, f"it was a {one.strategy}")
        deleted = 0
        if changing:
            if load_id_column is None:
                raise _not_undone(state, changing[0], "its rows carry no load id")
            deleted = self._delete_loads(state, [one.load_id for one in changing], load_id_column)
        self._delete_rejected(state, [one.load_id for one in later])
        return deleted

    def _delete_loads(self, state: StreamState, load_ids: Sequence[str], column: str) -> int:
        before = self._tx.count(state.table)
        marks = ", ".join("?" * len(load_ids))
        self._tx.execute(
            f"DELETE FROM {self._tx.quoted(state.table)} WHERE {quote(column)} IN ({marks})",
            load_ids,
        )
        return before - self._tx.count(state.table)

    def _delete_rejected(self, state: StreamState, load_ids: Sequence[str]) -> None:
        """Delete the kept records of later loads: they will come, and be rejected, again."""
        found = self._tx.execute(
            f'SELECT DISTINCT "table_schema", "table_name" FROM {self._loads} '
            f"WHERE {equals((*STATE_KEY, 'strategy'))}",
            (*key_of(state), REJECTED),
        )
        for schema, name in found if load_ids else ():
            table = TableName(name, schema or "")
            if self._tx.schema(table) is not None:
                marks = ", ".join("?" * len(load_ids))
                self._tx.execute(
                    f'DELETE FROM {self._tx.quoted(table)} WHERE "load_id" IN ({marks})', load_ids
                )


def _not_undone(state: StreamState, load: Past, why: str) -> StateError:
    return StateError(
        f"stream {state.stream!r}: the load {load.load_id} cannot be undone: {why}.",
        hint="Use `etl-assets state set` and accept that rows are read again, "
        "or do a full refresh.",
        stream=state.stream,
    )


def _loads_columns(types: LedgerTypes) -> Sequence[str]:
    """Return how the columns of the ledger are defined."""
    varchar, key, text, big = types.varchar, types.key, types.text, types.big
    return (
        f'"load_id" {varchar}(64) NOT NULL',
        f'"run_id" {varchar}(255)',
        *(f"{quote(name)} {key} NOT NULL" for name in STATE_KEY),
        f'"table_schema" {key}',
        f'"table_name" {key}',
        f'"strategy" {varchar}(16)',
        f'"bookmark_before" {text}',
        f'"bookmark_after" {text}',
        f'"rows_in" {big}',
        f'"rows_in_table" {big}',
        f'"committed_at" {varchar}(40) NOT NULL',
        '"format" INTEGER NOT NULL',
        f"{quote(NUMBER)} {big}",
    )


def _state_columns(types: LedgerTypes) -> Sequence[str]:
    """Return how the columns of the state table are defined."""
    varchar, key, text, big = types.varchar, types.key, types.text, types.big
    return (
        *(f"{quote(name)} {key} NOT NULL" for name in STATE_KEY),
        f'"load_id" {varchar}(64) NOT NULL',
        f'"run_id" {varchar}(255)',
        f'"bookmark" {text}',
        f'"committed_at" {varchar}(40) NOT NULL',
        '"format" INTEGER NOT NULL',
        f'"table_schema" {key}',
        f'"table_name" {key}',
        f'"columns" {text}',
        f'"rows_in_table" {big}',
        f'"changed_by" {varchar}(64)',
        types.unique,
    )
