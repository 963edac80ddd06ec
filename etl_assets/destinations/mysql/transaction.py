"""The write plans' primitives in the SQL of MySQL and MariaDB.

Two connections: one holds the transaction; the other changes tables, each change of which commits
at once. A change is
made before its data, so that what a killed sync may leave is an empty column; tables are made and
replaced by swaps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.record_columns import types_of
from etl_assets.destinations.database.sql_transaction import (
    STAGED,
    column_list,
    copying,
    hashed,
    only,
    stamps,
    tables_of,
)
from etl_assets.destinations.database.transaction import STATE_KEY, LedgerTypes, Stamp
from etl_assets.destinations.mysql.columns import FreeColumns
from etl_assets.destinations.mysql.engines import rolls_nothing_back
from etl_assets.destinations.mysql.locks import Locks
from etl_assets.destinations.mysql.merge import ARRIVAL, Merge, run
from etl_assets.destinations.mysql.rows import Loader
from etl_assets.destinations.mysql.swaps import Swaps
from etl_assets.destinations.mysql.types import array, arrow_type, declared, spelled, stored_type
from etl_assets.exceptions import DestinationError
from etl_assets.model.schema.types import is_json
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

KEY_INDEX = "_etl_assets_key"
KEY_BYTES = 3072
WIDENED = "_etl_assets_widened"
_COLUMNS = (
    "SELECT COLUMN_NAME, COLUMN_TYPE, COLUMN_COMMENT FROM information_schema.COLUMNS "
    "WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION"
)
_FOLDED = (
    "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? "
    "AND COLLATION_NAME NOT LIKE '%nopad%bin' AND COLLATION_NAME <> 'utf8mb4_0900_bin'"
)
"""Columns of tables that others made, in which `a` may be `A`, or the text with spaces behind it."""
_TIED = (
    "SELECT 1 FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ? "
    "UNION ALL SELECT 1 FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL "
    "AND (TABLE_SCHEMA = ? AND TABLE_NAME = ? OR REFERENCED_TABLE_SCHEMA = ? AND REFERENCED_TABLE_NAME = ?) LIMIT 1"
)


class MySQLTransaction(FreeColumns):
    """One open transaction. See `Transaction` for what each primitive promises.

    Args:
        connect: Opens a connection; called once more for the changes of tables.
        collation: Under which two texts are equal only if they are the same.
        state_schema: The database of our own tables.
        lock_timeout: Seconds to wait for somebody else's load of the same stream.
        local_infile: Load by LOAD DATA LOCAL INFILE where the server allows it.
    """

    signs_zeros = False
    own_types = ("varchar(64) CHARACTER SET ascii", "datetime(6) COMMENT 'UTC'")

    def __init__(
        self,
        connect: Callable[[], Any],
        *,
        collation: str,
        state_schema: str,
        lock_timeout: float,
        local_infile: bool,
    ) -> None:
        self._connect = connect
        self._connection = connect()
        self._other: Any = None
        self._options = f"ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"
        self._local_infile = local_infile
        self._locks = Locks(self.execute, lock_timeout)
        self.swaps = Swaps(self._at_once, self.execute, self._locks, state_schema)
        key = f"VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE {collation}"
        whole_key = f"CONCAT_WS(CHAR(0), {column_list(STATE_KEY)})"
        self.ledger_types = LedgerTypes(
            key=key,
            text="LONGTEXT CHARACTER SET utf8mb4",
            unique=f"key_hash BINARY(32) GENERATED ALWAYS AS (UNHEX(SHA2({whole_key}, 256))) STORED, UNIQUE (key_hash)",
            options="ENGINE = InnoDB",
        )
        self.now = datetime.now(UTC).replace(tzinfo=None)

    # The transaction itself

    def begin(self) -> None:
        """Begin, and put right what a killed sync left of a swap."""
        self.swaps.recover()
        self._connection.begin()

    def commit(self) -> None:
        """Commit: the tables that were made or replaced come into their places in one moment."""
        self.swaps.rename()
        self._connection.commit()

    def roll_back(self) -> None:
        """Undo everything."""
        self._connection.rollback()
        self.swaps.undo()

    def close(self) -> None:
        """Close both connections; the server rolls back what was not committed."""
        import pymysql

        if self._connection.open:
            with suppress(
                pymysql.Error
            ):  # the server gives them free too, when it notices that the session has ended
                self._locks.give_all_back()
        for connection in (self._other, self._connection):
            if connection is not None and connection.open:
                connection.close()

    @override
    def lock(self, name: str) -> None:
        self._locks.take(name)

    @override
    def settle(self, table: TableName) -> None:
        self.swaps.settle(table)

    @override
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return run(self._connection, sql, parameters)[0]

    @override
    def unsafe(self, table: TableName) -> str | None:
        return rolls_nothing_back(self.execute, table)

    def _at_once(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return run(self._changing(), sql, parameters)[0]

    def _changing(self) -> Any:
        if self._other is None:
            self._other = self._connect()
            self._other.autocommit(True)  # noqa: FBT003 - PyMySQL's own
        return self._other

    def _place(self, table: TableName) -> TableName:
        """Return where a table's rows are now: one that is being made has another name until the COMMIT."""
        swap = self.swaps.pending.get(table)
        return swap.new if swap else table

    def _on(self, table: TableName) -> Any:
        """Return the connection for a table's rows: to rename a new one must not wait for its own rows' transaction."""
        return (
            self._changing()
            if table in self.swaps.pending or self._is_new(table)
            else self._connection
        )

    def _is_new(self, table: TableName) -> bool:
        return any(swap.new == table for swap in self.swaps.pending.values())

    # Columns

    @override
    def arrow_type(self, name: str) -> "pa.DataType":
        return arrow_type(name)

    @override
    def type_names(self, table: TableName) -> dict[str, str]:
        place = self._place(table)
        return {
            row[0]: spelled(row[1], row[2])
            for row in self.execute(_COLUMNS, (place.schema, place.name))
        }

    @override
    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        return stored_type(type_)

    @override
    def type_name(self, type_: "pa.DataType") -> str:
        return spelled(*declared(type_))

    @override
    def create_schema(self, name: str) -> None:
        if not self.execute(
            "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?", (name,)
        ):
            self._at_once(
                f"CREATE DATABASE IF NOT EXISTS {quote(name)} DEFAULT CHARACTER SET utf8mb4"
            )

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        if table.schema:
            self.create_schema(table.schema)
        self.swaps.begin(table, self._defined(table, schema, stamp))

    @override
    def drop_table(self, table: TableName) -> None:
        self.swaps.drop(table)

    @override
    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
        wanted = {f.name: self.type_name(f.type) for f in schema}
        wanted |= stamp.named(*_OWN_NAMES)
        if stamp.about:
            wanted |= {
                name: self.type_name(self.stored_type(t))
                for name, t in types_of(stamp.about).items()
            }
        same = wanted == self.type_names(table)
        place = (table.schema, table.name)
        if self.execute(_TIED, place * 3):
            if not same:
                raise DestinationError(
                    f"The table {table} has triggers or foreign keys, and would get other columns.",
                    hint="Drop them, or keep the stream's columns as they were.",
                )
            self.execute(f"DELETE FROM {self.quoted(table)}")
            return table
        definition = f"LIKE {self.quoted(table)}" if same else self._defined(table, schema, stamp)
        return self.swaps.begin(table, definition)

    @override
    def add_column(self, table: TableName, name: str, type_: "pa.DataType") -> None:
        self._at_once(
            f"ALTER TABLE {self.quoted(self._place(table))} ADD COLUMN {quote(name)} {self._definition(type_)}"
        )

    @override
    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        # A new column beside the old one, then one change that puts it in its place: a kill in
        # between leaves a column more, and no value changed.
        target, column, made = self.quoted(self._place(table)), quote(name), quote(WIDENED)
        definition = self._definition(new)
        if WIDENED in self.type_names(table):
            self._at_once(f"ALTER TABLE {target} DROP COLUMN {made}")
        self._at_once(f"ALTER TABLE {target} ADD COLUMN {made} {definition} AFTER {column}")
        self._at_once(f"UPDATE {target} SET {made} = {_widened(column, old, new)}")
        self._at_once(
            f"ALTER TABLE {target} DROP COLUMN {column}, CHANGE COLUMN {made} {column} {definition}"
        )

    def _defined(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> str:
        return f"({self._definitions(table, schema, stamp)}) {self._options}"

    @override
    def _definition(self, type_: "pa.DataType") -> str:
        name, comment = declared(type_)
        return f"{name} NULL{f' COMMENT {quote(comment, chr(39))}' if comment else ''}"

    # Rows

    @override
    def has_rows(self, table: TableName, where: str = "") -> bool:
        if not where:
            return super().has_rows(table)
        # What a column holds is asked before it is changed, which waits for whoever has read the
        # table.
        return bool(
            self._at_once(f"SELECT 1 FROM {self.quoted(self._place(table))}{only(where)} LIMIT 1")
        )

    @override
    def count(self, table: TableName, where: str = "") -> int:
        sql = f"SELECT COUNT(*) FROM {self.quoted(self._place(table))}{only(where)}"
        return int(run(self._on(table), sql, ())[0][0][0])

    @override
    def insert(self, table: TableName, rows: "pa.RecordBatchReader", stamp: Stamp) -> int:
        loader = Loader(self._on(table), local_infile=self._local_infile)
        return loader.load(self.quoted(self._place(table)), rows, stamps(stamp, self.now))

    @override
    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: Stamp
    ) -> int:
        sql, constants = copying(
            self.quoted(source), self.quoted(self._place(table)), columns, stamps(stamp, self.now)
        )
        return run(self._on(table), sql, constants)[1]

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
        place, connection, names = self._place(table), self._on(table), rows.schema.names
        types = self.type_names(table)
        self._index(place, keys, types)
        target = self.quoted(place)
        run(
            connection,
            f"CREATE TEMPORARY TABLE {STAGED} ({ARRIVAL} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, "
            f"KEY ({_key_parts(keys, types)})) {self._options} SELECT {column_list(names)} FROM {target} WHERE FALSE",
            (),
        )
        Loader(connection, local_infile=self._local_infile).load(STAGED, rows, ())
        folded = {row[0] for row in self.execute(_FOLDED, (place.schema, place.name))}
        merging = Merge(connection, target, names, keys, folded, about=stamp.about)
        written = merging.run(stamps(stamp, self.now), update=update, unique=unique)
        run(connection, f"DROP TEMPORARY TABLE {STAGED}", ())
        return written

    @override
    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        from pymysql.cursors import SSCursor

        schema = self.schema_of(table, columns)
        with self._connection.cursor(SSCursor) as cursor:  # whose rows wait at the server
            cursor.execute(self._selected(table, schema.names, where))
            yield from tables_of(cursor.fetchmany, schema, array, chunk_rows)

    def _index(self, place: TableName, keys: Sequence[str], types: dict[str, str]) -> None:
        """Make the index by which a merge finds a key; of a long text its beginning."""
        name = f"{KEY_INDEX}_{hashed(*keys)}"
        there = self.execute(
            "SELECT 1 FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_NAME = ? "
            "LIMIT 1",
            (place.schema, place.name, name),
        )
        if not there:
            parts = _key_parts(keys, types)
            self._at_once(f"CREATE INDEX {quote(name)} ON {self.quoted(place)} ({parts})")


_OWN_NAMES = ("varchar(64)", "datetime(6) (UTC)")
"""What `type_names` gives for `own_types`."""


def _key_parts(keys: Sequence[str], types: dict[str, str]) -> str:
    characters = min(191, KEY_BYTES // (4 * max(1, len(keys))) - 1)
    parts = [
        f"{quote(key)}({characters})"
        if types[key].startswith(("longtext", "longblob", "text"))
        else quote(key)
        for key in keys
    ]
    return ", ".join(parts)


def _widened(column: str, old: "pa.DataType", new: "pa.DataType") -> str:
    """Return the expression of a column's value in a wider type, in this library's own forms."""
    import pyarrow as pa

    if not (pa.types.is_string(new) or is_json(new)):
        return column
    text = f"CAST({column} AS CHAR CHARACTER SET utf8mb4)"
    if pa.types.is_boolean(old):
        return f"IF({column} IS NULL, NULL, IF({column}, 'true', 'false'))"
    if pa.types.is_timestamp(old) and old.tz:
        text = f"CONCAT({text}, '+00:00')"
    plain = (
        is_json(old)
        or pa.types.is_integer(old)
        or pa.types.is_floating(old)
        or pa.types.is_decimal(old)
    )
    return f"JSON_QUOTE({text})" if is_json(new) and not plain else text
