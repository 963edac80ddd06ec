"""The write plans' primitives in DuckDB's SQL."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.sql_transaction import (
    STAGED,
    SqlTransaction,
    column_list,
    only,
)
from etl_assets.destinations.duckdb.memory import InsertMemory, insert_memory
from etl_assets.destinations.duckdb.row_groups import in_row_groups
from etl_assets.destinations.duckdb.types import arrow_schema, stored_type, type_name, with_json
from etl_assets.exceptions import DestinationError
from etl_assets.model.schema.types import is_json
from etl_assets.model.stored import TableName
from etl_assets.naming import quote
from etl_assets.redaction import redact

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from etl_assets.destinations.database.transaction import Stamp

_STAGED_TABLE = TableName(STAGED)
_ROWS = "_etl_assets_rows"
_OWN_CATALOGS = ("system", "temp")


def sql_names_only(connection: "duckdb.DuckDBPyConnection") -> None:
    """Have a table's name mean a table: DuckDB would also take a variable of Python's for it."""
    connection.execute("SET SESSION python_enable_replacements = false")


class DuckDBTransaction(SqlTransaction):
    """One open transaction. See `Transaction` for what each primitive promises.

    Args:
        connection: In a transaction.
        limits_memory: Insert under a memory limit of our own, because the database is a file and
            nobody has set a limit.
        attached_as: What the file's database is called in an instance that has it attached; None
            where it is the instance's own.
    """

    own_types = ("VARCHAR", "TIMESTAMP WITH TIME ZONE")
    insertion_order = "rowid"

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        *,
        limits_memory: bool = False,
        attached_as: str | None = None,
    ) -> None:
        self._connection = connection
        self._attached_as = attached_as
        self._limits_memory = limits_memory
        self._types: dict[TableName, dict[str, str]] = {}
        self._changed: set[TableName] = set()
        self._constrained: set[TableName] = set()
        if attached_as is None:
            (found,) = connection.execute("SELECT current_database()").fetchall()
            attached_as = str(found[0])
        self._catalog = attached_as
        self._catalogs = {self._catalog.casefold(), *_OWN_CATALOGS}

    @override
    def quoted(self, table: TableName) -> str:
        # DuckDB calls a database by its file: `shop.orders` of shop.duckdb could be a table of its
        # schema `main`, too.
        name = super().quoted(table)
        is_ambiguous = table.schema.casefold() in self._catalogs
        return f"{quote(self._catalog)}.{name}" if is_ambiguous else name

    @override
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        import duckdb

        try:
            return self._connection.execute(sql, list(parameters)).fetchall()
        except duckdb.Error as error:
            # The statement holds no value (they are bound), but DuckDB's message may show one.
            raise DestinationError(
                f"DuckDB: {type(error).__name__}: {redact(str(error))}"
            ) from error

    @override
    def schema(self, table: TableName) -> "pa.Schema | None":
        names = self.type_names(table)
        if not names:
            return None
        empty = self._connection.sql(f"SELECT * FROM {self.quoted(table)} LIMIT 0")
        return arrow_schema(empty.to_arrow_table().schema, names)

    @override
    def tables(self, schema: str) -> list[str]:
        sql = (
            "SELECT table_name FROM duckdb_tables() "
            "WHERE database_name = ? AND schema_name = ? ORDER BY table_name"
        )
        return [name for (name,) in self.execute(sql, (self._catalog, schema))]

    @override
    def type_names(self, table: TableName) -> dict[str, str]:
        if table in self._changed:
            return self._described(self._connection, table)
        known = self._types.get(table)
        if known is None:
            # This transaction has not changed the table, so what is committed is what there is. It
            # is asked for on another connection: if the table is not there, that aborts the
            # transaction. (To look into DuckDB's catalog views would cost 15 ms.)
            with closing(self._connection.cursor()) as other:
                if self._attached_as is not None:
                    other.execute(f"USE {quote(self._attached_as)}")
                known = self._types[table] = self._described(other, table)
        return known

    def _described(
        self, connection: "duckdb.DuckDBPyConnection", table: TableName
    ) -> dict[str, str]:
        import duckdb

        name = self.quoted(table)
        try:
            # Where there is no such table, DESCRIBE would take a file or a variable of that name.
            connection.execute("PRAGMA table_info('" + name.replace("'", "''") + "')")
        except duckdb.CatalogException:
            return {}
        rows = connection.execute(f"DESCRIBE {name}").fetchall()
        if any(row[3] for row in rows):  # PRI or UNI
            self._constrained.add(table)
        return {row[0]: row[1] for row in rows}

    @override
    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        return stored_type(type_)

    @override
    def type_name(self, type_: "pa.DataType") -> str:
        return type_name(type_)

    @override
    def keeps_as_text(self, type_: "pa.DataType") -> bool:
        return type_name(type_) == "VARCHAR"

    @override
    def create_schema(self, name: str) -> None:
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self._catalog)}.{quote(name)}")

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: "Stamp") -> None:
        super().create_table(table, schema, stamp)
        self._changed.add(table)

    @override
    def drop_table(self, table: TableName) -> None:
        super().drop_table(table)
        self._types[table] = {}
        self._changed.discard(table)

    @override
    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: "Stamp") -> TableName:
        self.drop_table(table)
        self.create_table(table, schema, stamp)
        return table

    @override
    def add_column(self, table: TableName, name: str, type_: "pa.DataType") -> None:
        super().add_column(table, name, type_)
        self._changed.add(table)

    @override
    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        column, wider = quote(name), type_name(new)
        cast = f"CAST({column} AS {wider})"
        if is_json(new) and not is_json(old):
            # A cast of text to JSON would parse it; as a value of a JSON column it is a string.
            cast = f"to_json({column})"
        altered = f"ALTER COLUMN {column} SET DATA TYPE {wider} USING {cast}"
        self.execute(f"ALTER TABLE {self.quoted(table)} {altered}")
        self._changed.add(table)

    @override
    def fits(self, table: TableName, name: str, type_: "pa.DataType") -> bool:
        column, there = quote(name), self.type_names(table)[name]
        back = f"TRY_CAST(TRY_CAST({column} AS {type_name(type_)}) AS {there})"
        return not self.has_rows(table, f"{back} IS DISTINCT FROM {column}")

    @override
    def strict_columns(self, table: TableName) -> list[str]:
        known = "database_name = ? AND schema_name = ? AND table_name = ?"
        found = self.execute(
            f"SELECT column_name FROM duckdb_columns() WHERE {known} "
            "AND NOT is_nullable AND column_default IS NULL ORDER BY column_index",
            (self._catalog, table.schema or "main", table.name),
        )
        return [name for (name,) in found]

    @override
    def allow_nulls(self, table: TableName, names: Sequence[str]) -> None:
        for name in names:
            altered = f"ALTER COLUMN {quote(name)} DROP NOT NULL"
            self.execute(f"ALTER TABLE {self.quoted(table)} {altered}")
        self._changed.add(table)

    @override
    def is_free(self, table: TableName, name: str) -> bool:
        place = (self._catalog, table.schema or "main", table.name)
        known = "database_name = ? AND schema_name = ? AND table_name = ?"
        referred = known.replace("table_name", "referenced_table")
        # DuckDB changes no column of a table that has an index or that another refers to, whichever
        # column that is of.
        of_table = (
            f"SELECT 1 FROM duckdb_indexes() WHERE {known}",
            f"SELECT 1 FROM duckdb_constraints() WHERE {referred}",
        )
        has_default = f"{known} AND column_name = ? AND column_default IS NOT NULL"
        of_column = (
            f"SELECT 1 FROM duckdb_constraints() WHERE {known} AND ? IN constraint_column_names",
            f"SELECT 1 FROM duckdb_columns() WHERE {has_default}",
        )
        if any(self.execute(sql, place) for sql in of_table):
            return False
        return not any(self.execute(sql, (*place, name)) for sql in of_column)

    @override
    def has_rows(self, table: TableName, where: str = "") -> bool:
        if where:
            return super().has_rows(table, where)
        return self.count(table) > 0  # DuckDB knows it without looking at the rows.

    @override
    def insert(self, table: TableName, rows: "pa.RecordBatchReader", stamp: "Stamp") -> int:
        columns: list[str] = rows.schema.names
        if not columns:
            count = int(sum(batch.num_rows for batch in rows))
            self.execute(self._inserting(table, {}, stamp, f"range({count})"))
            return count
        sql = self._inserting(table, dict(zip(columns, columns, strict=True)), stamp, _ROWS)
        may_limit = self._limits_memory and table not in self._constrained
        limited = may_limit and not self._is_indexed(table)
        with insert_memory(self._connection) if limited else nullcontext() as memory:
            return self._with_rows(rows, sql, memory)

    @override
    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: "Stamp"
    ) -> int:
        sql = self._inserting(table, columns, stamp, self.quoted(source))
        return int(self.execute(sql)[0][0])

    def _inserting(
        self, table: TableName, columns: Mapping[str, str], stamp: "Stamp", source: str
    ) -> str:
        """Return the statement that inserts rows.

        Args:
            table: Where to.
            columns: The columns of `source` by those of the table.
            stamp: For the columns of our own.
            source: What stands behind FROM.
        """
        from etl_assets.destinations.duckdb.merge import own_values

        own = own_values(stamp)
        names = column_list([*columns, *own])
        values = ", ".join([*map(quote, columns.values()), *own.values()])
        return f"INSERT INTO {self.quoted(table)} ({names}) SELECT {values} FROM {source}"

    def _is_indexed(self, table: TableName) -> bool:
        """Return whether a table has an index: all of it stays in memory until a checkpoint."""
        known = "database_name = ? AND schema_name = ? AND table_name = ?"
        place = (self._catalog, table.schema or "main", table.name)
        return bool(self.execute(f"SELECT 1 FROM duckdb_indexes() WHERE {known}", place))

    @override
    def merge(
        self,
        table: TableName,
        rows: "pa.RecordBatchReader",
        stamp: "Stamp",
        keys: Sequence[str],
        *,
        update: bool,
        unique: bool = False,
        newer: str | None = None,
    ) -> int:
        from etl_assets.destinations.duckdb.merge import ARRIVAL, Merge

        arrived = f"SELECT *, row_number() OVER () AS {ARRIVAL} FROM {_ROWS}"
        self._with_rows(rows, f"CREATE TEMP TABLE {STAGED} AS {arrived}")
        merge = Merge(self.execute, self.quoted(table), rows.schema, keys, stamp, newer)
        if not unique:
            merge.keep_last()
        columns: list[str] = rows.schema.names
        covers_table = {*columns, *stamp.columns}.issuperset(self.type_names(table))
        if not self.has_rows(table):
            # In their order, with the one row group that is not full as the last: in the middle of
            # a table each later checkpoint that merges row groups would write its neighbours anew.
            written = self.copy(_STAGED_TABLE, table, {name: name for name in columns}, stamp)
        elif update and (not covers_table or table in self._constrained):
            # A row that another table refers to cannot be deleted; only a key of the table's own
            # can be referred to.
            written = merge.in_place()
        else:
            written = merge.exchange(update=update)
        self.execute(f"DROP TABLE {STAGED}")
        return written

    @override
    def read(self, table: TableName, columns: Sequence[str] | None, where: str = "") -> "pa.Table":
        found = self._relation(table, columns, where).to_arrow_table()
        return with_json(found, self.type_names(table))

    @override
    def moment_literal(self, written: str, type_: "pa.DataType", *, zoned: bool) -> str:
        import pyarrow as pa

        if not zoned:
            return super().moment_literal(written, type_, zoned=False)
        moment = f"TIMESTAMPTZ '{written}+00'"
        # Moments to the nanosecond are compared with their like only.
        is_fine = pa.types.is_timestamp(type_) and type_.unit == "ns"
        return f"CAST({moment} AS TIMESTAMPTZ_NS)" if is_fine else moment

    @override
    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        import pyarrow as pa

        names = self.type_names(table)
        reader = self._relation(table, columns, where).to_arrow_reader(chunk_rows)
        yield with_json(reader.schema.empty_table(), names)  # the types, if there are no rows
        for batch in reader:
            yield with_json(pa.Table.from_batches([batch]), names)

    def _relation(
        self, table: TableName, columns: Sequence[str] | None, where: str
    ) -> "duckdb.DuckDBPyRelation":
        selected = ", ".join(quote(name) for name in columns) if columns else "*"
        return self._connection.sql(f"SELECT {selected} FROM {self.quoted(table)}{only(where)}")

    def _with_rows(
        self, rows: "pa.RecordBatchReader", sql: str, memory: InsertMemory | None = None
    ) -> int:
        """Run a statement that reads the rows once, and return how many rows it wrote."""
        import duckdb
        import pyarrow as pa

        # DuckDB has an allocator of its own, which cannot use what the read has freed.
        pa.default_memory_pool().release_unused()
        self._connection.register(_ROWS, in_row_groups(rows, memory))
        try:
            written = self.execute(sql)
        except DestinationError:
            # The transaction is aborted, so this fails too; its error would hide the first one.
            with suppress(duckdb.Error):
                self._connection.unregister(_ROWS)
            raise
        self._connection.unregister(_ROWS)
        return int(written[0][0]) if written else 0
