"""A merge that asks no more of an engine than SELECT, INSERT and UPDATE.

Rows are looked up and compared here, some at a time, so that neither temporary tables nor MERGE are
needed, which every engine spells its own way. In memory are one batch of rows and, where a key may
come twice, the keys that were merged so far.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from etl_assets.destinations.database.transaction import Stamp
from etl_assets.engine.casting import RefusedValueError
from etl_assets.model.stored import TableName

if TYPE_CHECKING:
    import pyarrow as pa

SLICE_BYTES = 2 * 1024 * 1024
"""How many bytes of Arrow are Python's values at once, which take many times the memory."""
Row = tuple[Any, ...]


class RowAccess(Protocol):
    """What a merge asks of a transaction. Rows are tuples of values as the driver takes them."""

    keys_at_once: int

    def bound_rows(self, batch: "pa.RecordBatch") -> list[Row]:
        """Return rows as the driver takes them."""
        ...

    def insert_rows(
        self, table: TableName, names: Sequence[str], rows: Sequence[Row], stamp: Stamp
    ) -> None:
        """Insert rows."""
        ...

    def update_rows(
        self,
        table: TableName,
        schema: "pa.Schema",
        keys: Sequence[str],
        rows: Sequence[Row],
        stamp: Stamp,
    ) -> None:
        """Update the rows that have the keys of these."""
        ...

    def rows_with(
        self, table: TableName, schema: "pa.Schema", keys: Sequence[str], wanted: Sequence[Row]
    ) -> "pa.Table":
        """Return the rows of a table that have one of the wanted keys."""
        ...


class RowMerge:
    """One merge into one table.

    Args:
        rows: What reads and writes the table's rows.
        table: The table.
        schema: The schema of the rows.
        stamp: What our own columns get.
        keys: The columns that tell one row from another.
        update: Whether rows that are there are to be changed.
        unique: Whether it is known that no key comes twice.
        newer: Rows that are there and are greater in this column are left alone.
    """

    def __init__(
        self,
        rows: RowAccess,
        table: TableName,
        schema: "pa.Schema",
        stamp: Stamp,
        keys: Sequence[str],
        *,
        update: bool,
        unique: bool,
        newer: str | None = None,
    ) -> None:
        self._rows = rows
        self._table = table
        self._schema = schema
        self._stamp = stamp
        self._keys = keys
        self._key_positions = [schema.get_field_index(key) for key in keys]
        # A difference in what is about a record makes no row another one.
        self._compared = [at for at, name in enumerate(schema.names) if name not in stamp.about]
        self._update = update
        self._unique = unique
        self._newer = None if newer is None else schema.get_field_index(newer)
        self._merged: set[Row] = set()

    def run(self, rows: "pa.RecordBatchReader") -> int:
        """Merge rows, and return how many were inserted or changed."""
        return sum(self._merge(batch) for batch in in_slices(rows, self._rows.keys_at_once))

    def _merge(self, batch: "pa.RecordBatch") -> int:
        self._refuse_nan_keys(batch)
        staged = _comparable_rows(batch)
        # Of a key that comes twice the last arrival wins.
        last = {self._key_of(row): position for position, row in enumerate(staged)}
        bound = self._rows.bound_rows(batch)
        wanted = [
            tuple(bound[position][at] for at in self._key_positions) for position in last.values()
        ]
        found = _comparable_rows(
            self._rows.rows_with(self._table, self._schema, self._keys, wanted)
        )
        there = {self._key_of(row): row for row in found}

        fresh, changed, counted_before = [], [], 0
        for key, position in last.items():
            if key not in there:
                fresh.append(bound[position])
            # A row that came again as it was is left alone: it keeps its load id, and what is
            # downstream stays fresh.
            elif self._replaces(key, there[key], staged[position]):
                changed.append(bound[position])
                counted_before += key in self._merged
        self._rows.insert_rows(self._table, self._schema.names, fresh, self._stamp)
        self._rows.update_rows(self._table, self._schema, self._keys, changed, self._stamp)
        if not self._unique:
            self._merged.update(last)
        return len(fresh) + len(changed) - counted_before

    def _key_of(self, row: Row) -> Row:
        return tuple(row[at] for at in self._key_positions)

    def _replaces(self, key: Row, there: Row, staged: Row) -> bool:
        """Return whether a staged row takes the place of the one with its key."""
        if not self._may_update(key) or self._is_newer(there, staged):
            return False
        return self._differs(there, staged)

    def _is_newer(self, there: Row, staged: Row) -> bool:
        if self._newer is None:
            return False
        one, other = there[self._newer], staged[self._newer]
        return one is not None and other is not None and one > other

    def _may_update(self, key: Row) -> bool:
        # Even if rows from before stay as they are, one that this merge has inserted gives way to a
        # later arrival.
        return self._update or key in self._merged

    def _differs(self, there: Row, staged: Row) -> bool:
        return any(_exact(there[at]) != _exact(staged[at]) for at in self._compared)

    def _refuse_nan_keys(self, batch: "pa.RecordBatch") -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        for key, at in zip(self._keys, self._key_positions, strict=True):
            column = batch.column(at)
            if pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
                raise RefusedValueError(
                    key, "a key that is NaN equals no other one, not even itself.", math.nan
                )


def in_slices(rows: "pa.RecordBatchReader", most: int) -> "Iterator[pa.RecordBatch]":
    """Yield rows, at most so many at a time, and few enough bytes to be made Python's values."""
    for batch in rows:
        bytes_per_row = max(1, batch.nbytes // max(1, batch.num_rows))
        step = max(1, min(most, SLICE_BYTES // bytes_per_row))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _comparable_rows(rows: "pa.RecordBatch | pa.Table") -> list[Row]:
    return list(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _exact(value: Any) -> Any:
    """Return something that is equal only for the same value.

    A float is not: NaN differs from itself, and -0.0 equals 0.0.
    """
    return value.hex() if isinstance(value, float) else value
