"""The ledger's rows in their order: one per COMMIT, numbered by it, and never changed.

They are ordered by `commit_number`. No clock has a say in it: load ids and `committed_at` follow
the clock of the machine that ran the sync, which may be behind that of the run before. Rows of
earlier versions have no number and come before all others, in the order of their insertion where
the engine knows it (DuckDB, SQLite), else by `committed_at`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from etl_assets.destinations.database.state_rows import FORMAT, STATE_COLUMNS, parse
from etl_assets.destinations.database.stored_states import (
    LEDGER_TABLE,
    SPLIT,
    StateRows,
    equals,
    key_of,
    listed,
)
from etl_assets.destinations.database.transaction import STATE_KEY, Transaction
from etl_assets.exceptions import StateError
from etl_assets.model.load import Load
from etl_assets.model.stored import Bookmark, StreamState, TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import quote
from etl_assets.strategies import WriteStrategy

REJECTED = "rejected"
"""In the ledger's `strategy`: a load of the table with rejected records, not of the stream's."""
SET = "set"
"""In the ledger's `strategy`: somebody has stored another bookmark."""
REWIND = "rewind"
"""In the ledger's `strategy`: the stream went back to this load; what came after it is undone."""
PARTITION = "partition"
"""In the ledger's `strategy`: the rows of one partition took the place of those that were there."""
NUMBER = "commit_number"
MOST_LOOKED_AT = 200
"""So many of the last loads are looked at for those of one kind."""
_LEDGER_COLUMNS = (
    "load_id",
    "run_id",
    *STATE_KEY,
    "table_schema",
    "table_name",
    "strategy",
    "bookmark_before",
    "bookmark_after",
    "rows_in",
    "rows_in_table",
    "committed_at",
    "format",
    NUMBER,
)


@dataclass(frozen=True)
class Past:
    """One row of the ledger, as it is read back."""

    load_id: str
    strategy: str
    rows_in: int
    bookmark_after: str | None

    @property
    def changed_rows(self) -> bool:
        """Whether the load has changed the table."""
        return bool(self.rows_in) or self.strategy in {WriteStrategy.REPLACE, PARTITION}


class History(StateRows):
    """The rows of the ledger, in one database.

    Args:
        transaction: The open transaction.
        schema: The database schema of the two tables; "" for the connection's own.
    """

    def __init__(self, transaction: Transaction, schema: str = "") -> None:
        super().__init__(transaction, schema)
        self._is_numbered: bool | None = None
        self._last_number: int | None = None

    def _migrate(self) -> None:
        """Add the column that tables of the first format lack; their rows stay as they are."""
        if self._numbered():
            return
        if not self._tx.alters_at_once:
            self._tx.lock("etl_assets ledger")
            self._is_numbered = None  # Somebody else may have migrated it before we got the lock.
            if self._numbered():
                return
        import pyarrow as pa

        self._tx.add_column(self._ledger_table, NUMBER, pa.int64())
        self._is_numbered = True
        # Rows of the new format are refused by the code of the first one, which would write rows
        # without a number. Where tables are altered at once this has to wait: a change of rows
        # would begin the transaction before its tables are made.
        if not self._tx.alters_at_once:
            self._tx.execute(
                f'UPDATE {self._state} SET "format" = ? WHERE "format" < ?', (FORMAT, FORMAT)
            )

    def _put_state(
        self, key: tuple[str, ...], values: tuple[Any, ...], current: StreamState | None
    ) -> None:
        """Write a state row: a new one, or in the place of the current one."""
        if current is None:
            marks = ", ".join("?" * len(STATE_COLUMNS))
            self._tx.execute(
                f"INSERT INTO {self._state} ({listed(STATE_COLUMNS)}) VALUES ({marks})",
                (*key, *values),
            )
        else:
            settings = ", ".join(f"{quote(name)} = ?" for name in STATE_COLUMNS[len(STATE_KEY) :])
            self._tx.execute(
                f"UPDATE {self._state} SET {settings} WHERE {equals(STATE_KEY)}", (*values, *key)
            )

    def _numbered(self) -> bool:
        """Return whether the ledger has commit numbers.

        That of an earlier version has none until something is written to it.
        """
        if self._is_numbered is None:
            columns = self._tx.type_names(self._ledger_table)
            self._is_numbered = NUMBER in {name.lower() for name in columns}
        return self._is_numbered

    def _order(self) -> str:
        """Return what the ledger's rows are ordered by, oldest first."""
        before = f'{self._inserted()}, "load_id"'
        return f"COALESCE({quote(NUMBER)}, 0), {before}" if self._numbered() else before

    def _inserted(self) -> str:
        """Return what rows without a number are ordered by."""
        return self._tx.insertion_order or quote("committed_at")

    def _next_number(self) -> int:
        """Return the number of the next row.

        The last number is read once per transaction. A commit of the same stream in between changes
        its state row, so that this one is refused. A commit of another stream may get the same
        number, which does no harm: only the loads of one stream are in an order.
        """
        if self._last_number is None:
            found = self._tx.execute(f"SELECT MAX({quote(NUMBER)}) FROM {self._loads}")
            self._last_number = int(found[0][0] or 0)
        self._last_number += 1
        return self._last_number

    def commits(self, source: str, stream: Stream) -> list[tuple[str, int, int, Bookmark | None]]:
        """Return every COMMIT of a stream, oldest first.

        Each is the load id, the rows that came in, the rows in the table, and the bookmark after
        it.
        """
        columns = listed(("load_id", "rows_in", "rows_in_table", "bookmark_after"))
        rows = self._tx.execute(
            f"SELECT {columns} FROM {self._loads} "
            f"WHERE {equals(STATE_KEY[:3])} ORDER BY {self._order()}",
            (source, stream.namespace or "", stream.name),
        )
        try:
            return [
                (load_id, rows_in, in_table, parse(after))
                for load_id, rows_in, in_table, after in rows
            ]
        except StateError as error:
            raise StateError(
                f"source {source!r}, stream {stream.name!r}: a row of the table {LEDGER_TABLE} "
                f"is damaged: bookmark_after: {error}.",
                hint=f"Set it to NULL: UPDATE {self._loads} SET bookmark_after = NULL WHERE ...",
                stream=stream.name,
            ) from error

    def rows_of_loads(self, load: Load, most: int) -> tuple[int, list[int]]:
        """Return how many rows a load has brought so far, and those before it of its own kind.

        Loads that read a stream from its beginning and those that go on are of two kinds, and so
        are those that replace the table and those that add to it. Of a load of several partitions
        it is what it has brought to each of them on average.

        Args:
            load: The load; its commits stand in the ledger.
            most: So many of the last loads are looked at.
        """
        from_beginning = 'MIN(CASE WHEN "bookmark_before" IS NULL THEN 0 ELSE 1 END)'
        stream = (load.source, load.stream.namespace or "", load.stream.name)
        newest_first = f"ROW_NUMBER() OVER (ORDER BY MAX(COALESCE({quote(NUMBER)}, 0)) DESC)"
        rows = self._tx.execute(
            'SELECT "load_id", "rows_in", "strategy", "goes_on", "commits" FROM ('
            'SELECT "load_id", SUM("rows_in") AS "rows_in", MAX("strategy") AS "strategy", '
            'COUNT(*) AS "commits", '
            f'{from_beginning} AS "goes_on", {newest_first} AS "place" FROM {self._loads} '
            f'WHERE {equals(STATE_KEY[:3])} AND "strategy" NOT IN (?, ?) '
            f'AND {quote("partition")} NOT LIKE ? GROUP BY "load_id"'
            f') d WHERE "place" <= {MOST_LOOKED_AT} ORDER BY "place"',
            (*stream, REJECTED, REWIND, f"{SPLIT}%"),
        )
        kinds = {load_id: (strategy, goes_on) for load_id, _, strategy, goes_on, _ in rows}
        # Each partition has a row of its own; other loads have one for each of their checkpoints.
        brought = {
            load_id: round(int(rows_in) / int(commits)) if strategy == PARTITION else int(rows_in)
            for load_id, rows_in, strategy, _, commits in rows
        }
        own = kinds.get(load.load_id)
        before = [
            count
            for load_id, count in brought.items()
            if load_id != load.load_id and kinds[load_id] == own
        ]
        return brought.get(load.load_id, 0), before[:most]

    def owner(self, table: TableName) -> tuple[str, str, str] | None:
        """Return source, namespace and stream of the last load into a table, or None."""
        newest = self._once(("owner", table), lambda: self._newest_in(table))
        return max(newest)[1:] if newest else None

    def _newest_in(self, table: TableName) -> list[tuple[Any, ...]]:
        """Return the load id, source, namespace and stream of the last rows about a table."""
        newest = self._newest_of(table, quote(NUMBER)) if self._numbered() else []
        return newest or self._newest_of(table, self._inserted())

    def _newest_of(self, table: TableName, order: str) -> list[tuple[Any, ...]]:
        """Return the load id, source, namespace and stream of a table's last rows by one column."""
        of_table = equals(("table_schema", "table_name"))
        # Without LIMIT, which not every database has.
        return self._tx.execute(
            f"SELECT {listed(('load_id', *STATE_KEY[:3]))} FROM {self._loads} WHERE {of_table} "
            f"AND {order} = (SELECT MAX({order}) FROM {self._loads} WHERE {of_table})",
            (table.schema, table.name, table.schema, table.name),
        )

    def later_loads(self, state: StreamState, load_id: str) -> list[Past] | None:
        """Return what came after a load, oldest first; None if it is unknown or was undone."""
        found = self._since(state, load_id)
        return None if found is None else found[1:]

    def replaced_since(self, state: StreamState, load_id: str) -> bool:
        """Return whether a table is something else than it was after a load, with rows added.

        It is if the table was replaced since then, or the load was undone.
        """
        later = self.later_loads(state, load_id)
        return later is None or any(one.strategy == WriteStrategy.REPLACE for one in later)

    def _since(self, state: StreamState, load_id: str) -> list[Past] | None:
        """Return the last row of a load and all after it, without what a rewind has undone."""
        standing: list[Past] = []
        for one in self._past(state):
            if one.strategy == REWIND:
                at = _last_of(standing, one.load_id)
                standing = standing if at is None else standing[: at + 1]
            else:
                standing.append(one)
        at = _last_of(standing, load_id)
        return None if at is None else standing[at:]

    def _past(self, state: StreamState) -> list[Past]:
        columns = listed(("load_id", "strategy", "rows_in", "bookmark_after"))
        found = self._tx.execute(
            f"SELECT {columns} FROM {self._loads} "
            f'WHERE {equals(STATE_KEY)} AND "strategy" <> ? ORDER BY {self._order()}',
            (*key_of(state), REJECTED),
        )
        return [Past(*row) for row in found]

    def _append(  # noqa: PLR0913, PLR0917 - the columns of a row, in their order
        self,
        load_id: str,
        run_id: str,
        key: tuple[str, str, str, str],
        table: TableName,
        what: str,
        before: str | None,
        after: str | None,
        rows_in: int,
        rows_in_table: int,
        at: datetime,
    ) -> None:
        values = (
            load_id,
            run_id,
            *key,
            table.schema,
            table.name,
            what,
            before,
            after,
            rows_in,
            rows_in_table,
            at.isoformat(),
            FORMAT,
            self._next_number(),
        )
        marks = ", ".join("?" * len(values))
        self._tx.execute(
            f"INSERT INTO {self._loads} ({listed(_LEDGER_COLUMNS)}) VALUES ({marks})", values
        )


def _last_of(rows: Sequence[Past], load_id: str) -> int | None:
    places = [index for index, row in enumerate(rows) if row.load_id == load_id]
    return places[-1] if places else None
