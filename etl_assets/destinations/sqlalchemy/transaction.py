"""A transaction through SQLAlchemy, for databases that have none of their own here."""

import re
import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.row_merge import Row
from etl_assets.destinations.database.sql_rows import SqlRows
from etl_assets.destinations.database.sql_transaction import stamps, table_of, tables_of
from etl_assets.destinations.database.transaction import LedgerTypes, Stamp
from etl_assets.destinations.mysql.engines import rolls_nothing_back
from etl_assets.destinations.sqlite.types import bytes_where_not_text
from etl_assets.engine.casting import RefusedValueError
from etl_assets.exceptions import DestinationError, SchemaConflictError
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, logical
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

LOWEST = -1.7976931348623157e308
MAX_SCALE = 30
"""The most digits after the point that MySQL has."""
_WITHOUT_NEGATIVE_ZERO = frozenset({"mysql", "mariadb", "sqlite", "oracle"})
_MYSQL = frozenset({"mysql", "mariadb"})
_ROLLS_BACK_TABLES = frozenset(
    {"postgresql", "sqlite", "mssql", "duckdb", "redshift", "cockroachdb"}
)
"""Dialects whose databases roll back a change of tables."""
_FIRST_ROW = {
    **dict.fromkeys(
        ("sqlite", "postgresql", "mysql", "mariadb", "duckdb", "redshift", "cockroachdb"), "LIMIT 1"
    ),
    "oracle": "FETCH FIRST 1 ROWS ONLY",
}
"""How a query ends of which one row is enough. Each database has another word for it, or none."""
_WRITTEN = re.compile(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|\?|:")


class AlchemyTransaction(SqlRows):
    """One open transaction. See `Transaction` for what each primitive promises.

    A change of a table that cannot be rolled back is made on a connection of its own, before the
    rows are written.

    Args:
        connection: The connection of SQLAlchemy.
        own_columns: This library's columns, by which a table is known that a killed load has left.
    """

    rows_at_once = 1000

    def __init__(self, connection: "sa.Connection", own_columns: Sequence[str] = ()) -> None:
        import sqlalchemy as sa

        self._connection = connection
        self._own_columns = frozenset(own_columns)
        self._dialect = connection.dialect
        self.signs_zeros = connection.dialect.name not in _WITHOUT_NEGATIVE_ZERO
        self.first_row = _FIRST_ROW.get(connection.dialect.name, "")
        self._together = connection.dialect.name in _ROLLS_BACK_TABLES
        self.now = datetime.now(UTC).isoformat(sep=" ", timespec="microseconds")
        self.ledger_types = LedgerTypes(
            create="CREATE TABLE",
            key=self._ddl(sa.String(180)),
            text=self._ddl(_text()),
            big=self._ddl(sa.BigInteger()),
            options=self._table_options,
        )
        self.own_types = (self.ledger_types.text, self.ledger_types.text)

    @override
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if sql.startswith("CREATE"):
            self._changing(sql)
            return []
        bound = {f"p{at}": value for at, value in enumerate(parameters)}
        driver: Any = self._connection.connection.driver_connection
        with bytes_where_not_text(driver) if self._dialect.driver == "pysqlite" else nullcontext():
            result = self._connection.execute(_statement(sql, bound), bound)
            return [tuple(row) for row in result] if result.returns_rows else []

    @property
    def _table_options(self) -> str:
        # The server's default may be an engine that does not roll rows back.
        return "ENGINE = InnoDB" if self._dialect.name in _MYSQL else ""

    def _changing(self, sql: str) -> None:
        """Change a table: in the transaction if the database can roll that back, else at once."""
        statement = _statement(sql)
        if self._together:
            self._connection.execute(statement)
            return
        with self._connection.engine.connect() as other:
            other.execute(statement)
            other.commit()

    # Columns

    @override
    def schema(self, table: TableName) -> "pa.Schema | None":
        import pyarrow as pa

        columns = self._columns(table)
        if not columns:
            return None
        return pa.schema([(name, _arrow_type(type_)) for name, type_ in columns.items()])

    @override
    def left_empty(self, table: TableName) -> bool:
        if self._together or not self._own_columns:
            return False
        return self._own_columns <= set(self._columns(table)) and not self.has_rows(table)

    @override
    def unsafe(self, table: TableName) -> str | None:
        return rolls_nothing_back(self.execute, table) if self._dialect.name in _MYSQL else None

    @override
    def type_names(self, table: TableName) -> dict[str, str]:
        columns = self._columns(table)
        return {name: self.type_name(_arrow_type(type_)) for name, type_ in columns.items()}

    @override
    def tables(self, schema: str) -> list[str]:
        import sqlalchemy as sa

        return sorted(sa.inspect(self._connection).get_table_names(schema=schema or None))

    def _columns(self, table: TableName) -> "dict[str, sa.types.TypeEngine[Any]]":
        return _reflected(self._connection, table)

    @override
    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        """Return int64, double, decimal or bytes, or text for all else.

        Databases do not agree on what a date is.
        """
        import pyarrow as pa

        type_ = logical(type_)
        if pa.types.is_floating(type_):
            return pa.float64()
        if pa.types.is_uint64(type_):
            return pa.decimal128(20, 0) if self._dialect.supports_native_decimal else pa.string()
        if pa.types.is_integer(type_):
            return pa.int64()
        if pa.types.is_decimal(type_):
            has_it = self._dialect.supports_native_decimal and type_.scale <= MAX_SCALE
            return type_ if has_it else pa.string()
        return type_ if pa.types.is_binary(type_) else pa.string()

    @override
    def type_name(self, type_: "pa.DataType") -> str:
        return self._ddl(self._type(type_))

    @override
    def keeps_as_text(self, type_: "pa.DataType") -> bool:
        import pyarrow as pa

        return bool(pa.types.is_string(self.stored_type(type_)))

    def _type(self, type_: "pa.DataType") -> "sa.types.TypeEngine[Any]":
        import pyarrow as pa
        import sqlalchemy as sa
        from sqlalchemy.dialects import mysql

        type_ = self.stored_type(type_)
        if pa.types.is_integer(type_):
            return sa.BigInteger()
        if pa.types.is_floating(type_):
            return sa.Double()
        if pa.types.is_decimal(type_):
            return sa.Numeric(type_.precision, type_.scale)
        if pa.types.is_binary(type_):
            return sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
        return _text()

    def _ddl(self, type_: "sa.types.TypeEngine[Any]") -> str:
        return str(type_.compile(dialect=self._dialect))

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        definitions = self._definitions(table, schema, stamp)
        sql = f"CREATE TABLE {self.quoted(table)} ({definitions}) {self._table_options}"
        self._changing(sql.rstrip())

    @override
    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
        import pyarrow as pa

        own = pa.schema([(name, pa.string()) for name, _ in stamps(stamp, self.now)])
        wanted = {f.name: self.type_name(f.type) for f in (*schema, *own)}
        there = self.type_names(table)
        if there != wanted and self._together:
            self._changing(f"DROP TABLE {self.quoted(table)}")
            self.create_table(table, schema, stamp)
            return table
        for name, type_ in wanted.items():
            if there.get(name, type_) != type_:
                raise _cannot_change(table, name, self._dialect.name)
        for f in (*schema, *own):
            if f.name not in there:
                self.add_column(table, f.name, f.type)
        self.execute(f"DELETE FROM {self.quoted(table)}")
        return table

    @override
    def add_column(self, table: TableName, name: str, type_: "pa.DataType") -> None:
        word = "ADD" if self._dialect.name in {"mssql", "oracle"} else "ADD COLUMN"
        added = f"{word} {quote(name)} {self.type_name(type_)}"
        self._changing(f"ALTER TABLE {self.quoted(table)} {added}")

    @override
    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        if not self._together:
            raise _cannot_change(table, name, self._dialect.name)
        super().widen_column(table, name, old, new)

    # Rows

    @override
    def has_rows(self, table: TableName, where: str = "") -> bool:
        # Each database has another word for a query that ends with its first row.
        return self.count(table, where) > 0

    @override
    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        from sqlalchemy import text

        schema = self.schema_of(table, columns)
        query = _select(self._table(table, schema))
        query = query.where(text(where)) if where else query
        # The option is for this statement alone. On the connection, it would make a cursor of every
        # statement that follows.
        found = self._connection.execute(query, execution_options={"stream_results": True})
        return tables_of(found.fetchmany, schema, _array, chunk_rows)

    @override
    def insert_rows(
        self, table: TableName, names: Sequence[str], rows: Sequence[Row], stamp: Stamp
    ) -> None:
        if not rows:
            return
        own = dict(stamps(stamp, self.now))
        target = self._table(table, self.schema_of(table, [*names, *own]))
        bound = [dict(zip(names, row, strict=True)) | own for row in rows]
        with refused():
            self._connection.execute(target.insert(), bound)

    @override
    def update_rows(
        self,
        table: TableName,
        schema: "pa.Schema",
        keys: Sequence[str],
        rows: Sequence[Row],
        stamp: Stamp,
    ) -> None:
        import sqlalchemy as sa

        if not rows:
            return
        own = dict(stamps(stamp, self.now))
        target = self._table(table, self.schema(table))
        same = [target.c[key] == sa.bindparam(f"key {at}") for at, key in enumerate(keys)]
        names = [*schema.names, *own]
        values: dict[str, Any] = {
            name: sa.bindparam(f"value {at}") for at, name in enumerate(names)
        }
        key_positions = [schema.get_field_index(key) for key in keys]

        def bound(row: Row) -> dict[str, Any]:
            found = {f"key {at}": row[position] for at, position in enumerate(key_positions)}
            return found | {f"value {at}": one for at, one in enumerate([*row, *own.values()])}

        update = target.update().where(sa.and_(*same)).values(values)
        with refused():
            self._connection.execute(update, list(map(bound, rows)))

    @override
    def rows_with(
        self, table: TableName, schema: "pa.Schema", keys: Sequence[str], wanted: Sequence[Row]
    ) -> "pa.Table":
        import sqlalchemy as sa

        target = self._table(table, schema)

        def is_key(values: Row) -> "sa.ColumnElement[bool]":
            return sa.and_(*(target.c[key] == v for key, v in zip(keys, values, strict=True)))

        where = sa.or_(*map(is_key, wanted))
        rows = self._connection.execute(_select(target).where(where)).fetchall()
        return table_of(rows, schema, self.array)

    @override
    def array(self, values: Sequence[Any], type_: "pa.DataType") -> "pa.Array":
        return _array(values, type_)

    @override
    def bound(self, column: "pa.Array", name: str) -> Sequence[Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        if pa.types.is_floating(column.type):
            odd = pc.invert(pc.is_finite(column))
            if self._dialect.name in _WITHOUT_NEGATIVE_ZERO:
                odd = pc.or_(odd, pc.less(pc.divide(pa.scalar(1.0), column), pa.scalar(LOWEST)))
            if pc.any(odd).as_py():
                first = column.filter(odd)[0].as_py()
                message = "not every database has NaN, Infinity or -0.0."
                raise RefusedValueError(name, message, first)
        values: list[Any] = column.to_pylist()
        if self._dialect.name == "oracle" and pa.types.is_string(column.type) and "" in values:
            raise RefusedValueError(name, "Oracle makes NULL of the empty text.", "")
        return values

    def _table(self, table: TableName, schema: "pa.Schema") -> "sa.Table":
        import sqlalchemy as sa

        columns = [sa.Column(f.name, self._type(f.type), quote=True, key=f.name) for f in schema]
        return sa.Table(
            table.name, sa.MetaData(), *columns, schema=table.schema or None, quote=True
        )


def _reflected(
    connection: "sa.Connection", table: TableName
) -> "dict[str, sa.types.TypeEngine[Any]]":
    """Return the columns of a table; none if there is no such table.

    Raises:
        DestinationError: SQLAlchemy would leave out a column, with no more than a warning.
    """
    import sqlalchemy as sa

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "error", message="Unknown column definition", category=sa.exc.SAWarning
            )
            found = sa.inspect(connection).get_columns(table.name, schema=table.schema or None)
    except sa.exc.NoSuchTableError:
        return {}
    except sa.exc.SAWarning as warning:
        raise DestinationError(
            f"The table {table} has a column that cannot be read: {warning}.",
            hint="Is there a line break in its name? Use MySQLDestination, or rename the field.",
        ) from warning
    columns = {column["name"]: column["type"] for column in found}
    if connection.dialect.name in _MYSQL:
        # SQLAlchemy reads MySQL's statement for the table, in which a quote in a name is doubled.
        return {name.replace('""', '"'): type_ for name, type_ in columns.items()}
    return columns


@contextmanager
def refused() -> Iterator[None]:
    """Turn what a driver says of a value into a `RefusedValueError`."""
    import sqlalchemy as sa

    try:
        yield
    except (sa.exc.StatementError, OverflowError) as error:
        if isinstance(error, sa.exc.DBAPIError) and not isinstance(error, sa.exc.DataError):
            raise
        raise RefusedValueError(None, "the database refused a value.") from None


def _cannot_change(table: TableName, name: str, dialect: str) -> SchemaConflictError:
    better = ""
    if dialect in _MYSQL:
        better = " MySQLDestination can change it: load into another schema by that."
    return SchemaConflictError(
        f"The column {name!r} of the table {table} would have to get another type, "
        f"which cannot be rolled back in {dialect}.",
        hint=f"Change it by hand, or drop the table and do a full refresh.{better}",
    )


def _select(table: "sa.Table") -> "sa.Select[Any]":
    import sqlalchemy as sa

    return sa.select(*table.columns)


def _text() -> "sa.types.TypeEngine[Any]":
    import sqlalchemy as sa
    from sqlalchemy.dialects import mysql

    long = mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin")
    return sa.Text().with_variant(long, "mysql", "mariadb")


def _arrow_type(type_: "sa.types.TypeEngine[Any]") -> "pa.DataType":
    import pyarrow as pa
    import sqlalchemy as sa

    if isinstance(type_, sa.Boolean):
        return pa.string()
    if isinstance(type_, sa.Integer):
        return pa.int64()
    if isinstance(type_, sa.Float):
        return pa.float64()
    if isinstance(type_, sa.Numeric) and type_.precision and type_.precision <= MAX_DECIMAL_DIGITS:
        return pa.decimal128(type_.precision, type_.scale or 0)
    binary = sa.LargeBinary | sa.types._Binary  # noqa: SLF001 - its only common class
    return pa.binary() if isinstance(type_, binary) else pa.string()


def _array(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    if pa.types.is_decimal(type_):
        return pa.array([None if one is None else Decimal(str(one)) for one in values], type_)
    if pa.types.is_string(type_):
        texts = [one if one is None or isinstance(one, str) else str(one) for one in values]
        return pa.array(texts, type_)
    if pa.types.is_binary(type_):
        return pa.array([None if one is None else bytes(one) for one in values], type_)
    return pa.array(values, type_)


def _statement(sql: str, parameters: Collection[Any] = ()) -> "sa.TextClause":
    """Return a statement for SQLAlchemy, with its named marks in place of each `?`.

    Without parameters a `?` is none, but an operator of the database's, or in a comment. Nothing
    else in it is a mark, whatever a name looks like. SQLAlchemy itself doubles each `%` if the
    driver needs it.
    """
    import sqlalchemy as sa

    numbers = count()

    def replaced(match: re.Match[str]) -> str:
        text = match[0]
        is_mark = text == "?" and parameters
        return f":p{next(numbers)}" if is_mark else text.replace(":", "\\:")

    return sa.text(_WRITTEN.sub(replaced, sql))
