"""The state rows of one database: listing them, and finding those of a stream or a split."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from etl_assets.destinations.database.state_rows import (
    STATE_COLUMNS,
    STATE_TABLE,
    lost_bookmark,
    sound,
    state_of,
)
from etl_assets.destinations.database.transaction import STATE_KEY, Transaction
from etl_assets.exceptions import StateError
from etl_assets.model.events import StreamKey
from etl_assets.model.stored import StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import quote

_Answer = TypeVar("_Answer")

LEDGER_TABLE = "_etl_assets_loads"
SPLIT = "split/"
"""How the `partition` of a state row begins that belongs to a split which is not published yet."""
NAMED_AT_ONCE = 500
"""So many partitions are named in one statement; databases have a limit."""
CONFIG = "config/"
"""The `partition` of a row that holds the config with which a source was last read; no state."""

OF_PARTITIONS = " AND ".join(
    (f"{quote('partition')} <> ?", *[f"{quote('partition')} NOT LIKE ?"] * 2)
)
"""The condition that a state row is that of a partition; its parameters are `NO_PARTITIONS`."""
NO_PARTITIONS = ("", f"{SPLIT}%", f"{CONFIG}%")


class StateRows:
    """The table of the states of one database.

    Args:
        transaction: The open transaction.
        schema: The database schema of the table; "" for the connection's own.
    """

    def __init__(self, transaction: Transaction, schema: str = "") -> None:
        self._tx = transaction
        self._state_table = TableName(STATE_TABLE, schema)
        self._ledger_table = TableName(LEDGER_TABLE, schema)
        self._state = transaction.quoted(self._state_table)
        self._loads = transaction.quoted(self._ledger_table)
        self._read: dict[Any, Any] | None = None
        """What was read while nothing is written, by the question."""

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Ask each question once: nothing is written to the two tables here."""
        self._read = {}
        try:
            yield
        finally:
            self._read = None

    def _once(self, question: Any, answer: Callable[[], _Answer]) -> _Answer:
        """Return the answer to a question, which is asked once while nothing is written."""
        if self._read is None:
            return answer()
        if question not in self._read:
            self._read[question] = answer()
        found: _Answer = self._read[question]
        return found

    def states(self) -> list[StreamState]:
        """Return every state row, by key; those that are damaged say so."""
        found = self._found(
            f"SELECT {listed(STATE_COLUMNS)} FROM {self._state} ORDER BY 1, 2, 3, 4"
        )
        lost = self._lost() if any(state.bookmark is None for state in found) else set()
        told = [lost_bookmark(state) if key_of(state) in lost else state for state in found]
        return [state for state in told if not state.partition.startswith((SPLIT, CONFIG))]

    def _found(self, sql: str, parameters: Sequence[Any] = ()) -> list[StreamState]:
        return [state_of(row) for row in self._rows(sql, parameters)]

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._tx.execute(sql, parameters)
        # Some drivers give nothing at all of a row with a text that is not UTF-8.
        except UnicodeDecodeError as error:
            raise StateError(
                f"A row of the table {STATE_TABLE} is not UTF-8 text "
                f"({error.reason}; asked for: {list(parameters)}).",
                hint="Correct it in the database, or delete it: "
                f"DELETE FROM {self._state} WHERE ...",
            ) from error

    def _lost(self, key: Sequence[str] = ()) -> set[tuple[Any, ...]]:
        """Return the keys of the state rows without the bookmark that their own load has left.

        Args:
            key: Look only at the row with this key.
        """
        same = " AND ".join(
            f"l.{quote(name)} = s.{quote(name)}" for name in (*STATE_KEY, "load_id")
        )
        left = f'SELECT 1 FROM {self._loads} l WHERE {same} AND l."bookmark_after" IS NOT NULL'
        keys = ", ".join(f"s.{quote(name)}" for name in STATE_KEY)
        lost = f's."bookmark" IS NULL AND EXISTS ({left})'
        if key:
            lost += "".join(f" AND s.{quote(name)} = ?" for name in STATE_KEY)
        return set(self._tx.execute(f"SELECT {keys} FROM {self._state} s WHERE {lost}", key))

    def state(self, source: str, stream: Stream, partition: str = "") -> StreamState | None:
        """Return the state row of a stream, or None.

        Raises:
            StateError: It is damaged.
        """
        key = (source, stream.namespace or "", stream.name, partition)
        sql = f"SELECT {listed(STATE_COLUMNS)} FROM {self._state} WHERE {equals(STATE_KEY)}"
        found = self._once(("state", *key), lambda: self._found(sql, key))
        if not found:
            return None
        state = sound(found[0])
        needs_bookmark = state.bookmark is None and stream.method != "FULL_TABLE"
        if needs_bookmark and key_of(state) in self._lost(key_of(state)):
            return sound(lost_bookmark(state))
        return state

    def source_states(self, source: str, partition: str = "") -> list[StreamState]:
        """Return the state rows of a source, its shared state first; those that are damaged say so.

        The row of a shared state has an empty stream.
        """
        return self._found(
            f"SELECT {listed(STATE_COLUMNS)} FROM {self._state} "
            f"WHERE {equals(('source', 'partition'))} ORDER BY {listed(('stream', 'namespace'))}",
            (source, partition),
        )

    def source_tables(self, source: str) -> list[TableName]:
        """Return the tables that the streams of a source have."""
        found = self._rows(
            f"SELECT {listed(('stream', 'table_name', 'table_schema'))} FROM {self._state} "
            f"WHERE {equals(('source', 'partition'))}",
            (source, ""),
        )
        return [
            TableName(name or "", schema or "")
            for stream, name, schema in found
            if stream and isinstance(name, str | None) and isinstance(schema, str | None)
        ]

    def stream_states(self, source: str, stream: Stream) -> list[StreamState]:
        """Return all state rows of a stream: its own, and one for each partition that was loaded.

        Raises:
            StateError: One is damaged.
        """
        found = self._found(
            f"SELECT {listed(STATE_COLUMNS)} FROM {self._state} WHERE {equals(STATE_KEY[:3])} "
            f"ORDER BY {quote('partition')}",
            (source, stream.namespace or "", stream.name),
        )
        return [sound(one) for one in found if not one.partition.startswith((SPLIT, CONFIG))]

    def partition_states(
        self, source: str, stream: Stream, names: Sequence[str]
    ) -> dict[str, StreamState]:
        """Return the state rows of some partitions of a stream, by name; no others are read.

        Raises:
            StateError: One is damaged.
        """
        key = (source, stream.namespace or "", stream.name)
        found: list[StreamState] = []
        for first in range(0, len(names), NAMED_AT_ONCE):
            some = names[first : first + NAMED_AT_ONCE]
            marks = ", ".join("?" * len(some))
            found += self._found(
                f"SELECT {listed(STATE_COLUMNS)} FROM {self._state} WHERE {equals(STATE_KEY[:3])} "
                f"AND {quote('partition')} IN ({marks})",
                (*key, *some),
            )
        return {one.partition: sound(one) for one in found}

    def knows(self, source: str, stream: Stream) -> bool:
        """Return whether a stream has a state row, of whatever partition."""
        sql = (
            f"SELECT COUNT(*) FROM {self._state} WHERE {equals(STATE_KEY[:3])} "
            f"AND {quote('partition')} NOT LIKE ?"
        )
        key = (source, stream.namespace or "", stream.name)
        counted = self._once(("knows", *key), lambda: self._tx.execute(sql, (*key, f"{SPLIT}%")))
        return bool(counted[0][0])

    def partitioned(self, source: str) -> frozenset[StreamKey]:
        """Return the streams of a source of which partitions were loaded, by their keys."""
        sql = (
            f"SELECT DISTINCT {listed(('namespace', 'stream'))} FROM {self._state} "
            f"WHERE {equals(('source',))} AND {OF_PARTITIONS}"
        )
        found = self._tx.execute(sql, (source, *NO_PARTITIONS))
        return frozenset((namespace, stream) for namespace, stream in found)

    def splits(self, source: str, stream: Stream) -> list[StreamState]:
        """Return the state rows of a stream's unpublished split: of its plan and of its ranges."""
        found = self._found(
            f"SELECT {listed(STATE_COLUMNS)} FROM {self._state} WHERE {equals(STATE_KEY[:3])}",
            (source, stream.namespace or "", stream.name),
        )
        return [sound(state) for state in found if state.partition.startswith(SPLIT)]


def equals(names: Sequence[str]) -> str:
    """Return the condition that columns equal as many parameters."""
    return " AND ".join(f"{quote(name)} = ?" for name in names)


def listed(names: Sequence[str]) -> str:
    """Return columns for a statement; in MySQL, `partition` is a word of its own."""
    return ", ".join(map(quote, names))


def key_of(state: StreamState) -> tuple[str, str, str, str]:
    """Return what tells a state row from the others."""
    return (state.source, state.namespace, state.stream, state.partition)
