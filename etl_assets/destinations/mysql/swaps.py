"""How a table is made or replaced in MySQL, where a change of a table commits and stays.

A new table is loaded under a name of its own. The swap is noted in `_etl_assets_swaps` before it
begins. At the end comes one RENAME, which readers see as one moment, and then the COMMIT of the
state row, the ledger row, and the note that the swap is done. Whoever finds a note without its
COMMIT reverts the swap, so that the tables are again as the state row says.

A table that is to be dropped is noted, too, and dropped after the COMMIT; by whoever comes next, if
need be.

Whoever swaps holds a lock of the table as long as its note is there. If it is killed, the server
releases the lock. So a note whose lock cannot be had belongs to work in progress, and is left
alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from etl_assets.destinations.database.sql_transaction import NEW, hashed
from etl_assets.destinations.mysql.locks import Locks
from etl_assets.faults import fault
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

OLD = "_etl_assets_old"
SWAPS = "_etl_assets_swaps"
NO_SUCH_TABLE = 1146
SWAPPING, SWAPPED, DROPPING, DROPPED = range(4)
"""What a note says of its table: before the COMMIT, and once it is committed."""
Run = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Swap:
    """One table to be put in the place of another, or where none is; or one to be dropped."""

    table: TableName
    new: TableName
    old: TableName
    drops: bool = False

    @classmethod
    def of(cls, table: TableName) -> "Swap":
        """Return the names that a table's swap uses."""
        tail = hashed(table.schema, table.name)
        return cls(
            table,
            TableName(f"{NEW}_{tail}", table.schema),
            TableName(f"{OLD}_{tail}", table.schema),
        )

    @property
    def lock(self) -> str:
        """The name of the lock that whoever swaps or reverts holds."""
        return f"swap\0{self.table.schema}\0{self.table.name}"


class Swaps:
    """The swaps of one transaction, and those that others left unfinished.

    Args:
        at_once: Runs a statement that commits at once.
        within: Runs a statement in the transaction.
        locks: The locks of the transaction's session.
        schema: The database of the notes.
    """

    def __init__(self, at_once: Run, within: Run, locks: Locks, schema: str) -> None:
        self._at_once = at_once
        self._within = within
        self._locks = locks
        self._notes = _quoted(TableName(SWAPS, schema))
        self.pending: dict[TableName, Swap] = {}

    def begin(self, table: TableName, definition: str) -> TableName:
        """Make the new table, and return its name.

        Args:
            table: The table whose place it is to take.
            definition: What follows the name in the statement that makes it.
        """
        swap = Swap.of(table)
        self._locks.take(swap.lock)
        self._make_notes()
        self._at_once(f"DROP TABLE IF EXISTS {_quoted(swap.new)}", ())
        self._at_once(f"CREATE TABLE {_quoted(swap.new)} {definition}", ())
        # Noted after it is made: a note stands for a new table, or for one that was renamed.
        self._note(swap, SWAPPING)
        return swap.new

    def drop(self, table: TableName) -> None:
        """Have a table dropped with the COMMIT."""
        swap = replace(Swap.of(table), drops=True)
        self._locks.take(swap.lock)
        self._make_notes()
        self._note(swap, DROPPING)

    def _note(self, swap: Swap, what: int) -> None:
        names = (swap.table.schema, swap.table.name)
        self._at_once(
            f"INSERT INTO {self._notes} (table_schema, table_name, done) VALUES (?, ?, ?)",
            (*names, what),
        )
        self.pending[swap.table] = swap

    def rename(self) -> None:
        """Put all new tables into their places at once; with the COMMIT it is noted as done."""
        swaps = [swap for swap in self.pending.values() if not swap.drops]
        renames = []
        for swap in swaps:
            self._at_once(f"DROP TABLE IF EXISTS {_quoted(swap.old)}", ())
            if self._exists(swap.table):
                renames.append(f"{_quoted(swap.table)} TO {_quoted(swap.old)}")
            renames.append(f"{_quoted(swap.new)} TO {_quoted(swap.table)}")
        if swaps:
            self._at_once(f"RENAME TABLE {', '.join(renames)}", ())
            fault("swapped")
        for swap in self.pending.values():
            done = DROPPED if swap.drops else SWAPPED
            names = (swap.table.schema, swap.table.name)
            self._within(f"UPDATE {self._notes} SET done = ? WHERE {_WHERE}", (done, *names))

    def finish(self) -> None:
        """Drop the tables that were replaced, or were to be dropped, after the COMMIT."""
        for swap in self.pending.values():
            fault("dropping")
            self._settle(swap)
        self.pending.clear()

    def undo(self) -> None:
        """Revert this transaction's own swaps, after its ROLLBACK."""
        for swap in self.pending.values():
            self._settle(swap)
        self.pending.clear()

    def recover(self) -> None:
        """Finish or revert the swaps of processes that are gone; leave those of others alone."""
        for table in self._noted():
            swap = Swap.of(table)
            if table not in self.pending and self._locks.try_take(swap.lock):
                try:
                    self._settle(swap)
                finally:
                    self._locks.give_back(swap.lock)

    def settle(self, table: TableName) -> None:
        """Wait for whoever is making or replacing a table, and keep others out from then on.

        What a killed process has left of such work is put right.
        """
        swap = Swap.of(table)
        self._locks.take(swap.lock)
        if table in self._noted():
            self._settle(swap)

    def _settle(self, swap: Swap) -> None:
        """Have the tables agree with the state row: the note tells whether that was committed."""
        found = self._at_once(
            f"SELECT done FROM {self._notes} WHERE {_WHERE}", (swap.table.schema, swap.table.name)
        )
        said = found[0][0] if found else None
        if said == SWAPPING:
            self._revert(swap)
        elif said == SWAPPED:
            self._clean(swap, swap.old, swap.new)
        elif said == DROPPING:
            self._forget(swap)
        elif said == DROPPED:
            self._clean(swap, swap.table)

    def _noted(self) -> list[TableName]:
        import pymysql

        try:
            rows = self._within(f"SELECT table_schema, table_name FROM {self._notes}", ())
        except pymysql.err.ProgrammingError as error:
            if error.args[0] == NO_SUCH_TABLE:
                return []
            raise
        return [TableName(name, schema) for schema, name in rows]

    def _clean(self, swap: Swap, *tables: TableName) -> None:
        for table in tables:
            self._at_once(f"DROP TABLE IF EXISTS {_quoted(table)}", ())
        fault("dropped")
        self._forget(swap)

    def _revert(self, swap: Swap) -> None:
        if self._exists(swap.old):
            away = f"{_quoted(swap.table)} TO {_quoted(swap.new)}"
            back = f"{_quoted(swap.old)} TO {_quoted(swap.table)}"
            self._at_once(f"RENAME TABLE {away}, {back}", ())
        elif not self._exists(swap.new):
            # It was renamed to a name that no table had.
            self._at_once(f"RENAME TABLE {_quoted(swap.table)} TO {_quoted(swap.new)}", ())
        self._at_once(f"DROP TABLE IF EXISTS {_quoted(swap.new)}", ())
        self._forget(swap)

    def _forget(self, swap: Swap) -> None:
        self._at_once(
            f"DELETE FROM {self._notes} WHERE {_WHERE}", (swap.table.schema, swap.table.name)
        )

    def _exists(self, table: TableName) -> bool:
        sql = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?"
        return bool(self._at_once(sql, (table.schema, table.name)))

    def _make_notes(self) -> None:
        import pymysql

        try:
            self._at_once(f"SELECT 1 FROM {self._notes} LIMIT 1", ())
        except pymysql.err.ProgrammingError as error:
            if error.args[0] != NO_SUCH_TABLE:
                raise
            name = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
            self._at_once(
                f"CREATE TABLE IF NOT EXISTS {self._notes} (table_schema {name}, "
                f"table_name {name}, done TINYINT NOT NULL, "
                "PRIMARY KEY (table_schema, table_name)) ENGINE = InnoDB",
                (),
            )


_WHERE = "table_schema = ? AND table_name = ?"


def _quoted(table: TableName) -> str:
    return f"{quote(table.schema)}.{quote(table.name)}"
