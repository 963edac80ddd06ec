"""The write plans' primitives that are the same in every SQL database."""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.record_columns import types_of
from etl_assets.destinations.database.sql_types import SqlTypes
from etl_assets.destinations.database.transaction import LedgerTypes, Stamp, Transaction
from etl_assets.exceptions import DestinationError
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

STAGED = "_etl_assets_staged"
NEW = "_etl_assets_new"
FETCHED_ROWS = 10_000
"""Rows of a driver's, as Python's values, that are in memory at once."""
_WRITTEN = re.compile(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|\?|%")


def with_marks(sql: str, mark: str) -> str:
    """Return a statement with the driver's mark in place of each `?`; none inside of quotes is one.

    Args:
        sql: The statement.
        mark: Such as `%s`; then each `%` is doubled.
    """
    double = mark.startswith("%")

    def replaced(match: re.Match[str]) -> str:
        text = match[0]
        if text == "?":
            return mark
        return text.replace("%", "%%") if double else text

    return _WRITTEN.sub(replaced, sql)


def respelled(sql: str, spelled: Callable[[str], str]) -> str:
    """Return a statement with each quoted identifier as an engine spells it.

    What is inside of texts stays.

    Args:
        sql: The statement.
        spelled: Gives the SQL of a name.
    """

    def replaced(match: re.Match[str]) -> str:
        text = match[0]
        return spelled(text[1:-1].replace('""', '"')) if text.startswith('"') else text

    return _WRITTEN.sub(replaced, sql)


def only(where: str) -> str:
    """Return the clause for a condition that is given as SQL text; "" for none."""
    return f" WHERE {where}" if where else ""


def hashed(*parts: str) -> str:
    """Return a short hash of names, for a name of our own that depends on them."""
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class SqlTransaction(SqlTypes, Transaction):
    """What is said in the SQL that all databases have; a subclass says the rest.

    It has to give `execute`, `type_names` and `names` (or the methods of `SqlTypes`). Everything
    else is derived, here and in `SqlRows`, and may be overridden.
    """

    ledger_types = LedgerTypes()
    first_row: str = "LIMIT 1"
    """What stands at the end of a query of which one row is enough.

    "" where an engine has no word for it.
    """

    adding_column: str = "ADD COLUMN"
    """What stands before the name of a column that is added."""

    @override
    @abstractmethod
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; `?` stands for a parameter, and `"` quotes names."""

    @override
    @abstractmethod
    def type_names(self, table: TableName) -> dict[str, str]:
        """Return the engine's type name of each column, as `names` and `decimal` have it.

        {} if there is no table.
        """

    @cached_property
    def own_types(self) -> tuple[str, str]:
        """The types of the columns of our own: of a load id, and of the time of a load."""
        import pyarrow as pa

        return self.type_name(pa.string()), self.type_name(pa.timestamp("us", "UTC"))

    # What is there

    @override
    def quoted(self, table: TableName) -> str:
        return f"{quote(table.schema)}.{quote(table.name)}" if table.schema else quote(table.name)

    @override
    def schema(self, table: TableName) -> "pa.Schema | None":
        import pyarrow as pa

        names = self.type_names(table)
        return (
            pa.schema([(name, self.arrow_type(type_)) for name, type_ in names.items()])
            if names
            else None
        )

    @override
    def tables(self, schema: str) -> list[str]:
        rows = self.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' "
            "ORDER BY table_name",
            (schema,),
        )
        return [name for (name,) in rows]

    @override
    def exists(self, table: TableName) -> bool:
        return bool(
            self.type_names(table)
        )  # Arrow, which takes longer to import than this, is not needed

    @override
    def has_rows(self, table: TableName, where: str = "") -> bool:
        return bool(
            self.execute(
                f"SELECT 1 FROM {self.quoted(table)}{only(where)} {self.first_row}".rstrip()
            )
        )

    @override
    def count(self, table: TableName, where: str = "") -> int:
        return int(self.execute(f"SELECT COUNT(*) FROM {self.quoted(table)}{only(where)}")[0][0])

    # Changes of tables

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        if table.schema:
            self.create_schema(table.schema)
        self.execute(
            f"CREATE TABLE {self.quoted(table)} ({self._definitions(table, schema, stamp)})"
        )

    def definitions(self, schema: "pa.Schema", stamp: Stamp) -> dict[str, str]:
        """Return the columns of a table that is to be made, our own behind those of its rows, and their types."""
        columns = {f.name: self._definition(f.type) for f in schema} | dict(
            stamp.named(*self.own_types)
        )
        if stamp.about:
            about = types_of(stamp.about)
            columns |= {
                name: self._definition(self.stored_type(type_)) for name, type_ in about.items()
            }
        return columns

    def _definitions(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> str:
        """Return the same as SQL."""
        columns = self.definitions(schema, stamp)
        if not columns:
            raise DestinationError(f"The table {table} would have no columns at all.")
        return ", ".join(f"{quote(name)} {definition}" for name, definition in columns.items())

    def _definition(self, type_: "pa.DataType") -> str:
        """Return a column's type, and what else a table's definition says of it."""
        return self.type_name(type_)

    @override
    def drop_table(self, table: TableName) -> None:
        self.execute(f"DROP TABLE {self.quoted(table)}")

    @override
    def add_column(self, table: TableName, name: str, type_: "pa.DataType") -> None:
        self.execute(
            f"ALTER TABLE {self.quoted(table)} {self.adding_column} {quote(name)} {self.type_name(type_)}"
        )

    # For queries

    def schema_of(self, table: TableName, columns: Sequence[str] | None) -> "pa.Schema":
        """Return the types of some of a table's columns, or of all."""
        import pyarrow as pa

        schema = self.schema(table) or pa.schema([])
        return pa.schema([schema.field(name) for name in columns or schema.names])

    def _selected(self, table: TableName, columns: Sequence[str], where: str) -> str:
        """Return the query for columns of the rows that meet a condition."""
        return f"SELECT {column_list(columns)} FROM {self.quoted(table)}{only(where)}"


def tables_of(
    fetch: Callable[[int], Sequence[Sequence[Any]]],
    schema: "pa.Schema",
    array: "Callable[[Sequence[Any], pa.DataType], pa.Array]",
    rows_at_once: int,
) -> "Iterator[pa.Table]":
    """Yield what a driver's cursor finds as tables: first an empty one, for its types.

    Args:
        fetch: Gives the next rows, as a cursor's `fetchmany`.
        schema: Of the tables.
        array: Makes a column's values an array.
        rows_at_once: How many rows are fetched at once, at the most.
    """
    yield schema.empty_table()
    while rows := fetch(min(rows_at_once, FETCHED_ROWS)):
        yield table_of(rows, schema, array)


def table_of(
    rows: Sequence[Sequence[Any]],
    schema: "pa.Schema",
    array: "Callable[[Sequence[Any], pa.DataType], pa.Array]",
) -> "pa.Table":
    """Return rows of a driver's as a table."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.Table.from_arrays(
        [array(v, f.type) for v, f in zip(columns, schema, strict=True)], schema=schema
    )


def stamps(stamp: Stamp, now: Any) -> list[tuple[str, Any]]:
    """Return our own columns and their values, in order."""
    return stamp.named(stamp.load_id, now)


def column_list(names: Sequence[str], prefix: str = "") -> str:
    """Return names quoted and in a row, each with a prefix such as `s.`."""
    return ", ".join(f"{prefix}{quote(name)}" for name in names)


def copying(
    source: str, table: str, columns: Mapping[str, str], own: Sequence[tuple[str, Any]]
) -> tuple[str, list[Any]]:
    """Return the statement that inserts a table's rows into another, and its parameters.

    Args:
        source: Where the rows are, quoted.
        table: Where they go, quoted.
        columns: Their columns in `source` by those in `table`.
        own: Our own columns and their values.
    """
    names = column_list([*columns, *(name for name, _ in own)])
    values = ", ".join([column_list(list(columns.values())), *("?" for _ in own)])
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM {source}", [
        value for _, value in own
    ]
