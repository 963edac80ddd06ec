"""A merge of what is staged in DuckDB."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.destinations.database.sql_transaction import STAGED, column_list, unless_newer
from etl_assets.destinations.database.transaction import Stamp
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

ARRIVAL = "_etl_assets_arrival"
"""The column of a staged row's place in the order of arrival."""


class Merge:
    """Merges the rows of the temporary table `STAGED` into a table.

    Args:
        execute: Runs a statement.
        target: The table, quoted.
        schema: The columns of the rows.
        keys: The columns that tell one row from another.
        stamp: For the columns of our own.
        newer: A column: rows that are there and are greater in it are left alone.
    """

    def __init__(
        self,
        execute: Callable[[str], Sequence[Sequence[Any]]],
        target: str,
        schema: "pa.Schema",
        keys: Sequence[str],
        stamp: Stamp,
        newer: str | None = None,
    ) -> None:
        self._execute = execute
        self._target = target
        self._columns: list[str] = schema.names
        self._keys = keys
        self._own = own_values(stamp)
        self._same = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in keys)
        compared = [f for f in schema if f.name not in keys and f.name not in stamp.about]
        self._differs = ""
        if compared:
            self._differs = unless_newer(" OR ".join(map(_differs, compared)), newer)

    def keep_last(self) -> None:
        """Of the staged rows that have one key, keep the last to arrive."""
        by = column_list(self._keys)
        repeats = f"SELECT 1 FROM {STAGED} GROUP BY {by} HAVING COUNT(*) > 1 LIMIT 1"
        if self._execute(repeats):
            last = f"SELECT max({ARRIVAL}) FROM {STAGED} GROUP BY {by}"
            self._execute(f"DELETE FROM {STAGED} WHERE {ARRIVAL} NOT IN ({last})")

    def exchange(self, *, update: bool) -> int:
        """Delete the rows that differ from their staged ones, and insert what the table then lacks.

        An update in place would have the checkpoint write every column of every row group that it
        touches: this takes three quarters of its time. A row that came again as it was is left
        alone: it keeps its load id, and what is downstream stays fresh.

        Args:
            update: Whether rows that are there are to be changed.
        """
        deleted = 0
        if update and self._differs:
            changed = f"{self._same} AND ({self._differs})"
            deleted = self._count(
                f"DELETE FROM {self._target} AS t USING {STAGED} AS s WHERE {changed}"
            )
        names = column_list([*self._columns, *self._own])
        inserted = self._count(
            f"INSERT INTO {self._target} ({names}) SELECT {self._values()} FROM {STAGED} AS s "
            f"ANTI JOIN {self._target} AS t ON ({self._same})"
        )
        # More are deleted than inserted where the table had a key twice.
        return max(deleted, inserted)

    def in_place(self) -> int:
        """Update and insert: where columns have to keep their values, or rows their place."""
        settings = [
            f"{quote(name)} = s.{quote(name)}" for name in self._columns if name not in self._keys
        ]
        settings += [f"{quote(name)} = {value}" for name, value in self._own.items()]
        matched = ""
        if self._differs:
            matched = f"WHEN MATCHED AND ({self._differs}) THEN UPDATE SET {', '.join(settings)} "
        names = column_list([*self._columns, *self._own])
        return self._count(
            f"MERGE INTO {self._target} AS t USING {STAGED} AS s ON ({self._same}) {matched}"
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({self._values()})"
        )

    def _values(self) -> str:
        return ", ".join([column_list(self._columns, "s."), *self._own.values()])

    def _count(self, sql: str) -> int:
        return int(self._execute(sql)[0][0])


def own_values(stamp: Stamp) -> dict[str, str]:
    """Return what our own columns get, as SQL, by their names."""
    return dict(stamp.named(quote(stamp.load_id, "'"), "now()"))


def _differs(field: "pa.Field") -> str:
    """Return the condition that a staged row has another value than the table's.

    -0.0 is another value than 0.0.
    """
    import pyarrow as pa

    mine, staged = f"t.{quote(field.name)}", f"s.{quote(field.name)}"
    differs = f"{mine} IS DISTINCT FROM {staged}"
    if not pa.types.is_floating(field.type):
        return differs
    return f"{differs} OR ({mine} = 0 AND signbit({mine}) <> signbit({staged}))"
