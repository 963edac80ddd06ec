"""The write plans' primitives in DuckDB's SQL."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.sql_transaction import SqlTransaction, only
from etl_assets.destinations.database.transaction import Stamp
from etl_assets.destinations.duckdb.memory import ROW_GROUP_ROWS, InsertMemory, insert_memory
from etl_assets.exceptions import DestinationError
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, is_json, is_nested, json_type, logical
from etl_assets.model.stored import TableName
from etl_assets.naming import quote
from etl_assets.redaction import redact

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_ARRIVAL = "_etl_assets_arrival"
_STAGED = "_etl_assets_staged"
_STAGED_TABLE = TableName(_STAGED)
_ROWS = "_etl_assets_rows"
_OWN_CATALOGS = ("system", "temp")
ROW_GROUP_BYTES = 64 * 1024 * 1024


def sql_names_only(connection: "duckdb.DuckDBPyConnection") -> None:
    """Have a table's name mean a table: where there is none, DuckDB would take a variable of that name for it."""
    connection.execute("SET SESSION python_enable_replacements = false")


class DuckDBTransaction(SqlTransaction):
    """One open transaction. See `Transaction` for what each primitive promises.

    Args:
        connection: In a transaction.
        limits_memory: Insert under a memory limit of our own: the database is a file, and nobody
            has set one.
    """

    own_types = ("VARCHAR", "TIMESTAMP WITH TIME ZONE")
    insertion_order = "rowid"

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", *, limits_memory: bool = False
    ) -> None:
        self._connection = connection
        self._limits_memory = limits_memory
        self._types: dict[TableName, dict[str, str]] = {}
        self._changed: set[TableName] = set()
        self._constrained: set[TableName] = set()
        (found,) = connection.execute("SELECT current_database()").fetchall()
        self._catalog = str(found[0])
        self._catalogs = {self._catalog.casefold(), *_OWN_CATALOGS}

    @override
    def quoted(self, table: TableName) -> str:
        # DuckDB calls a database by its file: `shop.orders` of shop.duckdb could be a table of its
        # schema `main`, too.
        name = super().quoted(table)
        return (
            f"{quote(self._catalog)}.{name}" if table.schema.casefold() in self._catalogs else name
        )

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
        import pyarrow as pa

        names = self.type_names(table)
        if not names:
            return None
        empty = (
            self._connection.sql(f"SELECT * FROM {self.quoted(table)} LIMIT 0")
            .to_arrow_table()
            .schema
        )
        # Of which Arrow says text, months and text.
        special = {"JSON": json_type(), "INTERVAL": pa.duration("us"), "UUID": pa.uuid()}
        fields = [f.with_type(special.get(names[f.name]) or logical(f.type)) for f in empty]
        return pa.schema(fields)

    @override
    def tables(self, schema: str) -> list[str]:
        sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND schema_name = ? ORDER BY table_name"
        return [name for (name,) in self.execute(sql, (self._catalog, schema))]

    @override
    def type_names(self, table: TableName) -> dict[str, str]:
        if table in self._changed:
            return self._described(self._connection, table)
        known = self._types.get(table)
        if known is None:
            # Nothing of it was changed here, so what is committed is what there is. Asked on a
            # connection of its own: a table that is not there would abort our transaction. (A look
            # into DuckDB's catalog views costs 15 ms.)
            with closing(self._connection.cursor()) as other:
                known = self._types[table] = self._described(other, table)
        return known

    def _described(
        self, connection: "duckdb.DuckDBPyConnection", table: TableName
    ) -> dict[str, str]:
        import duckdb

        name = self.quoted(table)
        try:
            # Of a table that is not there, DESCRIBE would take a file, or a variable, that is
            # called as it is.
            connection.execute("PRAGMA table_info('" + name.replace("'", "''") + "')")
        except duckdb.CatalogException:
            return {}
        rows = connection.execute(f"DESCRIBE {name}").fetchall()
        if any(row[3] for row in rows):  # PRI or UNI
            self._constrained.add(table)
        return {row[0]: row[1] for row in rows}

    @override
    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        # DuckDB has them all, but for some that are inside of others.
        return json_type() if is_nested(type_) and not _has_inner(type_) else type_

    @override
    def type_name(self, type_: "pa.DataType") -> str:
        import pyarrow as pa

        type_ = logical(type_)
        if is_json(type_):
            return "JSON"
        if pa.types.is_decimal(type_):
            return f"DECIMAL({type_.precision},{type_.scale})"
        if pa.types.is_list(type_) or pa.types.is_large_list(type_):
            return f"{self.type_name(type_.value_type)}[]"
        if pa.types.is_fixed_size_list(type_):
            return f"{self.type_name(type_.value_type)}[{type_.list_size}]"
        if pa.types.is_struct(type_):
            inner = [type_.field(index) for index in range(type_.num_fields)]
            return (
                f"STRUCT({', '.join(f'{quote(f.name)} {self.type_name(f.type)}' for f in inner)})"
            )
        if pa.types.is_map(type_):
            return f"MAP({self.type_name(type_.key_type)}, {self.type_name(type_.item_type)})"
        name = _NAMES.get(str(type_))
        if name is None:
            raise DestinationError(f"DuckDB has no type for Arrow's {type_}.")
        return name

    @override
    def create_schema(self, name: str) -> None:
        self.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(self._catalog)}.{quote(name)}")

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        super().create_table(table, schema, stamp)
        self._changed.add(table)

    @override
    def drop_table(self, table: TableName) -> None:
        super().drop_table(table)
        self._types[table] = {}
        self._changed.discard(table)

    @override
    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
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
        column, type_name = quote(name), self.type_name(new)
        # A cast of text to JSON would parse it; as a value of a JSON column it is a JSON string.
        using = (
            f"to_json({column})"
            if is_json(new) and not is_json(old)
            else f"CAST({column} AS {type_name})"
        )
        altered = f"ALTER COLUMN {column} SET DATA TYPE {type_name} USING {using}"
        self.execute(f"ALTER TABLE {self.quoted(table)} {altered}")
        self._changed.add(table)

    @override
    def fits(self, table: TableName, name: str, type_: "pa.DataType") -> bool:
        column, there = quote(name), self.type_names(table)[name]
        back = f"TRY_CAST(TRY_CAST({column} AS {self.type_name(type_)}) AS {there})"
        return not self.execute(
            f"SELECT 1 FROM {self.quoted(table)} WHERE {back} IS DISTINCT FROM {column} LIMIT 1"
        )

    @override
    def is_free(self, table: TableName, name: str) -> bool:
        place = (self._catalog, table.schema or "main", table.name)
        known = "database_name = ? AND schema_name = ? AND table_name = ?"
        # DuckDB changes no column of a table that has an index or that another refers to, whichever
        # column it is of.
        whole = (
            f"SELECT 1 FROM duckdb_indexes() WHERE {known}",
            f"SELECT 1 FROM duckdb_constraints() WHERE {known.replace('table_name', 'referenced_table')}",
        )
        own = (
            f"SELECT 1 FROM duckdb_constraints() WHERE {known} AND ? IN constraint_column_names",
            f"SELECT 1 FROM duckdb_columns() WHERE {known} AND column_name = ? AND column_default IS NOT NULL",
        )
        return not any(
            [self.execute(sql, place) for sql in whole]
            + [self.execute(sql, (*place, name)) for sql in own]
        )

    @override
    def has_rows(self, table: TableName, where: str = "") -> bool:
        return (
            super().has_rows(table, where) if where else self.count(table) > 0
        )  # known without looking

    @override
    def insert(self, table: TableName, rows: "pa.RecordBatchReader", stamp: Stamp) -> int:
        names, values = _stamped(rows.schema.names, stamp)
        if not rows.schema.names:
            count = int(sum(batch.num_rows for batch in rows))
            self.execute(
                f"INSERT INTO {self.quoted(table)} ({names}) SELECT {values} FROM range({count})"
            )
            return count
        sql = f"INSERT INTO {self.quoted(table)} ({names}) SELECT {values} FROM {_ROWS}"
        limits = (
            self._limits_memory and table not in self._constrained and not _indexes(self, table)
        )
        with insert_memory(self._connection) if limits else nullcontext() as memory:
            return self._with_rows(rows, sql, memory)

    @override
    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: Stamp
    ) -> int:
        names, _ = _stamped(list(columns), stamp)
        _, values = _stamped(list(columns.values()), stamp)
        sql = (
            f"INSERT INTO {self.quoted(table)} ({names}) SELECT {values} FROM {self.quoted(source)}"
        )
        return int(self.execute(sql)[0][0])

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
    ) -> int:
        by = ", ".join(quote(key) for key in keys)
        columns = rows.schema.names
        self._with_rows(
            rows,
            f"CREATE TEMP TABLE {_STAGED} AS SELECT *, row_number() OVER () AS {_ARRIVAL} FROM {_ROWS}",
        )
        if not unique and _repeats(self, by):
            self.execute(
                f"DELETE FROM {_STAGED} WHERE {_ARRIVAL} NOT IN (SELECT max({_ARRIVAL}) FROM {_STAGED} GROUP BY {by})"
            )
        if not self.has_rows(table):
            # In their order, with the one row group that is not full as the last: in the middle of
            # a table each later checkpoint that merges row groups would write its neighbours anew.
            written = self.copy(_STAGED_TABLE, table, {name: name for name in columns}, stamp)
            self.execute(f"DROP TABLE {_STAGED}")
            return written
        covered = {*columns, *stamp.columns}.issuperset(self.type_names(table))
        # A row that another table refers to cannot be deleted; only a key of the table's own can be
        # referred to.
        compared = [f for f in rows.schema if f.name not in keys and f.name not in stamp.about]
        differs = " OR ".join(map(_differs, compared)) if update else ""
        if update and (not covered or table in self._constrained):
            written = self._merge_into(table, columns, stamp, keys, differs)
        else:
            written = self._exchange(table, columns, stamp, keys, differs)
        self.execute(f"DROP TABLE {_STAGED}")
        return written

    def _exchange(
        self,
        table: TableName,
        columns: Sequence[str],
        stamp: Stamp,
        keys: Sequence[str],
        differs: str,
    ) -> int:
        """Delete the rows that differ from their staged ones, and insert the staged rows that have none (any more).

        An update in place would have the checkpoint write every column of every row group that it
        touches: this takes three quarters of its time. A row that came again as it was is left
            alone: it keeps its load id, and what is
        downstream stays fresh.
        """
        target, names = self.quoted(table), [quote(name) for name in columns]
        same = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in keys)
        deleted = 0
        if differs:
            deleted = int(
                self.execute(
                    f"DELETE FROM {target} AS t USING {_STAGED} AS s WHERE {same} AND ({differs})"
                )[0][0]
            )
        stamps = _stamps(stamp)
        into = ", ".join([*names, *(name for name, _ in stamps)])
        values = ", ".join([*(f"s.{name}" for name in names), *(value for _, value in stamps)])
        inserted = self.execute(
            f"INSERT INTO {target} ({into}) SELECT {values} FROM {_STAGED} AS s ANTI JOIN {target} AS t ON ({same})"
        )
        return max(deleted, int(inserted[0][0]))  # more are deleted where the table had a key twice

    def _merge_into(
        self,
        table: TableName,
        columns: Sequence[str],
        stamp: Stamp,
        keys: Sequence[str],
        differs: str,
    ) -> int:
        """Update in place and insert: where columns have to keep their values, or rows their place."""
        names, _ = _stamped(columns, stamp)
        same = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in keys)
        others = [quote(name) for name in columns if name not in keys]
        settings = [f"{name} = s.{name}" for name in others] + [
            f"{name} = {value}" for name, value in _stamps(stamp)
        ]
        when_matched = (
            f"WHEN MATCHED AND ({differs}) THEN UPDATE SET {', '.join(settings)} "
            if differs
            else ""
        )
        qualified = ", ".join(
            [f"s.{quote(name)}" for name in columns] + [value for _, value in _stamps(stamp)]
        )
        written = self.execute(
            f"MERGE INTO {self.quoted(table)} AS t USING {_STAGED} AS s ON ({same}) {when_matched}"
            f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({qualified})"
        )
        return int(written[0][0])

    @override
    def read(self, table: TableName, columns: Sequence[str] | None, where: str = "") -> "pa.Table":
        return _with_json(
            self._relation(table, columns, where).to_arrow_table(), self.type_names(table)
        )

    @override
    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        import pyarrow as pa

        names = self.type_names(table)
        reader = self._relation(table, columns, where).to_arrow_reader(chunk_rows)
        yield _with_json(reader.schema.empty_table(), names)  # its types, where there are no rows
        for batch in reader:
            yield _with_json(pa.Table.from_batches([batch]), names)

    def _relation(
        self, table: TableName, columns: Sequence[str] | None, where: str
    ) -> "duckdb.DuckDBPyRelation":
        selected = ", ".join(quote(name) for name in columns) if columns else "*"
        return self._connection.sql(f"SELECT {selected} FROM {self.quoted(table)}{only(where)}")

    def _with_rows(
        self, rows: "pa.RecordBatchReader", sql: str, memory: InsertMemory | None = None
    ) -> int:
        """Run a statement that reads the rows once; gives the number of rows it wrote."""
        import duckdb
        import pyarrow as pa

        # what the read has freed: DuckDB has an allocator of its own
        pa.default_memory_pool().release_unused()
        self._connection.register(_ROWS, in_row_groups(rows, memory))
        try:
            written = self.execute(sql)
        except DestinationError:
            with suppress(duckdb.Error):  # the transaction is aborted: it would hide why
                self._connection.unregister(_ROWS)
            raise
        self._connection.unregister(_ROWS)
        return int(written[0][0]) if written else 0


def _with_json(found: "pa.Table", names: Mapping[str, str]) -> "pa.Table":
    """Return text that is stored as JSON its type.

    Args:
        found: Rows of a table.
        names: DuckDB's types of the table's columns.
    """
    for index, field in enumerate(found.schema):
        if names.get(field.name) == "JSON":
            found = found.set_column(
                index, field.with_type(json_type()), found.column(index).cast(json_type())
            )
    return found


@lru_cache(1024)
def _has_inner(type_: "pa.DataType") -> bool:
    """Return whether DuckDB has a type for what is inside of lists and structs.

    It has no struct without fields, none with two that differ in the case of letters only, and no
    long decimals.
    """
    import pyarrow as pa

    if pa.types.is_decimal(type_):
        return bool(type_.precision <= MAX_DECIMAL_DIGITS)
    inner = [type_.field(at) for at in range(type_.num_fields)] if is_nested(type_) else []
    if pa.types.is_struct(type_) and len({one.name.casefold() for one in inner}) < max(
        1, len(inner)
    ):
        return False
    return all(_has_inner(one.type) for one in inner)


def _repeats(tx: DuckDBTransaction, by: str) -> bool:
    return bool(tx.execute(f"SELECT 1 FROM {_STAGED} GROUP BY {by} HAVING COUNT(*) > 1 LIMIT 1"))


def _indexes(tx: DuckDBTransaction, table: TableName) -> bool:
    """Return whether a table has an index: it stays in memory until a checkpoint, however large the table is."""
    known = "schema_name = ? AND table_name = ? AND database_name = current_database()"
    return bool(
        tx.execute(
            f"SELECT 1 FROM duckdb_indexes() WHERE {known}", (table.schema or "main", table.name)
        )
    )


def _differs(field: "pa.Field") -> str:
    """Return the condition that a staged row has another value than the table's.

    -0.0 is another than 0.0.
    """
    import pyarrow as pa

    mine, staged = f"t.{quote(field.name)}", f"s.{quote(field.name)}"
    differs = f"{mine} IS DISTINCT FROM {staged}"
    if not pa.types.is_floating(field.type):
        return differs
    return f"{differs} OR ({mine} = 0 AND signbit({mine}) <> signbit({staged}))"


def in_row_groups(
    rows: "pa.RecordBatchReader", memory: InsertMemory | None = None
) -> "pa.RecordBatchReader":
    """Return the same rows in batches of exactly `ROW_GROUP_ROWS` rows, but for the last and where rows are wide.

    Args:
        rows: The rows.
        memory: A limit that is told of every batch before it is given.
    """
    import pyarrow as pa

    def groups() -> "Iterator[pa.RecordBatch]":
        waiting: list[pa.RecordBatch] = []
        count = size = 0
        for batch in rows:
            if not batch.num_rows:
                continue
            waiting.append(batch)
            count, size = count + batch.num_rows, size + batch.nbytes
            while count >= ROW_GROUP_ROWS:
                table = pa.Table.from_batches(waiting, rows.schema)
                yield from table.slice(0, ROW_GROUP_ROWS).combine_chunks().to_batches()
                waiting = table.slice(ROW_GROUP_ROWS).to_batches()
                count, size = count - ROW_GROUP_ROWS, sum(one.nbytes for one in waiting)
            if size >= ROW_GROUP_BYTES:
                yield from waiting
                waiting, count, size = [], 0, 0
        if waiting:
            yield from pa.Table.from_batches(waiting, rows.schema).combine_chunks().to_batches()

    def admitted() -> "Iterator[pa.RecordBatch]":
        for batch in groups():
            if memory is not None:
                memory.admit(batch)
            yield batch

    return pa.RecordBatchReader.from_batches(rows.schema, admitted())


def _stamps(stamp: Stamp) -> list[tuple[str, str]]:
    return [(quote(name), value) for name, value in stamp.named(quote(stamp.load_id, "'"), "now()")]


def _stamped(columns: Sequence[str], stamp: Stamp) -> tuple[str, str]:
    """Return the column list of an INSERT and the values beside it."""
    names = [quote(name) for name in columns]
    stamps = _stamps(stamp)
    return ", ".join([*names, *(n for n, _ in stamps)]), ", ".join(
        [*names, *(v for _, v in stamps)]
    )


_NAMES = {
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date32[day]": "DATE",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[ns]": "TIMESTAMP_NS",
    "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
    "timestamp[ns, tz=UTC]": "TIMESTAMPTZ_NS",
    "time64[us]": "TIME",
    "time64[ns]": "TIME_NS",
    "duration[us]": "INTERVAL",
    "null": "VARCHAR",
    "extension<arrow.uuid>": "UUID",
}
