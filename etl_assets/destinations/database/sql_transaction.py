"""The primitives of a transaction that are the same in every SQL database."""

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
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
"""How many rows of a driver are in memory at once as Python's values."""
_WRITTEN = re.compile(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|\?|%")


def with_marks(sql: str, mark: str) -> str:
    """Return a statement with the driver's mark in place of each `?` that is not in quotes.

    Args:
        sql: The statement.
        mark: The driver's mark. If it begins with `%`, such as `%s`, each `%` is doubled.
    """
    double = mark.startswith("%")

    def replaced(match: re.Match[str]) -> str:
        text = match[0]
        if text == "?":
            return mark
        return text.replace("%", "%%") if double else text

    return _WRITTEN.sub(replaced, sql)


def respelled(sql: str, spelled: Callable[[str], str]) -> str:
    """Return a statement with each quoted identifier, but no text, as an engine spells it.

    Args:
        sql: The statement.
        spelled: Returns the SQL of a name.
    """

    def replaced(match: re.Match[str]) -> str:
        text = match[0]
        return spelled(text[1:-1].replace('""', '"')) if text.startswith('"') else text

    return _WRITTEN.sub(replaced, sql)


def only(where: str) -> str:
    """Return the WHERE clause for a condition; "" for none."""
    return f" WHERE {where}" if where else ""


def hashed(*parts: str) -> str:
    """Return a short hash of names, for a name of our own that depends on them."""
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def key_index(table: str, key: str) -> str:
    """Return the name of an index on a column of a table by which rows are merged."""
    return f"_etl_assets_key_{hashed(table, key)}"


class SqlTransaction(SqlTypes, Transaction):
    """A transaction in the SQL that all databases have; a subclass says the rest.

    It has to give `execute`, `type_names` and `names` (or the methods of `SqlTypes`). Everything
    else is derived, here and in `SqlRows`, and may be overridden.
    """

    ledger_types = LedgerTypes()
    first_row: str = "LIMIT 1"
    adding_column: str = "ADD COLUMN"
    dropping_column: str = "DROP COLUMN"
    """What stands before the name of a column that is added."""

    @override
    @abstractmethod
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement; `?` stands for a parameter, and `"` quotes names."""

    @override
    @abstractmethod
    def type_names(self, table: TableName) -> dict[str, str]:
        """Return the engine's type name of each column, spelled as in `names` and by `decimal`.

        It is {} if there is no such table.
        """

    @cached_property
    def own_types(self) -> tuple[str, str]:
        """The types of our own columns: of a load's id, and of its time."""
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
        if not names:
            return None
        return pa.schema([(name, self.arrow_type(type_)) for name, type_ in names.items()])

    @override
    def tables(self, schema: str) -> list[str]:
        rows = self.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_schema = ? AND table_type = 'BASE TABLE' ORDER BY table_name",
            (schema,),
        )
        return [name for (name,) in rows]

    @override
    def exists(self, table: TableName) -> bool:
        return bool(self.type_names(table))  # Unlike `schema`, this does not import Arrow.

    @override
    def has_rows(self, table: TableName, where: str = "") -> bool:
        query = f"SELECT 1 FROM {self.quoted(table)}{only(where)} {self.first_row}"
        return bool(self.execute(query.rstrip()))

    @override
    def count(self, table: TableName, where: str = "") -> int:
        counted = self.ask(table, lambda place: f"SELECT COUNT(*) FROM {place}{only(where)}")
        return int(counted[0][0])

    @override
    def counts(self, table: TableName, conditions: Sequence[str]) -> list[int]:
        if len(conditions) == 1:
            return [self.count(table, conditions[0])]
        sums = ", ".join(f"SUM(CASE WHEN {one} THEN 1 ELSE 0 END)" for one in conditions)
        sql = f"SELECT {sums} FROM {self.quoted(table)} WHERE {' OR '.join(conditions)}"
        return [int(count or 0) for count in self.execute(sql)[0]]

    # Conditions

    @override
    def literal(self, value: Any, type_: "pa.DataType") -> str:
        import pyarrow as pa

        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, str):
            return self.text_literal(value)
        # The zone is UTC where there is one; the type says so.
        written = (value.replace(tzinfo=None) if isinstance(value, datetime) else value).isoformat()
        written = written.replace("T", " ")
        if pa.types.is_string(type_):
            return self.text_literal(written)
        if not isinstance(value, datetime):
            return f"DATE '{written}'"
        return self.moment_literal(written, type_, zoned=value.tzinfo is not None)

    def text_literal(self, value: str) -> str:
        """Return a text as SQL."""
        doubled = value.replace("'", "''")
        return f"'{doubled}'"

    def moment_literal(self, written: str, type_: "pa.DataType", *, zoned: bool) -> str:
        """Return a date and time as SQL, to be compared with a type; a `zoned` one is in UTC."""
        del type_, zoned
        return f"TIMESTAMP '{written}'"

    @override
    def among(self, name: str, type_: "pa.DataType", values: Sequence[Any]) -> str:
        return f"{quote(name)} IN ({', '.join(self.literal(one, type_) for one in values)})"

    @override
    def keeps_as_text(self, type_: "pa.DataType") -> bool:
        import pyarrow as pa

        return bool(pa.types.is_string(self.arrow_type(self.type_name(type_))))

    # Changes of tables

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        if table.schema:
            self.create_schema(table.schema)
        columns = self._definitions(table, schema, stamp)
        self.execute(f"CREATE TABLE {self.quoted(table)} ({columns})")

    def definitions(self, schema: "pa.Schema", stamp: Stamp) -> dict[str, str]:
        """Return how the columns of a table are defined that is to be made, by their names.

        Our own columns come after those of the rows.
        """
        columns = {field.name: self._definition(field.type) for field in schema}
        columns |= dict(stamp.named(*self.own_types))
        if stamp.about:
            for name, type_ in types_of(stamp.about).items():
                columns[name] = self._definition(self.stored_type(type_))
        return columns

    def _definitions(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> str:
        """Return the definitions of a table's columns as SQL."""
        columns = self.definitions(schema, stamp)
        if not columns:
            raise DestinationError(f"The table {table} would have no columns at all.")
        return ", ".join(f"{quote(name)} {definition}" for name, definition in columns.items())

    def _definition(self, type_: "pa.DataType") -> str:
        """Return the type of a column, with whatever else its definition says."""
        return self.type_name(type_)

    @override
    def drop_table(self, table: TableName) -> None:
        self.execute(f"DROP TABLE {self.quoted(table)}")

    @override
    def add_column(self, table: TableName, name: str, type_: "pa.DataType") -> None:
        added = f"{self.adding_column} {quote(name)} {self.type_name(type_)}"
        self.execute(f"ALTER TABLE {self.quoted(table)} {added}")

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
    """Yield what a driver's cursor finds as tables. The first is empty and has the types.

    Args:
        fetch: Returns the next rows, as a cursor's `fetchmany` does.
        schema: The schema of the tables.
        array: Makes an array of a column's values.
        rows_at_once: How many rows are fetched at once, at most.
    """
    yield schema.empty_table()
    while rows := fetch(min(rows_at_once, FETCHED_ROWS)):
        yield table_of(rows, schema, array)


def table_of(
    rows: Sequence[Sequence[Any]],
    schema: "pa.Schema",
    array: "Callable[[Sequence[Any], pa.DataType], pa.Array]",
) -> "pa.Table":
    """Return rows of a driver as a table."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    fields = zip(columns, schema, strict=True)
    arrays = [array(values, field.type) for values, field in fields]
    return pa.Table.from_arrays(arrays, schema=schema)


def stamps(stamp: Stamp, now: Any) -> list[tuple[str, Any]]:
    """Return our own columns and their values, in order."""
    return stamp.named(stamp.load_id, now)


def unless_newer(condition: str, newer: str | None, other: str = "s") -> str:
    """Return a condition that leaves out rows that are newer than those they are merged with.

    It holds of the rows `t` whose value in a column is not greater.

    Args:
        condition: What else holds.
        newer: The column; None to leave the condition as it is.
        other: The name of what is merged.
    """
    if newer is None:
        return condition
    name = quote(newer)
    return f"({condition}) AND COALESCE(NOT (t.{name} > {other}.{name}), TRUE)"


def column_list(names: Sequence[str], prefix: str = "") -> str:
    """Return names quoted and with commas between them, each after a prefix such as `s.`."""
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
    sql = f"INSERT INTO {table} ({names}) SELECT {values} FROM {source}"
    return sql, [value for _, value in own]
