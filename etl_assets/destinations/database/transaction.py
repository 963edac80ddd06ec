"""What a database engine has to do for a load: the protocol that one class per engine implements.

The write plans (`write`), the ledger and the session are made of these primitives and know no
engine. Most of a `Transaction` is SQL that is the same everywhere: derive from `SqlRows`, or from
`DbApiTransaction` for a driver that follows Python's DB-API, and say what differs. How that is
done, step by step, is in `docs/own-database.md`.

A load calls the primitives in this order, all in one transaction:

1. `lock` and `settle`, before the state row is read.
2. `exists`, `schema`, `unsafe` and their like, to look at the table.
3. `create_table`, `add_column` and `widen_column`, to have it hold the rows; for a replace,
   `begin_replace` in their place.
4. `insert` or `merge`, or `copy` for a split.
5. `end_replace`, after a replace.
6. `execute`, for the state row and the ledger row.

The destination opens the transaction and commits it; nothing here does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from etl_assets.exceptions import DestinationError
from etl_assets.model.stored import TableName
from etl_assets.model.values.exact_numbers import EXACT_DOUBLE
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.destinations.database.encoded_rows import MixedBatches


READ_ROWS = 100_000
STATE_KEY = ("source", "namespace", "stream", "partition")
"""The columns that tell one state row from another."""
PRIMARY_KEY = f"PRIMARY KEY ({', '.join(map(quote, STATE_KEY))})"
T = TypeVar("T")


@dataclass(frozen=True)
class Stamp:
    """What our own columns hold for the rows of one load. A name of None leaves that column out.

    Args:
        load_id: The id of the load.
        load_id_column: The name of the column for the load's id.
        loaded_at_column: The name of the column for the time of the load.
        about: Columns about each record, which come with the rows (see `record_columns`). They are
            written like all others, but a difference in them alone does not make a row a changed
            one.
    """

    load_id: str
    load_id_column: str | None
    loaded_at_column: str | None
    about: tuple[str, ...] = ()

    def named(self, load_id: T, loaded_at: T) -> list[tuple[str, T]]:
        """Return the names of the load's columns that are not left out, each with what is given."""
        both = ((self.load_id_column, load_id), (self.loaded_at_column, loaded_at))
        return [(name, one) for name, one in both if name]

    @property
    def columns(self) -> list[str]:
        """The names of our own columns, in order."""
        return [*(name for name, _ in self.named(None, None)), *self.about]


@dataclass(frozen=True)
class LedgerTypes:
    """How an engine spells the definitions of our two tables, the state and the ledger.

    Args:
        create: How a statement begins that makes a table unless it is there.
        varchar: The type of short texts, such as load ids.
        key: The type of the four columns of the state's key, which have to fit into an index.
        text: The type of long texts, such as bookmarks.
        big: The type of counts.
        unique: The constraint by which a state row is unique, with the column that it may need.
        unique_finds: Whether that constraint's index also finds a state row by its key.
        options: What follows the list of columns.
    """

    create: str = "CREATE TABLE IF NOT EXISTS"
    varchar: str = "VARCHAR"
    key: str = "VARCHAR(255)"
    text: str = "TEXT"
    big: str = "BIGINT"
    unique: str = PRIMARY_KEY
    unique_finds: bool = True
    options: str = ""


class Reading(Protocol):
    """The half of a `Transaction` that looks at tables and reads them.

    Names of tables and columns are those in the database. A condition is given as SQL text; the
    empty text stands for none.
    """

    first_row: str = ""
    """How a query ends of which one row is enough; "" where an engine has no word for it.

    With another number in the place of the 1 it is that of so many rows.
    """
    name_mark: str = '"'
    """What people quote names with; `execute` takes `"` everywhere."""

    def settle(self, table: TableName) -> None:
        """Put right what a killed sync has left of a table that it was making or replacing.

        It is called before the state row is read. Override it where a table is made or replaced in
        several steps.
        """
        del table

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement, and return the rows that it gives, or an empty list.

        Args:
            sql: The statement: `?` stands for a parameter, and `"` quotes names.
            parameters: The parameters. No value is ever written into the statement itself.
        """
        ...

    def ask(self, table: TableName, query: Callable[[str], str]) -> list[tuple[Any, ...]]:
        """Run a query on a table as this transaction sees it.

        Override it where a table that is being made has another name until the COMMIT.

        Args:
            table: The table.
            query: Returns the query, given what stands for the table in it.
        """
        return self.execute(query(self.quoted(table)))

    def quoted(self, table: TableName) -> str:
        """Return a table's name as SQL."""
        ...

    def schema(self, table: TableName) -> "pa.Schema | None":
        """Return a table's columns as Arrow types, or None if there is no such table."""
        ...

    def exists(self, table: TableName) -> bool:
        """Return whether there is such a table.

        Override it where the engine can tell without Arrow, whose import takes long.
        """
        return self.schema(table) is not None

    def tables(self, schema: str) -> list[str]:
        """Return the names of the tables in a database schema, sorted."""
        ...

    def type_names(self, table: TableName) -> dict[str, str]:
        """Return the engine's type name of each column, in order; {} if there is no such table."""
        ...

    def integers_fit(self, table: TableName, name: str) -> bool:
        """Return whether every integer of a column is exact as a double."""
        column = quote(name)
        return not self.has_rows(table, f"{column} > {EXACT_DOUBLE} OR {column} < -{EXACT_DOUBLE}")

    def fits(self, table: TableName, name: str, type_: "pa.DataType") -> bool:
        """Return whether every moment of a column is exact in a type of another unit.

        Override it where the engine has timestamps of two units, such as micro- and nanoseconds.
        """
        del table, name, type_
        return False

    def is_free(self, table: TableName, name: str) -> bool:
        """Return whether a text column that holds nothing but NULL can get any other type.

        It cannot if a constraint, an index, a view or a default rests on it. Override it where the
        engine can change the type of a column.
        """
        del table, name
        return False

    def strict_columns(self, table: TableName) -> list[str]:
        """Return the columns that must not be NULL and have no default.

        Override it together with `allow_nulls`, where the engine can tell.
        """
        del table
        return []

    def has_values(self, table: TableName, name: str) -> bool:
        """Return whether a column holds anything but NULL."""
        return self.has_rows(table, f"{quote(name)} IS NOT NULL")

    def has_rows(self, table: TableName, where: str = "") -> bool:
        """Return whether a table has any row, or any that meets a condition."""
        return self.count(table, where) > 0

    def count(self, table: TableName, where: str = "") -> int:
        """Count a table's rows, or those that meet a condition."""
        ...

    def counts(self, table: TableName, conditions: Sequence[str]) -> list[int]:
        """Count the rows that meet each of some conditions, in one pass over the table."""
        ...

    def literal(self, value: Any, type_: "pa.DataType") -> str:
        """Return a value as SQL, to be compared with a column.

        Args:
            value: A text, an integer, a boolean, a date, or a datetime without a fraction, with a
                zone if the column's values have one. Where a column holds times as text, the text
                is compared without the zone.
            type_: The column's type.
        """
        ...

    def among(self, name: str, type_: "pa.DataType", values: Sequence[Any]) -> str:
        """Return the condition that a column has exactly one of some values."""
        ...

    def keeps_as_text(self, type_: "pa.DataType") -> bool:
        """Return whether the engine keeps values of a type as text."""
        ...

    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        """Yield the rows of a table that meet a condition, at most so many at a time.

        The first table that is yielded is empty and has the types, which all others have too. No
        more than one table's rows are in memory at once.

        Args:
            table: The table.
            where: The condition.
            chunk_rows: How many rows are yielded at a time.
            columns: Some of the columns; by default all.
        """
        ...

    def read(self, table: TableName, columns: Sequence[str] | None, where: str = "") -> "pa.Table":
        """Return a table's rows, all or those that meet a condition, with all or some columns."""
        import pyarrow as pa

        return pa.concat_tables(self.scan(table, where, READ_ROWS, columns))


class Transaction(Reading, Protocol):
    """One open transaction of an engine: everything that a load does to the database.

    Everything is undone if the destination rolls the transaction back, and nobody else sees it
    before the COMMIT. An engine whose changes of tables commit says so by `alters_at_once`.
    """

    ledger_types: LedgerTypes
    takes_encoded: bool = False
    """Whether `insert` and `merge` take rows as `MixedBatches`: some in their source's bytes."""
    decimals_are_texts: bool = False
    """Whether decimals are kept as texts, which `ORDER BY` does not sort as numbers."""
    signs_zeros: bool = True
    """Whether -0.0 and 0.0 are two values."""
    alters_at_once: bool = False
    """Whether a change of a table commits what came before it.

    A load then makes each table as its rows need it, and calls `index` and `stage`, before it
    writes the first row. A replace keeps the table, and deletes its rows.
    """
    survives_errors: bool = False
    """Whether a statement that fails leaves the transaction as it was, so that it can go on."""
    insertion_order: str = ""
    """What the rows of a table can be ordered by to come as they were inserted, as SQL.

    It is empty where the engine does not know.
    """

    def lock(self, name: str) -> None:
        """Keep every other transaction out of what has this name until this one ends.

        Override it unless the engine makes sure that of two transactions that read and write the
        same state row only one can commit.

        Raises:
            BusyError: Another transaction was in for too long.
        """
        del name

    def left_empty(self, table: TableName) -> bool:
        """Return whether a table was made by a load of ours that was killed before it filled it.

        Override it where `alters_at_once`.
        """
        del table
        return False

    def unsafe(self, table: TableName) -> str | None:
        """Return why rows of a table cannot be rolled back and what to do about it, or None.

        Override it where the engine has such tables.
        """
        del table
        return None

    def stage(self, table: TableName, rows: "pa.RecordBatchReader") -> None:
        """Put rows that are going to be inserted into a table where no reader sees them.

        Override it where `alters_at_once`.
        """
        del rows
        raise DestinationError(f"{type(self).__name__} stages no rows for {table}.")

    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        """Return the type of the engine's own that keeps the values of a type exactly."""
        ...

    def type_name(self, type_: "pa.DataType") -> str:
        """Return the engine's name of the type that holds an Arrow type exactly."""
        ...

    def create_schema(self, name: str) -> None:
        """Make a database schema unless it is there.

        Where it is there, no right to make one may be needed. Override it where the engine has
        schemas.
        """
        del name

    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        """Make a table with these columns and our own; its database schema, too, if need be."""
        ...

    def drop_table(self, table: TableName) -> None:
        """Drop a table. Readers see it until the COMMIT."""
        ...

    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
        """Make the table that is to take the place of another, and return where its rows go."""
        ...

    def end_replace(self, table: TableName, loaded: TableName) -> None:
        """Put what was loaded into its place. Readers see the old rows until the COMMIT.

        Override it where `begin_replace` returns another table than the one to be replaced.

        Args:
            table: The table to be replaced.
            loaded: What `begin_replace` has returned.
        """
        del table, loaded

    def add_column(self, table: TableName, name: str, type_: "pa.DataType") -> None:
        """Add a column, which is NULL in the rows that are there."""
        ...

    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        """Change a column's type and keep every value exactly."""
        ...

    def allow_nulls(self, table: TableName, names: Sequence[str]) -> None:
        """Make columns take NULL that must not be NULL now.

        Override it together with `strict_columns`.
        """
        raise DestinationError(f"{type(self).__name__} changes no columns of {table}: {names}.")

    def index(self, table: TableName, keys: Sequence[str]) -> None:
        """Have a merge find rows by their key without reading the whole table.

        Override it where `alters_at_once`. It is then called before the first row is written;
        elsewhere `merge` does this itself, and before the rows of partitions are looked at, this.
        """
        del table, keys

    def index_own(self, table: TableName, indexes: Mapping[str, Sequence[str]]) -> None:
        """Have one of our two tables find its rows by indexes, which may be there already.

        Override it where rows are found by reading the table otherwise. A user who may not make
        them loads without, and so does a sync that would have to wait for them.

        Args:
            table: The ledger, or the state table.
            indexes: The columns of each index, by its name.
        """
        del table, indexes

    def allow_repeats(self, table: TableName, keys: Sequence[str]) -> None:
        """Let a table take rows with a key that is there: rows that were merged are now appended.

        Override it where `merge` makes a unique index.
        """
        del table, keys

    def insert(
        self, table: TableName, rows: "pa.RecordBatchReader | MixedBatches", stamp: Stamp
    ) -> int:
        """Insert rows, and return how many.

        Args:
            table: The table.
            rows: The rows, with the table's names and types; they are `MixedBatches` where
                `takes_encoded`.
            stamp: What our own columns get.
        """
        ...

    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: Stamp
    ) -> int:
        """Insert the rows of another table, and return how many.

        Override it where the destination `can_split`.

        Args:
            source: Where the rows are.
            table: Where they go.
            columns: The columns of `source`, by those of `table`.
            stamp: What our own columns get.
        """
        del columns, stamp
        raise DestinationError(f"{type(self).__name__} copies no rows from {source} to {table}.")

    def merge(
        self,
        table: TableName,
        rows: "pa.RecordBatchReader | MixedBatches",
        stamp: Stamp,
        keys: Sequence[str],
        *,
        update: bool,
        unique: bool = False,
        newer: str | None = None,
    ) -> int:
        """Insert the rows whose key is not in the table, and update those that differ.

        Of several rows with one key, the last counts. A row that is in the table as it came is
        left alone, and its stamp with it.

        Args:
            table: The table.
            rows: The rows, with the table's names and types; they are `MixedBatches` where
                `takes_encoded`.
            stamp: What our own columns get in rows that are inserted or updated.
            keys: The columns that tell one row from another.
            update: Whether rows that are there are updated.
            newer: A column: rows that are there and are greater in it are left alone.
            unique: Whether it is known that no two of the rows have one key.

        Returns:
            How many rows were inserted or updated.
        """
        ...
