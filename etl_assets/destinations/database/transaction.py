"""The few primitives of which every write plan is made: one class per engine implements them, the plans know none."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from etl_assets.exceptions import DestinationError
from etl_assets.model.stored import TableName
from etl_assets.model.values.exact_numbers import EXACT_DOUBLE
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.destinations.database.encoded_rows import Parts


READ_ROWS = 100_000
STATE_KEY = ("source", "namespace", "stream", "partition")
"""The columns that tell one state row from another."""
PRIMARY_KEY = f"PRIMARY KEY ({', '.join(map(quote, STATE_KEY))})"
T = TypeVar("T")


@dataclass(frozen=True)
class Stamp:
    """What our own columns hold for the rows of one load; a name of None leaves that column out.

    Args:
        load_id: Of the load.
        load_id_column: The name of the column for it.
        loaded_at_column: The name of the column for the time of the load.
        about: Columns about each record, which come with the rows (see `record_columns`). They are
            written as all are, and no difference in them makes a row another one.
    """

    load_id: str
    load_id_column: str | None
    loaded_at_column: str | None
    about: tuple[str, ...] = ()

    def named(self, load_id: T, loaded_at: T) -> list[tuple[str, T]]:
        """Return the names of our own columns, of those that are not left out, each with what is given for it."""
        both = ((self.load_id_column, load_id), (self.loaded_at_column, loaded_at))
        return [(name, one) for name, one in both if name]

    @property
    def columns(self) -> list[str]:
        """The names of our own columns, in order."""
        return [*(name for name, _ in self.named(None, None)), *self.about]


@dataclass(frozen=True)
class LedgerTypes:
    """How an engine spells the columns of the two tables of ours."""

    create: str = "CREATE TABLE IF NOT EXISTS"
    varchar: str = "VARCHAR"
    key: str = "VARCHAR(255)"
    text: str = "TEXT"
    big: str = "BIGINT"
    unique: str = PRIMARY_KEY
    """The constraint by which a state row is unique, and the column that it needs."""
    options: str = ""
    """What stands behind the columns."""


class Reading(Protocol):
    """What a transaction reads. Names are physical."""

    def settle(self, table: TableName) -> None:
        """Put right what a killed sync left of a table that it was making or replacing, before the state is read.

        Overridden where a table is made or replaced in several steps.
        """
        del table

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; `?` stands for a parameter."""
        ...

    def quoted(self, table: TableName) -> str:
        """Return a table's name as SQL."""
        ...

    def schema(self, table: TableName) -> "pa.Schema | None":
        """Return a table's columns as Arrow types, or None if there is no such table."""
        ...

    def exists(self, table: TableName) -> bool:
        """Return whether there is such a table.

        Overridden where the engine can tell it without Arrow.
        """
        return self.schema(table) is not None

    def tables(self, schema: str) -> list[str]:
        """Return the names of the tables in a database schema, in order."""
        ...

    def type_names(self, table: TableName) -> dict[str, str]:
        """Return the engine's type name of each column."""
        ...

    def integers_fit(self, table: TableName, name: str) -> bool:
        """Return whether every integer of a column is exact as a double."""
        column = quote(name)
        return not self.has_rows(table, f"{column} > {EXACT_DOUBLE} OR {column} < -{EXACT_DOUBLE}")

    def fits(self, table: TableName, name: str, type_: "pa.DataType") -> bool:
        """Return whether every moment of a column is exact in another unit.

        Overridden where an engine has two.
        """
        del table, name, type_
        return False

    def is_free(self, table: TableName, name: str) -> bool:
        """Return whether a column of text that is NULL throughout can become one of any type.

        It cannot where a constraint, an index, a view or a default rests on it. Overridden where an
        engine can do it.
        """
        del table, name
        return False

    def has_values(self, table: TableName, name: str) -> bool:
        """Return whether a column holds anything but NULL."""
        return self.has_rows(table, f"{quote(name)} IS NOT NULL")

    def has_rows(self, table: TableName, where: str = "") -> bool:
        """Return whether a table has any row, or any that meets a condition (SQL text)."""
        return self.count(table, where) > 0

    def count(self, table: TableName, where: str = "") -> int:
        """Count a table's rows, or those that meet a condition (SQL text)."""
        ...

    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        """Return the rows of a table that meet a condition (SQL text; "" for all), at most so many at a time.

        No more than that is in memory. The first one is empty, and has the types; all have the
        same.

        Args:
            table: The table.
            where: The condition.
            chunk_rows: Rows at a time.
            columns: Some of the columns; by default all.
        """
        ...

    def read(self, table: TableName, columns: Sequence[str] | None, where: str = "") -> "pa.Table":
        """Read a table, or some of its columns, or the rows that meet a condition (SQL text)."""
        import pyarrow as pa

        return pa.concat_tables(self.scan(table, where, READ_ROWS, columns))


class Transaction(Reading, Protocol):
    """One open transaction of an engine.

    Names are physical; its owner commits, nothing here does.
    """

    ledger_types: LedgerTypes
    takes_encoded: bool = False
    """Whether rows may come as `Parts`."""
    decimals_are_texts: bool = False
    """Whether decimals are kept as texts, which `ORDER BY` does not sort as numbers."""
    signs_zeros: bool = True
    """Whether -0.0 is another double than 0.0."""
    alters_at_once: bool = False
    """A change of tables commits what came before it: every table is made as its rows need it, and these are staged,
    before the first row is written. A replace then keeps the table, and deletes its rows."""
    insertion_order: str = ""
    """What a table's rows can be ordered by as they were inserted, as SQL, where the engine knows.

    Else empty.
    """

    def lock(self, name: str) -> None:
        """Keep others out of what has this name until the end.

        Overridden where the engine does not do so anyway.

        Raises:
            BusyError: Someone else was in for too long.
        """
        del name

    def left_empty(self, table: TableName) -> bool:
        """Return whether a table is one that a killed load of ours has made and not filled."""
        del table
        return False

    def unsafe(self, table: TableName) -> str | None:
        """Return why rows of a table could not be rolled back, with what to do about it.

        None where they can.

        Overridden where an engine has such tables.
        """
        del table
        return None

    def stage(self, table: TableName, rows: "pa.RecordBatchReader") -> None:
        """Put the rows that are for a table into the database, where no reader sees them.

        Overridden where a transaction `alters_at_once`.
        """
        del rows
        raise DestinationError(f"{type(self).__name__} stages no rows for {table}.")

    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        """Return the type, of those the engine has, in which values of a type are kept exactly."""
        ...

    def type_name(self, type_: "pa.DataType") -> str:
        """Return the engine's name of the type that holds an Arrow type exactly."""
        ...

    def create_schema(self, name: str) -> None:
        """Make a database schema where it is missing, so that no right to do so is needed where it is there.

        Overridden where the engine has schemas.
        """
        del name

    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        """Make a table, and its database schema where that is missing."""
        ...

    def drop_table(self, table: TableName) -> None:
        """Drop a table; readers see it until the COMMIT."""
        ...

    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
        """Make the table that is to take the place of another; gives where its rows go."""
        ...

    def end_replace(self, table: TableName, loaded: TableName) -> None:
        """Put what was loaded into its place; readers see the old rows until the COMMIT.

        Overridden where `begin_replace` gives another table than the one that is replaced.
        """
        del table, loaded

    def add_column(self, table: TableName, name: str, type_: "pa.DataType") -> None:
        """Add a column; the rows that are there have NULL in it."""
        ...

    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        """Change a column's type, keeping every value exactly."""
        ...

    def index(self, table: TableName, keys: Sequence[str]) -> None:
        """Have a merge find rows by their key without reading the whole table.

        Called before the rows are written.

        Overridden where a transaction `alters_at_once`; elsewhere `merge` does it.
        """
        del table, keys

    def allow_repeats(self, table: TableName, keys: Sequence[str]) -> None:
        """Have a table take rows whose key is there: they are going to be appended, and were merged before."""
        del table, keys

    def insert(self, table: TableName, rows: "pa.RecordBatchReader | Parts", stamp: Stamp) -> int:
        """Insert rows; gives how many. They are `Parts` where the engine `takes_encoded`."""
        ...

    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: Stamp
    ) -> int:
        """Insert the rows of another table, whose columns are given by this one's; gives how many.

        Overridden where a destination `can_split`.
        """
        del columns, stamp
        raise DestinationError(f"{type(self).__name__} copies no rows from {source} to {table}.")

    def merge(
        self,
        table: TableName,
        rows: "pa.RecordBatchReader | Parts",
        stamp: Stamp,
        keys: Sequence[str],
        *,
        update: bool,
        unique: bool = False,
    ) -> int:
        """Insert rows, or update those that have their key and differ.

        Of a key that comes twice the last arrival wins.

        Args:
            table: The table.
            rows: The rows.
            stamp: For the columns of our own.
            keys: The columns that tell one row from another.
            update: Whether rows that are there are to be changed.
            unique: It is known that no key comes twice in the rows: none has to be looked for.

        Returns:
            How many rows were inserted or changed.
        """
        ...
