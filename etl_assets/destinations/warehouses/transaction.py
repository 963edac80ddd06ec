"""The write plans' primitives in the SQL of cloud warehouses.

There, a change of tables commits what came before it.

So a load goes in two steps. First, outside of any transaction: tables are made or widened, which
loses nothing if a kill follows, and the rows go into a staging table. Then one transaction: the
lock, the state row, `INSERT` or `MERGE` from the staging table, the ledger.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.sql_transaction import (
    SqlTransaction,
    column_list,
    respelled,
    unless_newer,
)
from etl_assets.destinations.database.transaction import Stamp
from etl_assets.engine.casting import cast
from etl_assets.engine.start import new_load_id
from etl_assets.exceptions import DestinationError, SchemaConflictError
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

ARRIVAL = "_etl_assets_arrival"
LOCK = "_etl_assets_lock"
STAGED = "_etl_assets_staged"
_ROWS_CHANGED = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
_TABLES_CHANGED = frozenset({"CREATE", "ALTER", "DROP"})
FILE_BYTES = 128 * 1024 * 1024
"""Of Arrow in one Parquet file: warehouses load files of about 100 to 250 MB best."""
Beside = Callable[[], "AbstractContextManager[WarehouseTransaction]"]


class WarehouseEngine(SqlTransaction):
    """What a warehouse says for itself.

    That is how statements are run and rows staged, and what its SQL calls things.
    """

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[list[tuple[Any, ...]], int]:
        """Run a statement as it is; gives the rows it found, and how many it wrote."""
        raise NotImplementedError(f"{type(self).__name__} must override run.")

    def start(self) -> None:
        """Begin the transaction."""
        raise NotImplementedError(f"{type(self).__name__} must override start.")

    def load(
        self, table: TableName, rows: "pa.RecordBatchReader", types: Mapping[str, str]
    ) -> None:
        """Make a table that goes away by itself, and put rows into it.

        Outside of the transaction.
        """
        raise NotImplementedError(f"{type(self).__name__} must override load.")

    def fetch(self, sql: str) -> "Iterator[pa.Table]":
        """Run a query and give what it finds bit by bit."""
        raise NotImplementedError(f"{type(self).__name__} must override fetch.")

    def columns(self, table: TableName) -> dict[str, str]:
        """Return the engine's type name of each column; {} if there is no such table."""
        raise NotImplementedError(f"{type(self).__name__} must override columns.")

    def spelled(self, name: str) -> str:
        """Return an identifier as SQL."""
        return quote(name)

    def read_name(self, name: str) -> str:
        """Return the name of ours for a column's name of the engine's."""
        return name


class WarehouseTransaction(WarehouseEngine):
    """One open transaction, which begins with the first statement that changes rows.

    Args:
        state_schema: Where our own tables are.
        own_columns: The names of our columns: an empty table that has them was made by a load that
            was killed.
        beside: Opens another session, which holds the lock while a table is made anew.
    """

    alters_at_once: bool = True

    def __init__(self, state_schema: str, own_columns: Sequence[str], beside: Beside) -> None:
        self._lock_table = TableName(LOCK, state_schema)
        self._own_columns = tuple(own_columns)
        self._beside = beside
        self._staged: dict[TableName, TableName] = {}
        self._made: set[TableName] = set()
        self._types: dict[TableName, dict[str, str]] = {}
        self.now = datetime.now(UTC)
        self.begun = False

    @override
    def text_literal(self, value: str) -> str:
        # There, a backslash in a text begins an escape.
        return super().text_literal(value.replace("\\", "\\\\"))

    # The transaction itself

    @override
    def lock(self, name: str) -> None:
        self.begin()  # one lock for all: whoever publishes comes after whoever does

    def begin(self) -> None:
        """Begin, and wait for whoever else changes rows of this library's tables."""
        if self.begun:
            return
        if not self.exists(self._lock_table):
            if self._lock_table.schema:
                self.create_schema(self._lock_table.schema)
            self._plain(
                f"CREATE TABLE IF NOT EXISTS {self.quoted(self._lock_table)} AS SELECT 0 AS held"
            )
        self.begun = True
        self._types.clear()  # somebody else may have changed a table meanwhile
        self.start()
        self._plain(f"UPDATE {self.quoted(self._lock_table)} SET held = held + 1 WHERE held >= 0")

    @override
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        word = sql.split(None, 1)[0].upper()
        if word in _ROWS_CHANGED:
            self.begin()
        elif word in _TABLES_CHANGED and self.begun:
            raise DestinationError(
                "A change of tables would commit the rows that were changed before it.",
                hint="Change tables first, in a call of its own.",
            )
        return self._plain(sql, parameters)[0]

    def _plain(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[list[tuple[Any, ...]], int]:
        if sql.startswith(tuple(_TABLES_CHANGED)):
            self._types.clear()
        return self.run(respelled(sql, self.spelled), parameters)

    def _write(self, sql: str) -> int:
        self.begin()
        return self._plain(sql)[1]

    # Columns

    @override
    def type_names(self, table: TableName) -> dict[str, str]:
        if table not in self._types:
            self._types[table] = self.columns(table)
        return self._types[table]

    @override
    def left_empty(self, table: TableName) -> bool:
        own = set(self._own_columns)
        return table in self._made or (
            bool(own) and own <= set(self.type_names(table)) and not self.has_rows(table)
        )

    @override
    def create_schema(self, name: str) -> None:
        self._plain(f"CREATE SCHEMA IF NOT EXISTS {quote(name)}")

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        super().create_table(table, schema, stamp)
        self._made.add(table)

    @override
    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
        self._write(
            f"DELETE FROM {self.quoted(table)} WHERE 1 = 1"
        )  # readers see the rows until the COMMIT
        return table

    @override
    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        target, column = self.quoted(table), quote(name)
        there, wider = self.type_name(old), self.type_name(new)
        changed = f"CAST(CAST({column} AS {wider}) AS {there})"
        lost, _ = self._plain(
            f"SELECT 1 FROM {target} WHERE {changed} IS DISTINCT FROM {column} LIMIT 1"
        )
        if lost:
            raise SchemaConflictError(
                f"The column {name!r} of the table {table} would have to become {wider}, in which "
                f"not every value of {there} is kept here.",
                hint="Change it by hand, or drop the table and do a full refresh.",
            )
        columns = [
            f"CAST({column} AS {wider}) AS {column}" if c == name else quote(c)
            for c in self.type_names(table)
        ]
        with self._beside() as other:
            other.begin()  # nobody publishes while the table is copied
            self._plain(
                f"CREATE OR REPLACE TABLE {target} AS SELECT {', '.join(columns)} FROM {target}"
            )

    # Rows

    @override
    def stage(self, table: TableName, rows: "pa.RecordBatchReader") -> None:
        place = TableName(f"{STAGED}_{new_load_id()}".lower(), table.schema)
        types = {f.name: self.type_name(f.type) for f in rows.schema} | {
            ARRIVAL: self.names["int64"]
        }
        self.load(place, _numbered(rows), types)
        self._staged[table] = place

    @override
    def insert(self, table: TableName, rows: "pa.RecordBatchReader", stamp: Stamp) -> int:
        names, own = rows.schema.names, self._stamps(stamp)
        values = [*map(quote, names), *own.values()]
        into = f"INSERT INTO {self.quoted(table)} ({column_list([*names, *own])})"
        return self._write(
            f"{into} SELECT {', '.join(values)} FROM {self._staged_rows(table, rows)}"
        )

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
        del unique  # what it costs to look is little here
        names, own = rows.schema.names, self._stamps(stamp)
        last = (
            f"QUALIFY ROW_NUMBER() OVER (PARTITION BY {column_list(keys)} "
            f"ORDER BY {quote(ARRIVAL)} DESC) = 1"
        )
        source = (
            f"SELECT * FROM {self._staged_rows(table, rows)} WHERE {quote(ARRIVAL)} >= 0 {last}"
        )
        same = " AND ".join(f"t.{quote(key)} = s.{quote(key)}" for key in keys)
        others = [quote(name) for name in names if name not in keys]
        # A row that came again as it was is left alone: it keeps its load id, and what is
        # downstream stays fresh.
        compared = [quote(name) for name in names if name not in keys and name not in stamp.about]
        differs = " OR ".join(f"t.{name} IS DISTINCT FROM s.{name}" for name in compared)
        settings = [f"{name} = s.{name}" for name in others] + [
            f"{quote(name)} = {v}" for name, v in own.items()
        ]
        matched = ""
        if update and compared:
            differs = unless_newer(differs, newer)
            matched = f"WHEN MATCHED AND ({differs}) THEN UPDATE SET {', '.join(settings)} "
        values = [*(f"s.{quote(name)}" for name in names), *own.values()]
        return self._write(
            f"MERGE INTO {self.quoted(table)} AS t USING ({source}) AS s ON {same} {matched}"
            f"WHEN NOT MATCHED THEN INSERT ({column_list([*names, *own])}) "
            f"VALUES ({', '.join(values)})"
        )

    def _staged_rows(self, table: TableName, rows: "pa.RecordBatchReader") -> str:
        if table not in self._staged:
            if self.begun:
                raise DestinationError(
                    f"The rows for {table} were not staged before the transaction began."
                )
            self.stage(table, rows)
        return self.quoted(self._staged.pop(table))

    def _stamps(self, stamp: Stamp) -> dict[str, str]:
        """Return our own columns' values as SQL."""
        text, instant = self.own_types
        at = self.now.isoformat(sep=" ", timespec="microseconds")
        return dict(
            stamp.named(
                f"CAST({quote(stamp.load_id, chr(39))} AS {text})", f"CAST('{at}' AS {instant})"
            )
        )

    @override
    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        import pyarrow as pa

        schema = self.schema_of(table, columns)
        yield schema.empty_table()
        for found in self.fetch(
            respelled(self._selected(table, schema.names, where), self.spelled)
        ):
            arrays = [cast(found.column(at), field.type) for at, field in enumerate(schema)]
            yield pa.Table.from_arrays(arrays, schema=schema)


def _numbered(rows: "pa.RecordBatchReader") -> "pa.RecordBatchReader":
    """Return the rows with the order in which they came."""
    import pyarrow as pa

    def batches() -> "Iterator[pa.RecordBatch]":
        count = 0
        for batch in rows:
            numbers = pa.array(range(count, count + batch.num_rows), pa.int64())
            count += batch.num_rows
            yield pa.RecordBatch.from_arrays([*batch.columns, numbers], schema=schema)

    schema = rows.schema.append(pa.field(ARRIVAL, pa.int64()))
    return pa.RecordBatchReader.from_batches(schema, batches())


def parquet_files(
    rows: "pa.RecordBatchReader", folder: Path, names: Sequence[str]
) -> Iterator[Path]:
    """Write rows to Parquet files, one at a time; whoever gets one removes it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [field.with_name(name) for field, name in zip(rows.schema, names, strict=True)]
    )
    writer: Any = None
    written = number = 0
    for batch in rows:
        path = folder / f"{number}.parquet"
        if writer is None:
            writer = pq.ParquetWriter(path, schema, compression="snappy")
        writer.write_batch(batch.rename_columns(names))
        written += batch.nbytes
        if written >= FILE_BYTES:
            writer.close()
            yield path
            writer, written, number = None, 0, number + 1
    if writer is not None:
        writer.close()
        yield path
