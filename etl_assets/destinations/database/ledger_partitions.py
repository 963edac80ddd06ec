"""The state rows of partitions: one for each, written by the transaction of its rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from etl_assets.destinations.database.ledger_history import PARTITION, History
from etl_assets.destinations.database.state_rows import FORMAT, dump
from etl_assets.destinations.database.stored_states import equals
from etl_assets.destinations.database.transaction import STATE_KEY
from etl_assets.exceptions import ConcurrentSyncError
from etl_assets.model.load import Load
from etl_assets.model.stored import Bookmark, Column, StreamState, TableName
from etl_assets.model.stream import Stream


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

    def check_fences(self, load: Load, states: Sequence[StreamState]) -> None:
        """Refuse a commit of partitions when another sync of one of them was faster.

        Args:
            load: The load.
            states: All state rows of its stream.

        Raises:
            ConcurrentSyncError: Names the partition, and the run that was.
        """
        names = load.partitions.names if load.partitions else ()
        there = {state.partition: state for state in states}
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
        namespace = stream.namespace or ""
        for state in self.stream_states(source, stream):
            if state.partition:
                key = (source, namespace, stream.name, state.partition)
                self._tx.execute(f"DELETE FROM {self._state} WHERE {equals(STATE_KEY)}", key)

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
        states = self.stream_states(load.source, load.stream)
        there = {state.partition: state for state in states}
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
        # The other rows of the stream are about the same table, which may be empty now.
        self._tx.execute(
            f'UPDATE {self._state} SET "rows_in_table" = ? WHERE {equals(STATE_KEY[:3])}',
            (entry.rows_in_table, *stream),
        )
