"""A transaction in the SQL of MySQL and MariaDB.

It has two connections. One holds the transaction, and the other changes tables, since each change
of a table commits. A column is added before the rows are written, so that a killed sync leaves no
more than an empty column. Tables are made and replaced by swaps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.ledger_history import NUMBER
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
from etl_assets.destinations.mysql.conditions import Conditions
from etl_assets.destinations.mysql.engines import rolls_nothing_back
from etl_assets.destinations.mysql.locks import Locks
from etl_assets.destinations.mysql.merge import ARRIVAL, Merge, run
from etl_assets.destinations.mysql.rows import Loader
from etl_assets.destinations.mysql.swaps import Swaps
from etl_assets.destinations.mysql.types import MySQLTypes, array, declared, spelled
from etl_assets.exceptions import DestinationError
from etl_assets.model.schema.types import is_json
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

KEY_INDEX = "_etl_assets_key"
KEY_BYTES = 3072
OWN_KEY_CHARACTERS = 60
"""Of each text of our own tables' keys that an index holds: four fit into one of any engine."""
INDEX_WAIT = 2
"""So many seconds a load waits until no other one writes to our tables, to make their indexes."""
WIDENED = "_etl_assets_widened"
_COLUMNS = (
    "SELECT COLUMN_NAME, COLUMN_TYPE, COLUMN_COMMENT FROM information_schema.COLUMNS "
    "WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION"
)
_FOLDED = (
    "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? "
    "AND COLLATION_NAME NOT LIKE '%nopad%bin' AND COLLATION_NAME <> 'utf8mb4_0900_bin'"
)
"""Finds columns, of tables that others made, in which `a` may equal `A`, or `a` and a space."""
_TIED = (
    "SELECT 1 FROM information_schema.TRIGGERS "
    "WHERE EVENT_OBJECT_SCHEMA = ? AND EVENT_OBJECT_TABLE = ? "
    "UNION ALL SELECT 1 FROM information_schema.KEY_COLUMN_USAGE "
    "WHERE REFERENCED_TABLE_NAME IS NOT NULL AND (TABLE_SCHEMA = ? AND TABLE_NAME = ? "
    "OR REFERENCED_TABLE_SCHEMA = ? AND REFERENCED_TABLE_NAME = ?) LIMIT 1"
)
"""Finds triggers and foreign keys of a table."""


class MySQLTransaction(MySQLTypes, FreeColumns, Conditions):
    """One open transaction. See `Transaction` for what each primitive promises.

    Args:
        connect: Opens a connection. It is called once more for the changes of tables.
        collation: A collation by which two texts are equal only if they are the same.
        state_schema: The database of our own tables.
        lock_timeout: Seconds to wait for somebody else's load of the same stream.
        local_infile: Whether to load by LOAD DATA LOCAL INFILE if the server allows it.
    """

    signs_zeros = False
    survives_errors = True
    name_mark = "`"
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
        self._options = (
            "ENGINE = InnoDB ROW_FORMAT = DYNAMIC "
            f"DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"
        )
        self._local_infile = local_infile
        self._locks = Locks(self.execute, lock_timeout)
        self.swaps = Swaps(self._at_once, self.execute, self._locks, state_schema)
        key = f"VARCHAR(1000) CHARACTER SET utf8mb4 COLLATE {collation}"
        # The key is too long for an index, so a hash of it is unique.
        whole_key = f"CONCAT_WS(CHAR(0), {column_list(STATE_KEY)})"
        key_hash = f"GENERATED ALWAYS AS (UNHEX(SHA2({whole_key}, 256))) STORED"
        self.ledger_types = LedgerTypes(
            key=key,
            text="LONGTEXT CHARACTER SET utf8mb4",
            unique=f"key_hash BINARY(32) {key_hash}, UNIQUE (key_hash)",
            unique_finds=False,
            options="ENGINE = InnoDB",
        )
        self.now = datetime.now(UTC).replace(tzinfo=None)

    # The transaction itself

    def begin(self) -> None:
        """Begin, and put right what a killed sync has left of a swap."""
        self.swaps.recover()
        self._connection.begin()

    def commit(self) -> None:
        """Commit. All tables that were made or replaced come into their places at one moment."""
        self.swaps.rename()
        self._connection.commit()

    def roll_back(self) -> None:
        """Undo everything."""
        self._connection.rollback()
        self.swaps.undo()

    def close(self) -> None:
        """Close both connections. The server rolls back what was not committed."""
        import pymysql

        if self._connection.open:
            # The server releases the locks, too, once it notices that the session has ended.
            with suppress(pymysql.Error):
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
    def ask(self, table: TableName, query: Callable[[str], str]) -> list[tuple[Any, ...]]:
        return run(self._on(table), query(self.quoted(self._place(table))), ())[0]

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
        """Return where a table's rows are now.

        A table that is being made has another name until the COMMIT.
        """
        swap = self.swaps.pending.get(table)
        return swap.new if swap else table

    def _on(self, table: TableName) -> Any:
        """Return the connection for a table's rows.

        The rows of a new table are not written in the transaction: its RENAME would wait for that.
        """
        is_made_here = table in self.swaps.pending or self._is_new(table)
        return self._changing() if is_made_here else self._connection

    def _is_new(self, table: TableName) -> bool:
        return any(swap.new == table for swap in self.swaps.pending.values())

    # Columns

    @override
    def type_names(self, table: TableName) -> dict[str, str]:
        place = self._place(table)
        rows = self.execute(_COLUMNS, (place.schema, place.name))
        return {name: spelled(type_, comment) for name, type_, comment in rows}

    @override
    def create_schema(self, name: str) -> None:
        known = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ?"
        if not self.execute(known, (name,)):
            options = "DEFAULT CHARACTER SET utf8mb4"
            self._at_once(f"CREATE DATABASE IF NOT EXISTS {quote(name)} {options}")

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
            for name, type_ in types_of(stamp.about).items():
                wanted[name] = self.type_name(self.stored_type(type_))
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
        added = f"ADD COLUMN {quote(name)} {self._definition(type_)}"
        self._at_once(f"ALTER TABLE {self.quoted(self._place(table))} {added}")

    @override
    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        # A new column is filled beside the old one, and put in its place by one statement. A kill
        # in between leaves one column more, and no value changed.
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
        said = f" COMMENT {quote(comment, chr(39))}" if comment else ""
        return f"{name} NULL{said}"

    # Rows

    @override
    def has_rows(self, table: TableName, where: str = "") -> bool:
        if not where:
            return super().has_rows(table)
        # What a column holds is asked before the column is changed. A change waits for every
        # transaction that has read the table, so this one must not.
        query = f"SELECT 1 FROM {self.quoted(self._place(table))}{only(where)} LIMIT 1"
        return bool(self._at_once(query))

    @override
    def insert(self, table: TableName, rows: "pa.RecordBatchReader", stamp: Stamp) -> int:
        loader = Loader(self._on(table), local_infile=self._local_infile)
        return loader.load(self.quoted(self._place(table)), rows, stamps(stamp, self.now))

    @override
    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: Stamp
    ) -> int:
        target, own = self.quoted(self._place(table)), stamps(stamp, self.now)
        sql, constants = copying(self.quoted(source), target, columns, own)
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
        newer: str | None = None,
    ) -> int:
        place, connection, names = self._place(table), self._on(table), rows.schema.names
        types = self.type_names(table)
        self._index(place, keys, types)
        target = self.quoted(place)
        run(
            connection,
            f"CREATE TEMPORARY TABLE {STAGED} "
            f"({ARRIVAL} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, "
            f"KEY ({_key_parts(keys, types)})) {self._options} "
            f"SELECT {column_list(names)} FROM {target} WHERE FALSE",
            (),
        )
        Loader(connection, local_infile=self._local_infile).load(STAGED, rows, ())
        folded = {row[0] for row in self.execute(_FOLDED, (place.schema, place.name))}
        merging = Merge(connection, target, names, keys, folded, about=stamp.about)
        written = merging.run(stamps(stamp, self.now), update=update, unique=unique, newer=newer)
        run(connection, f"DROP TEMPORARY TABLE {STAGED}", ())
        return written

    @override
    def counts(self, table: TableName, conditions: Sequence[str]) -> list[int]:
        if self._place(table) != table:  # it is being made, in a session of its own
            return [self.count(table, one) for one in conditions]
        return super().counts(table, conditions)

    @override
    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        from pymysql.cursors import SSCursor

        schema = self.schema_of(table, columns)
        with self._connection.cursor(SSCursor) as cursor:  # Its rows wait at the server.
            cursor.execute(self._selected(table, schema.names, where))
            yield from tables_of(cursor.fetchmany, schema, array, chunk_rows)

    @override
    def index_own(self, table: TableName, indexes: Mapping[str, Sequence[str]]) -> None:
        import pymysql

        there = self.execute(
            "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS "
            "WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
            (table.schema, table.name),
        )
        missing = indexes.keys() - {name for (name,) in there}
        if not missing:
            return
        # Who may not make them, or would have to wait for another load, loads without them.
        with suppress(pymysql.OperationalError):
            ((before,),) = self._at_once("SELECT @@SESSION.lock_wait_timeout")
            self._at_once(f"SET SESSION lock_wait_timeout = {INDEX_WAIT}")
            try:
                for name in sorted(missing):
                    parts = ", ".join(map(_own_key_part, indexes[name]))
                    self._at_once(f"CREATE INDEX {quote(name)} ON {self.quoted(table)} ({parts})")
            finally:
                self._at_once(f"SET SESSION lock_wait_timeout = {int(before)}")

    @override
    def index(self, table: TableName, keys: Sequence[str]) -> None:
        self._index(self._place(table), keys, self.type_names(table))

    def _index(self, place: TableName, keys: Sequence[str], types: dict[str, str]) -> None:
        """Make the index by which a merge finds a key, or the beginning of one that is long."""
        name = f"{KEY_INDEX}_{hashed(*keys)}"
        there = self.execute(
            "SELECT 1 FROM information_schema.STATISTICS "
            "WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_NAME = ? LIMIT 1",
            (place.schema, place.name, name),
        )
        if not there:
            parts = _key_parts(keys, types)
            self._at_once(f"CREATE INDEX {quote(name)} ON {self.quoted(place)} ({parts})")


_OWN_NAMES = ("varchar(64)", "datetime(6) (UTC)")
"""What `type_names` gives for `own_types`."""


def _own_key_part(column: str) -> str:
    """Return a column of our own tables for an index, texts by their beginning."""
    return quote(column) if column == NUMBER else f"{quote(column)}({OWN_KEY_CHARACTERS})"


def _key_parts(keys: Sequence[str], types: dict[str, str]) -> str:
    """Return the columns of an index on a key, long texts by their beginning."""
    characters = min(191, KEY_BYTES // (4 * max(1, len(keys))) - 1)

    def part(key: str) -> str:
        is_long = types[key].startswith(("longtext", "longblob", "text"))
        return f"{quote(key)}({characters})" if is_long else quote(key)

    return ", ".join(map(part, keys))


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
    is_number = pa.types.is_integer(old) or pa.types.is_floating(old) or pa.types.is_decimal(old)
    if is_json(new) and not is_json(old) and not is_number:
        return f"JSON_QUOTE({text})"
    return text
