"""The state rows of partitions: one for each, written by the transaction of its rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from etl_assets.destinations.database.ledger_history import (
    NUMBER,
    PARTITION,
    REJECTED,
    SET,
    History,
)
from etl_assets.destinations.database.state_rows import FORMAT, dump
from etl_assets.destinations.database.stored_states import (
    CONFIG,
    NO_PARTITIONS,
    OF_PARTITIONS,
    SPLIT,
    equals,
    listed,
)
from etl_assets.destinations.database.transaction import STATE_KEY
from etl_assets.exceptions import ConcurrentSyncError
from etl_assets.model.load import Load
from etl_assets.model.stored import Bookmark, Column, StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import quote


def joined_state(states: Sequence[StreamState]) -> StreamState | None:
    """Return what the state rows of a stream say together of its table, or None.

    The newest row says the types of the columns; columns that it lacks were made by earlier loads.
    There is no bookmark in it: each partition is loaded from its beginning.
    """
    if not states:
        return None
    newest = max(states, key=lambda one: one.committed_at)
    columns = {column.name: column for state in states for column in state.columns}
    columns |= {column.name: column for column in newest.columns}
    return replace(newest, columns=list(columns.values()), bookmark=None)


@dataclass(frozen=True)
class Entry:
    """One row of the ledger: one COMMIT of one stream."""

    load: Load
    table: TableName
    bookmark_after: Bookmark | None
    rows_in: int
    rows_in_table: int
    committed_at: datetime


class PartitionStates(History):
    """The state rows of streams that are loaded by partition, in one database."""

    def table_state(self, source: str, stream: Stream) -> StreamState | None:
        """Return what the state rows of a stream say of its table, or None if there are none.

        It is what the last commit has stored: each stores all columns that the table has then. So
        one row is read for it, and not that of each partition; unless that one was reset or set
        since then. There is no bookmark in it: a partition is loaded from its beginning.

        Raises:
            StateError: The row is damaged.
        """
        if not self.knows(source, stream):
            return None
        newest = self._newest_state(source, stream) if self._numbered() else None
        if newest is not None:
            return replace(newest, bookmark=None)
        return joined_state(self.stream_states(source, stream))

    def _newest_state(self, source: str, stream: Stream) -> StreamState | None:
        """Return the state row of a stream's last commit, if it still is as that has left it."""
        # A range of a split that is not published is no commit of the stream, nor is a rejected
        # record, and who sets a bookmark looks at no column.
        conditions = (
            f"{equals(STATE_KEY[:3])} AND {quote('strategy')} NOT IN (?, ?) "
            f"AND {quote('partition')} NOT LIKE ? AND {quote('partition')} NOT LIKE ?"
        )
        key = (source, stream.namespace or "", stream.name)
        given = (*key, SET, REJECTED, f"{SPLIT}%", f"{CONFIG}%")
        last = f"SELECT MAX({quote(NUMBER)}) FROM {self._loads} WHERE {conditions}"
        commits = self._tx.execute(
            f"SELECT {listed(('partition', 'load_id'))} FROM {self._loads} "
            f"WHERE {conditions} AND {quote(NUMBER)} = ({last})",
            (*given, *given),
        )
        for partition, load_id in commits:
            state = self.partition_states(source, stream, [partition]).get(partition)
            if state is not None and state.load_id == load_id:
                return state
        return None

    def check_fences(self, load: Load) -> None:
        """Refuse a commit of partitions when another sync of one of them was faster.

        Args:
            load: The load.

        Raises:
            ConcurrentSyncError: Names the partition, and the run that was.
        """
        names = load.partitions.names if load.partitions else ()
        there = self.partition_states(load.source, load.stream, names)
        for name in names:
            current = there.get(name)
            if (current.load_id if current else None) == load.fences.get(name):
                continue
            by = "nobody, but its state was reset"
            if current is not None:
                by = f"run {current.run_id}" if current.run_id else f"load {current.load_id}"
            raise ConcurrentSyncError(
                f"stream {load.stream.name!r}: its partition {name!r} was loaded by {by} "
                "meanwhile; this sync was rolled back.",
                hint="Nothing is lost: the next run of the partition loads it anew.",
                stream=load.stream.name,
            )

    def forget_partitions(self, source: str, stream: Stream) -> None:
        """Delete the state rows of a stream's partitions: it goes on from a row of its own."""
        self._tx.execute(
            f"DELETE FROM {self._state} WHERE {equals(STATE_KEY[:3])} AND {OF_PARTITIONS}",
            (source, stream.namespace or "", stream.name, *NO_PARTITIONS),
        )

    def save_partitions(
        self,
        entry: Entry,
        columns: Sequence[Column],
        rows: Mapping[str, int],
    ) -> None:
        """Write the state row and a row of the ledger for each partition that was loaded.

        Args:
            entry: What was loaded, of all of them together.
            columns: The table's columns.
            rows: How many rows there are of each partition now, by its name.
        """
        load = entry.load
        stream = (load.source, load.stream.namespace or "", load.stream.name)
        there = self.partition_states(load.source, load.stream, list(rows))
        after = dump(entry.bookmark_after, stream=load.stream.name)
        described = json.dumps([asdict(column) for column in columns])
        values = (
            load.load_id, load.run_id, after, entry.committed_at.isoformat(), FORMAT,
            entry.table.schema, entry.table.name, described, entry.rows_in_table, load.load_id,
        )  # fmt: skip
        for name, count in rows.items():
            key, current = (*stream, name), there.get(name)
            self._put_state(key, values, current)
            before = dump(current.bookmark if current else None)
            self._append(
                load.load_id, load.run_id, key, entry.table, PARTITION, before, after, count,
                entry.rows_in_table, entry.committed_at,
            )  # fmt: skip
        # The stream's own row, if it has one, is about the same table, which may be empty now.
        self._tx.execute(
            f'UPDATE {self._state} SET "rows_in_table" = ? WHERE {equals(STATE_KEY)}',
            (entry.rows_in_table, *stream, ""),
        )
