"""A transaction in SQLite's SQL."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from math import copysign
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.sql_rows import SqlRows
from etl_assets.destinations.database.sql_transaction import (
    NEW,
    STAGED,
    column_list,
    copying,
    hashed,
    stamps,
    unless_newer,
)
from etl_assets.destinations.database.transaction import Stamp
from etl_assets.destinations.database.values import array
from etl_assets.destinations.sqlite.types import (
    arrow_type,
    bound,
    bytes_where_not_text,
    stored_type,
    type_name,
)
from etl_assets.engine.casting import RefusedValueError, cast
from etl_assets.exceptions import DestinationError
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

KEY_INDEX = "_etl_assets_key"
ROWS_AT_ONCE = 8_192
"""How many rows are Python's values at once, which take many times the memory of Arrow's."""
MAIN = "main"
_BY_LETTERS = "COLLATE BINARY"
"""In a table that others have made, the collation of a column may take `a` for `A`."""


class SqliteTransaction(SqlRows):
    """One open transaction. See `Transaction` for what each primitive promises."""

    own_types = ("TEXT", "TIMESTAMPTZ")
    insertion_order = "rowid"
    survives_errors = True
    rows_at_once = ROWS_AT_ONCE
    decimals_are_texts = True

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._made: set[TableName] = set()
        self.now = datetime.now(UTC).isoformat(sep=" ", timespec="microseconds")

    @override
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with bytes_where_not_text(self._connection):
            return self._connection.execute(sql, parameters).fetchall()

    @override
    def arrow_type(self, name: str) -> "pa.DataType":
        return arrow_type(name)

    @override
    def type_names(self, table: TableName) -> dict[str, str]:
        sql = "SELECT name, type FROM pragma_table_info(?, ?) ORDER BY cid"
        return dict(self.execute(sql, (table.name, table.schema or MAIN)))

    @override
    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        return stored_type(type_)

    @override
    def type_name(self, type_: "pa.DataType") -> str:
        return type_name(type_)

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        super().create_table(table, schema, stamp)
        self._made.add(table)

    @override
    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
        """Empty the table, or make it anew if its columns change. Readers see it at the COMMIT.

        Views name a table, and stay. Its indexes and triggers stay, or are made again.
        """
        new = TableName(f"{NEW}_{hashed(table.name)}", table.schema)
        self.create_table(new, schema, stamp)
        if self.type_names(new) == self.type_names(table):
            self.drop_table(new)
            self.execute(f"DELETE FROM {self.quoted(table)}")
        else:
            self._put_in_place(table, new)
        return table

    @override
    def is_free(self, table: TableName, name: str) -> bool:
        # To change a type the table is made anew, which would lose what somebody else has said of
        # its columns beside their types.
        schema = table.schema or MAIN
        made = self.execute(
            f"SELECT sql FROM {quote(schema)}.sqlite_master WHERE type = 'table' AND name = ?",
            (table.name,),
        )
        declared = _declared(self.type_names(table))
        indexed = self.execute(
            "SELECT 1 FROM pragma_index_list(?, ?) AS l, pragma_index_info(l.name, ?) AS i "
            "WHERE i.name = ?",
            (table.name, schema, schema, name),
        )
        says_no_more = bool(made) and str(made[0][0]).endswith(f"({declared})")
        return says_no_more and not indexed

    @override
    def strict_columns(self, table: TableName) -> list[str]:
        found = self.execute(
            "SELECT name FROM pragma_table_info(?, ?) "
            'WHERE "notnull" AND dflt_value IS NULL AND NOT pk ORDER BY cid',
            (table.name, table.schema or MAIN),
        )
        return [name for (name,) in found]

    @override
    def allow_nulls(self, table: TableName, names: Sequence[str]) -> None:
        # SQLite cannot change a column either: its rows move into a table that was made anew.
        made = TableName(f"{NEW}_{hashed(table.name)}", table.schema)
        types = self.type_names(table)
        strict = set(self.strict_columns(table)) - set(names)
        declared = {n: f"{type_} NOT NULL" if n in strict else type_ for n, type_ in types.items()}
        self.execute(f"CREATE TABLE {self.quoted(made)} ({_declared(declared)})")
        copied = ", ".join([_row_number(types), *map(quote, types)])
        self.execute(
            f"INSERT INTO {self.quoted(made)} ({copied}) SELECT {copied} FROM {self.quoted(table)}"
        )
        self._put_in_place(table, made)

    @override
    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        import pyarrow as pa

        # SQLite cannot change a column's type: the table is made anew, and the column's values are
        # written into it.
        source, column = self.quoted(table), quote(name)
        types = self.type_names(table) | {name: self.type_name(new)}
        made = TableName(f"{NEW}_{hashed(table.name)}", table.schema)
        self.execute(f"CREATE TABLE {self.quoted(made)} ({_declared(types)})")
        rowid = _row_number(types)
        copied = ", ".join([rowid, *(quote(one) for one in types if one != name)])
        self.execute(f"INSERT INTO {self.quoted(made)} ({copied}) SELECT {copied} FROM {source}")
        found = self._connection.execute(
            f"SELECT {rowid}, {column} FROM {source} WHERE {column} IS NOT NULL"
        )
        while rows := found.fetchmany(ROWS_AT_ONCE):
            values = cast(pa.chunked_array([array([value for _, value in rows], old)]), new)
            whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
            pairs = zip(bound(whole, name), (number for number, _ in rows), strict=True)
            self._connection.executemany(
                f"UPDATE {self.quoted(made)} SET {column} = ? WHERE {rowid} = ?", pairs
            )
        self._put_in_place(table, made)

    @override
    def execute_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with refused():
            self._connection.executemany(sql, rows)

    @override
    def fetch(self, sql: str, rows_at_once: int) -> Iterator[Sequence[tuple[Any, ...]]]:
        found = self._connection.execute(sql)
        while rows := found.fetchmany(rows_at_once):
            yield rows

    @override
    def bound(self, column: "pa.Array", name: str) -> Sequence[Any]:
        return bound(column, name)

    @override
    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: Stamp
    ) -> int:
        own = stamps(stamp, self.now)
        return self._written(*copying(self.quoted(source), self.quoted(table), columns, own))

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
        names, target = rows.schema.names, self.quoted(table)
        if table in self._made:
            self._made.discard(table)
            written = self.insert(table, rows, stamp)
            self._index(table, keys)
            if not unique:
                written -= self._written(_keep_last(target, keys, self.type_names(table)), ())
            return written
        staged = TableName(STAGED, "temp")
        # CREATE ... AS SELECT would give columns called true or false another name.
        types = self.type_names(table)
        declared = _declared({name: types[name] for name in names})
        self.execute(f"CREATE TEMP TABLE {STAGED} ({declared})")
        self.insert(staged, rows, Stamp("", None, None))
        if not unique:
            self.execute(_keep_last(f"temp.{STAGED}", keys, names))
        written = self._merge_staged(table, rows.schema, stamp, keys, update=update, newer=newer)
        self.execute(f"DROP TABLE temp.{STAGED}")
        return written

    def _merge_staged(
        self,
        table: TableName,
        schema: "pa.Schema",
        stamp: Stamp,
        keys: Sequence[str],
        *,
        update: bool,
        newer: str | None,
    ) -> int:
        names, target, own = schema.names, self.quoted(table), stamps(stamp, self.now)
        constants = [value for _, value in own]
        others = [name for name in names if name not in keys]
        same = " AND ".join(f"t.{quote(key)} = s.{quote(key)} {_BY_LETTERS}" for key in keys)
        self._index(table, keys)
        written = 0
        compared = [name for name in others if name not in stamp.about]
        if update and compared:
            # A row that came again as it was is left alone: it keeps its load id, and what is
            # downstream stays fresh.
            differs = " OR ".join(
                self._differs(quote(name), schema.field(name).type) for name in compared
            )
            settings = [f"{quote(name)} = s.{quote(name)}" for name in others]
            settings += [f"{quote(name)} = ?" for name, _ in own]
            written = self._written(
                f"UPDATE {target} AS t SET {', '.join(settings)} FROM temp.{STAGED} AS s "
                f"WHERE {same} AND ({unless_newer(differs, newer)})",
                constants,
            )
        into = column_list([*names, *(name for name, _ in own)])
        marks = "".join(", ?" for _ in own)
        return written + self._written(
            f"INSERT INTO {target} ({into}) "
            f"SELECT {column_list(names, 's.')}{marks} FROM temp.{STAGED} AS s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {target} AS t WHERE {same})",
            constants,
        )

    @override
    def literal(self, value: Any, type_: "pa.DataType") -> str:
        import pyarrow as pa

        # Times are texts here, whatever the column is declared as.
        return super().literal(value, pa.string() if isinstance(value, date) else type_)

    def _differs(self, column: str, type_: "pa.DataType") -> str:
        import pyarrow as pa

        differs = f"t.{column} IS NOT s.{column} {_BY_LETTERS}"
        if not pa.types.is_floating(type_):
            return differs
        # SQLite itself has no function that tells -0.0 from 0.0.
        sign = partial(copysign, 1.0)
        self._connection.create_function("etl_assets_sign", 1, sign, deterministic=True)
        signs = f"etl_assets_sign(t.{column}) <> etl_assets_sign(s.{column})"
        return f"{differs} OR (t.{column} = 0 AND s.{column} = 0 AND {signs})"

    def _written(self, sql: str, parameters: Sequence[Any]) -> int:
        with refused():
            self._connection.execute(sql, parameters)
        return int(self.execute("SELECT changes()")[0][0])

    @override
    def tables(self, schema: str) -> list[str]:
        catalog = f"{quote(schema or MAIN)}.sqlite_master"
        found = self.execute(f"SELECT name FROM {catalog} WHERE type = 'table' ORDER BY name")
        return [name for (name,) in found if not name.startswith("sqlite_")]

    def _index(self, table: TableName, keys: Sequence[str]) -> None:
        """Make the index by which a merge finds a key.

        It need not be unique: rows may have been appended before.
        """
        self._make_index(f"{KEY_INDEX}_{hashed(table.name, *keys)}", table, keys)

    def _make_index(self, name: str, table: TableName, columns: Sequence[str]) -> None:
        schema = f"{quote(table.schema)}." if table.schema else ""
        on = f"{quote(table.name)} ({column_list(columns)})"
        self.execute(f"CREATE INDEX IF NOT EXISTS {schema}{quote(name)} ON {on}")

    @override
    def index_own(self, table: TableName, indexes: Mapping[str, Sequence[str]]) -> None:
        for name, columns in indexes.items():
            self._make_index(name, table, columns)

    def _put_in_place(self, table: TableName, new: TableName) -> None:
        catalog = f"{quote(table.schema or MAIN)}.sqlite_master"
        kept = self.execute(
            f"SELECT sql FROM {catalog} WHERE tbl_name = ? AND type IN ('index', 'trigger') "
            f"AND sql IS NOT NULL AND name NOT LIKE '{KEY_INDEX}%'",
            (table.name,),
        )
        self.drop_table(table)
        self.execute(f"ALTER TABLE {self.quoted(new)} RENAME TO {quote(table.name)}")
        for (sql,) in kept:
            self.execute(sql)


def _declared(types: Mapping[str, str]) -> str:
    """Return the columns of a table as a statement declares them."""
    return ", ".join(f"{quote(name)} {type_}" for name, type_ in types.items())


def _keep_last(target: str, keys: Sequence[str], columns: Iterable[str]) -> str:
    """Return the statement that keeps only the last arrival of each key in a new table.

    The row numbers of a new table grow as rows arrive.
    """
    rowid = _row_number(columns)
    last = f"SELECT max({rowid}) FROM {target} GROUP BY {column_list(keys)}"
    return f"DELETE FROM {target} WHERE {rowid} NOT IN ({last})"


def _row_number(columns: Iterable[str]) -> str:
    """Return a name of SQLite's own number of a row: one of its three that is no column's."""
    taken = {name.lower() for name in columns}
    free = [name for name in ("_rowid_", "rowid", "oid") if name not in taken]
    if not free:
        raise DestinationError(
            "A table with columns _rowid_, rowid and oid has no number of its rows left "
            "to tell them apart by.",
            hint="Rename one of them, in the table or at the source.",
        )
    return free[0]


@contextmanager
def refused() -> Iterator[None]:
    """Turn what SQLite says of a value into a `RefusedValueError`."""
    try:
        yield
    except (sqlite3.DataError, OverflowError) as error:
        raise RefusedValueError(None, f"SQLite refused a value: {error}.") from error
