"""Writing and reading rows by INSERT, UPDATE and SELECT, which every engine has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.row_merge import Row, RowMerge, in_slices
from etl_assets.destinations.database.sql_transaction import (
    FETCHED_ROWS,
    NEW,
    SqlTransaction,
    column_list,
    copying,
    hashed,
    stamps,
    table_of,
    with_marks,
)
from etl_assets.destinations.database.transaction import Stamp
from etl_assets.destinations.database.values import array
from etl_assets.engine.casting import cast
from etl_assets.exceptions import SchemaConflictError
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

WIDENED = "_etl_assets_widened"
"""A column with the values of another one, whose place it is going to take."""
_INSTANT = "timestamp[us, tz=UTC]"


class SqlRows(SqlTransaction):
    """A transaction that writes and reads rows by nothing but `execute`.

    Override `execute_many` and `fetch` where the driver has a faster way.
    """

    rows_at_once: int = 5_000
    """How many rows are Python's values at once."""
    keys_at_once: int = 200
    """How many keys a merge looks up by one statement."""
    row_id: str = ""
    """What addresses a row within a transaction (`rowid`, `ctid`), as SQL, for `fill_column`."""
    own_columns: Sequence[str] = ()
    """This library's columns, by which `left_empty` knows a table that a killed load has left."""

    # What an engine or its driver may say better

    def execute_many(self, sql: str, rows: Iterable[Row]) -> None:
        """Run a statement once for each row of parameters."""
        for row in rows:
            self.execute(sql, row)

    def fetch(self, sql: str, rows_at_once: int) -> Iterator[Sequence[Row]]:
        """Run a query, and yield what it finds some rows at a time."""
        del rows_at_once
        yield self.execute(sql)

    def bound(self, column: "pa.Array", name: str) -> Sequence[Any]:
        """Return a column's values as the driver takes them.

        Raises:
            RefusedValueError: The engine cannot hold one of them; it names the column.
        """
        del name
        return list(column.to_pylist())

    def array(self, values: Sequence[Any], type_: "pa.DataType") -> "pa.Array":
        """Return a column of values as the driver gives them."""
        return array(values, type_)

    def equals(self, name: str, type_: "pa.DataType") -> str:
        """Return the condition that a column has exactly the value `?`.

        Override it where the engine takes different values for equal, such as `A` and `a`.
        """
        del type_
        return f"{quote(name)} = ?"

    @cached_property
    def now(self) -> Any:
        """The time of the load in our column: an instant if the engine has them, else its text."""
        instant = datetime.now(UTC)
        if _INSTANT in self.names:
            return instant
        return instant.isoformat(sep=" ", timespec="microseconds")

    # Tables

    @override
    def left_empty(self, table: TableName) -> bool:
        ours = set(self.own_columns)
        if not self.alters_at_once or not ours:
            return False
        return ours <= set(self.type_names(table)) and not self.has_rows(table)

    @override
    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
        if not self.alters_at_once and self.definitions(schema, stamp) != self.type_names(table):
            self.drop_table(table)
            self.create_table(table, schema, stamp)
        else:
            # Readers see the rows until the COMMIT.
            self.execute(f"DELETE FROM {self.quoted(table)}")
        return table

    @override
    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        """Make the table anew with the column's new type.

        There are shorter ways, but every engine spells them differently.
        """
        import pyarrow as pa

        if self.alters_at_once:
            raise SchemaConflictError(
                f"The column {name!r} of the table {table} would have to become "
                f"{self.type_name(new)}, which cannot be rolled back here.",
                hint="Change it by hand, or drop the table and do a full refresh.",
            )
        unstamped = Stamp("", None, None)
        before = self.schema_of(table, None)
        after = pa.schema(
            [field.with_type(new) if field.name == name else field for field in before]
        )
        beside = TableName(f"{NEW}_{hashed(table.schema, table.name)}", table.schema)
        self.create_table(beside, after, unstamped)
        self.insert(beside, _recast(self.scan(table, "", self.rows_at_once), after), unstamped)
        # Every engine has another word for renaming a table, but not for creating and copying one.
        self.drop_table(table)
        self.create_table(table, after, unstamped)
        self.copy(beside, table, {column: column for column in after.names}, unstamped)
        self.drop_table(beside)

    def widened_beside(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> str:
        """Add a column of another type with the values of a column: a step of a `widen_column`.

        One that a killed sync has left is dropped before.

        Args:
            table: The table.
            name: The column whose values it gets, cast exactly.
            old: Its type.
            new: The new column's type.

        Returns:
            The new column's name.
        """
        if WIDENED in self.type_names(table):
            self.execute(
                f"ALTER TABLE {self.quoted(table)} {self.dropping_column} {quote(WIDENED)}"
            )
        self.add_column(table, WIDENED, new)
        self.fill_column(table, WIDENED, name, old, new)
        return WIDENED

    def fill_column(
        self, table: TableName, beside: str, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        """Fill a new column with the values of another, cast exactly: a step of a `widen_column`.

        Args:
            table: The table.
            beside: The new column.
            name: The column whose values it gets.
            old: Its type.
            new: The new column's type.
        """
        target, column = self.quoted(table), quote(name)
        there = f"SELECT {self.row_id}, {column} FROM {target} WHERE {column} IS NOT NULL"
        for rows in self.fetch(there, self.rows_at_once):
            ids, values = zip(*rows, strict=True)
            bound = self.bound(cast(self.array(values, old), new), name)
            self.execute_many(
                f"UPDATE {target} SET {quote(beside)} = ? WHERE {self.row_id} = ?",
                zip(bound, ids, strict=True),
            )

    # Rows

    @override
    def stage(self, table: TableName, rows: "pa.RecordBatchReader") -> None:
        """Do nothing: `insert` and `merge` get the rows from the session's staging."""

    @override
    def insert(self, table: TableName, rows: "pa.RecordBatchReader", stamp: Stamp) -> int:
        written = 0
        for batch in in_slices(rows, self.rows_at_once):
            self.insert_rows(table, batch.schema.names, self.bound_rows(batch), stamp)
            written += batch.num_rows
        return written

    @override
    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: Stamp
    ) -> int:
        count = self.count(source)
        own = stamps(stamp, self.now)
        self.execute(*copying(self.quoted(source), self.quoted(table), columns, own))
        return count

    @override
    def merge(
        self,
        table: TableName,
        rows: "pa.RecordBatchReader",
        stamp: Stamp,
        keys: Sequence[str],
        *,
        update: bool,
        unique: bool = False,
        newer: str | None = None,
    ) -> int:
        if not self.alters_at_once:
            self.index(table, keys)
        merge = RowMerge(
            self, table, rows.schema, stamp, keys, update=update, unique=unique, newer=newer
        )
        return merge.run(rows)

    @override
    def among(self, name: str, type_: "pa.DataType", values: Sequence[Any]) -> str:
        same = self.equals(name, type_)
        each = [f"({with_marks(same, self.literal(one, type_))})" for one in values]
        return f"({' OR '.join(each)})"

    @override
    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        schema = self.schema_of(table, columns)
        yield schema.empty_table()
        query = self._selected(table, schema.names, where)
        for rows in self.fetch(query, min(chunk_rows, FETCHED_ROWS)):
            yield table_of(rows, schema, self.array)

    def bound_rows(self, batch: "pa.RecordBatch") -> list[Row]:
        """Return rows as the driver takes them."""
        columns = [self.bound(batch.column(at), name) for at, name in enumerate(batch.schema.names)]
        return list(zip(*columns, strict=True)) if columns else [()] * batch.num_rows

    def insert_rows(
        self, table: TableName, names: Sequence[str], rows: Sequence[Row], stamp: Stamp
    ) -> None:
        """Insert rows that are bound already."""
        if not rows:
            return
        own = stamps(stamp, self.now)
        every = [*names, *(name for name, _ in own)]
        constants = tuple(value for _, value in own)
        marks = ", ".join("?" * len(every))
        sql = f"INSERT INTO {self.quoted(table)} ({column_list(every)}) VALUES ({marks})"
        self.execute_many(sql, ((*row, *constants) for row in rows))

    def update_rows(
        self,
        table: TableName,
        schema: "pa.Schema",
        keys: Sequence[str],
        rows: Sequence[Row],
        stamp: Stamp,
    ) -> None:
        """Update the rows that have the keys of these."""
        if not rows:
            return
        own = stamps(stamp, self.now)
        constants = tuple(value for _, value in own)
        others = [at for at, name in enumerate(schema.names) if name not in keys]
        key_positions = [schema.get_field_index(key) for key in keys]
        settings = [*(schema.names[at] for at in others), *(name for name, _ in own)]
        assigned = ", ".join(f"{quote(name)} = ?" for name in settings)
        sql = f"UPDATE {self.quoted(table)} SET {assigned} WHERE {self._same(schema, keys)}"
        self.execute_many(sql, (_picked(row, others, constants, key_positions) for row in rows))

    def rows_with(
        self, table: TableName, schema: "pa.Schema", keys: Sequence[str], wanted: Sequence[Row]
    ) -> "pa.Table":
        """Return the rows of a table with one of the wanted keys, by the columns of a schema."""
        same = self._same(schema, keys)
        where = " OR ".join([f"({same})"] * len(wanted))
        query = self._selected(table, schema.names, where)
        found = self.execute(query, list(chain.from_iterable(wanted)))
        return table_of(found, schema, self.array)

    def _same(self, schema: "pa.Schema", keys: Sequence[str]) -> str:
        return " AND ".join(self.equals(key, schema.field(key).type) for key in keys)


def _picked(row: Row, settings: Sequence[int], constants: Row, key_positions: Sequence[int]) -> Row:
    """Return the parameters of one UPDATE."""
    return (*(row[at] for at in settings), *constants, *(row[at] for at in key_positions))


def _recast(tables: "Iterator[pa.Table]", schema: "pa.Schema") -> "pa.RecordBatchReader":
    """Return tables as a reader of batches with other types, cast exactly."""
    import pyarrow as pa

    def batches() -> "Iterator[pa.RecordBatch]":
        for table in tables:
            columns = [cast(table.column(at), field.type) for at, field in enumerate(schema)]
            yield from pa.Table.from_arrays(columns, schema=schema).to_batches()

    return pa.RecordBatchReader.from_batches(schema, batches())
