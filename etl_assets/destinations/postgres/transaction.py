"""A transaction in PostgreSQL's SQL: rows go in by COPY, and merge by ON CONFLICT."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.destinations.database.csv_rows import parsed, selected
from etl_assets.destinations.database.encoded_rows import MixedBatches
from etl_assets.destinations.database.sql_transaction import (
    NEW,
    STAGED,
    SqlTransaction,
    column_list,
    copying,
    hashed,
    only,
    stamps,
    unless_newer,
    with_marks,
)
from etl_assets.destinations.database.transaction import LedgerTypes, Stamp
from etl_assets.destinations.postgres import replace as postgres_replace
from etl_assets.destinations.postgres.copy import CopyIn, refused
from etl_assets.destinations.postgres.types import TIMESTAMP_TZ, arrow_type, stored_type, type_name
from etl_assets.exceptions import ConfigError
from etl_assets.model.schema.types import is_json
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

KEY_INDEX = "_etl_assets_key"
COMPARED_AS_TEXT = frozenset({"json", "citext"})
"""json has no order. By citext, in a table that others have made, `a` would equal `A`."""
FLOATING = frozenset({"real", "double precision"})
FILL_PERCENT = 90
"""How full the pages are of a table that merges change.

The new version of a row then finds room beside the old one, and the index needs no other entry.
50,000 changes among 1 M rows take a sixth less CPU.
"""
READ_BYTES = 8 * 1024 * 1024
"""How many bytes of CSV are parsed at once."""

_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ? AND c.relname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_UNIQUE = """
SELECT 1
FROM pg_catalog.pg_index i
WHERE i.indrelid = ?::regclass AND i.indisunique AND i.indisvalid AND i.indimmediate
AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = ?
AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text) FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])) = ?::text[]
"""

_MISSING = """
SELECT wanted.name
FROM pg_catalog.unnest(CAST(? AS text[])) AS wanted (name), pg_catalog.pg_class c
WHERE c.oid = CAST(? AS regclass) AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
AND pg_catalog.has_schema_privilege(c.relnamespace, 'CREATE') AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND x.relname = wanted.name)"""
"""The indexes that a table lacks, of those that the user may make."""

INDEX_WAIT = "2s"
"""So long a load waits until no other one is writing to the ledger, to make its indexes."""


class PostgresTransaction(SqlTransaction):
    """One open transaction. See `Transaction` for what each primitive promises."""

    ledger_types = LedgerTypes(key="text", text="text")
    own_types = ("text", TIMESTAMP_TZ)
    takes_encoded = True

    def __init__(self, connection: "psycopg.Connection") -> None:
        self._connection = connection
        self._made: set[TableName] = set()
        self._filled: dict[TableName, int] = {}
        """How many rows tables have that this transaction made: nobody else can write to them."""
        self._merged: dict[TableName, int] = {}
        self.now = datetime.now(UTC)

    @override
    def lock(self, name: str) -> None:
        number = int(hashed("etl_assets", name), 16) - 2**63
        self.execute("SELECT pg_advisory_xact_lock(?)", (number,))

    @override
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        if parameters:
            cursor = self._connection.execute(with_marks(sql, "%s").encode(), list(parameters))
        else:
            # As it is: the query of a check may have a `?` that is an operator, or in a comment.
            cursor = self._connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description is not None else []

    def current_schema(self) -> str:
        """Return the schema that a name without one means.

        Raises:
            ConfigError: There is none.
        """
        found = self.execute("SELECT current_schema()")[0][0]
        if found is None:
            raise ConfigError(
                "No schema of the user's search_path exists, "
                "so there is no place for the tables of the state.",
                hint="Name one by state_schema.",
            )
        return str(found)

    @override
    def arrow_type(self, name: str) -> "pa.DataType":
        return arrow_type(name)

    @override
    def type_names(self, table: TableName) -> dict[str, str]:
        return dict(self.execute(_COLUMNS, (table.schema, table.name)))

    @override
    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        return stored_type(type_)

    @override
    def type_name(self, type_: "pa.DataType") -> str:
        return type_name(type_)

    @override
    def create_schema(self, name: str) -> None:
        if not self.execute("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = ?", (name,)):
            self.lock("etl_assets schema")
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(name)}")

    @override
    def index_own(self, table: TableName, indexes: Mapping[str, Sequence[str]]) -> None:
        import psycopg

        place = self.quoted(table)
        missing = self.execute(_MISSING, (list(indexes), place))
        if not missing:
            return
        ((before,),) = self.execute("SELECT current_setting('lock_timeout')")
        with suppress(psycopg.errors.LockNotAvailable), self.savepoint():
            self.execute("SELECT set_config('lock_timeout', ?, true)", (INDEX_WAIT,))
            self.lock("etl_assets ledger")  # Somebody else may be making them.
            for (name,) in missing:
                by = column_list(indexes[name])
                self.execute(f"CREATE INDEX IF NOT EXISTS {quote(name)} ON {place} ({by})")
            self.execute("SELECT set_config('lock_timeout', ?, true)", (before,))

    @override
    def create_table(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> None:
        super().create_table(table, schema, stamp)
        self._made.add(table)
        self._filled[table] = 0

    @override
    def begin_replace(self, table: TableName, schema: "pa.Schema", stamp: Stamp) -> TableName:
        new = TableName(f"{NEW}_{hashed(table.schema, table.name)}", table.schema)
        self.create_table(new, schema, stamp)
        postgres_replace.keep_storage(self, table, new)
        return new

    @override
    def end_replace(self, table: TableName, loaded: TableName) -> None:
        rows = self._filled.pop(loaded, None)
        is_swapped = postgres_replace.put_in_place(self, table, loaded)
        if is_swapped and rows is not None:
            self._filled[table] = rows

    @override
    def widen_column(
        self, table: TableName, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        column, wider = quote(name), self.type_name(new)
        cast = f"{column}::{wider}"
        if is_json(new) and not is_json(old):
            # A cast of text to JSON would parse it; as a value of a JSON column it is a string.
            cast = f"to_json({column})"
        altered = f"ALTER COLUMN {column} TYPE {wider} USING {cast}"
        self.execute(f"ALTER TABLE {self.quoted(table)} {altered}")

    @override
    def strict_columns(self, table: TableName) -> list[str]:
        found = self.execute(
            "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = CAST(? AS regclass) "
            "AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef "
            "AND attidentity = '' ORDER BY attnum",
            (self.quoted(table),),
        )
        return [name for (name,) in found]

    @override
    def allow_nulls(self, table: TableName, names: Sequence[str]) -> None:
        altered = ", ".join(f"ALTER COLUMN {quote(name)} DROP NOT NULL" for name in names)
        self.execute(f"ALTER TABLE {self.quoted(table)} {altered}")

    @override
    def is_free(self, table: TableName, name: str) -> bool:
        # Constraints, indexes, views, defaults, generated columns, policies and publications all
        # depend on the column.
        return not self.execute(
            "SELECT 1 FROM pg_attribute AS a "
            "JOIN pg_depend AS d ON d.refobjid = a.attrelid AND d.refobjsubid = a.attnum "
            "WHERE a.attrelid = CAST(? AS regclass) AND a.attname = ? LIMIT 1",
            (self.quoted(table), name),
        )

    @override
    def insert(
        self, table: TableName, rows: "pa.RecordBatchReader | MixedBatches", stamp: Stamp
    ) -> int:
        return self._noted(table, self._insert(table, rows, stamp))

    def _noted(self, table: TableName, written: int) -> int:
        if table in self._filled:
            self._filled[table] += written
        return written

    def _insert(
        self, table: TableName, rows: "pa.RecordBatchReader | MixedBatches", stamp: Stamp
    ) -> int:
        own = stamps(stamp, self.now)
        if not rows.schema.names:
            return self._insert_empty(table, sum(batch.num_rows for batch in rows), own)
        if table in self._made:
            # Nobody sees the table yet, so our columns can have their values as defaults, which
            # need not be sent with each row.
            with self._defaults(table, own):
                return self._copy_in(table, table, rows.schema).write(rows)
        return self._copy_in(table, table, rows.schema, own).write(rows)

    @override
    def copy(
        self, source: TableName, table: TableName, columns: Mapping[str, str], stamp: Stamp
    ) -> int:
        own = stamps(stamp, self.now)
        sql, values = copying(self.quoted(source), self.quoted(table), columns, own)
        return self._noted(table, self.written(sql, values))

    @override
    def allow_repeats(self, table: TableName, keys: Sequence[str]) -> None:
        if not keys:
            return
        index = TableName(f"{KEY_INDEX}_{hashed(table.schema, table.name, *keys)}", table.schema)
        if self.execute("SELECT to_regclass(?)", (self.quoted(index),))[0][0] is not None:
            self.execute(f"DROP INDEX {self.quoted(index)}")

    @override
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
        del unique  # Here it costs little to find out.
        names = rows.schema.names
        merging = _Merge(self, table, names, keys, stamp, update=update, newer=newer)
        if table in self._made:
            # There is nothing to merge with, and an index is made faster over rows that are there
            # than row by row.
            self.execute(f"ALTER TABLE {self.quoted(table)} SET (fillfactor = {FILL_PERCENT})")
            written = self.insert(table, rows, stamp)
            self._made.discard(table)
            return written + self._noted(table, -merging.make_unique())
        self._filled.pop(table, None)
        alike = f"SELECT {column_list(names)} FROM {self.quoted(table)} WITH NO DATA"
        self.execute(f"CREATE TEMP TABLE {STAGED} ON COMMIT DROP AS {alike}")
        self._copy_in(TableName(STAGED, "pg_temp"), table, rows.schema).write(rows)
        with refused():
            written = merging.run()
        self.execute(f"DROP TABLE pg_temp.{STAGED}")
        self._merged[table] = written
        return written

    @override
    def count(self, table: TableName, where: str = "") -> int:
        if not where and table in self._filled:
            return self._filled[table]
        # After a merge, an index alone no longer tells on many pages which rows are visible, and
        # the planner does not know that yet.
        changed = self._merged.get(table, 0)
        pages = "SELECT 1 FROM pg_catalog.pg_class WHERE oid = ?::regclass AND relpages < ?"
        if not changed or not self.execute(pages, (self.quoted(table), 2 * changed)):
            return super().count(table, where)
        self.execute("SET LOCAL enable_indexonlyscan = off")
        count = super().count(table, where)
        self.execute("RESET enable_indexonlyscan")
        return count

    @override
    def moment_literal(self, written: str, type_: "pa.DataType", *, zoned: bool) -> str:
        if zoned:
            return f"TIMESTAMPTZ '{written}+00'"
        return super().moment_literal(written, type_, zoned=False)

    @override
    def scan(
        self, table: TableName, where: str, chunk_rows: int, columns: Sequence[str] | None = None
    ) -> "Iterator[pa.Table]":
        schema = self.schema_of(table, columns)
        wanted = ", ".join(selected(quote(f.name), f.type) for f in schema)
        yield schema.empty_table()
        query = f"SELECT {wanted} FROM {self.quoted(table)}{only(where)}"
        sql = f"COPY ({query}) TO STDOUT (FORMAT csv)"
        with self._connection.cursor().copy(sql.encode()) as copy:
            rows = map(bytes, copy)  # The server sends each row by itself.
            while some := _some(rows, chunk_rows):
                yield parsed(some, schema)

    # What only PostgreSQL has

    def written(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement that writes, and return how many rows it wrote."""
        return self._connection.execute(with_marks(sql, "%s").encode(), list(parameters)).rowcount

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Let what is inside fail without failing the transaction."""
        with self._connection.transaction():
            yield

    def _copy_in(
        self,
        place: TableName,
        like: TableName,
        schema: "pa.Schema",
        own: Sequence[tuple[str, Any]] = (),
    ) -> CopyIn:
        """Return what copies rows to a place that has the columns of a table."""
        there = self.type_names(like)
        wanted = {f.name: self.type_name(f.type) for f in schema}
        wanted |= {name: _type_of_own(value) for name, value in own}
        binary = all(there.get(name) == type_ for name, type_ in wanted.items())
        return CopyIn(self._connection, self.quoted(place), schema.names, binary, own)

    def _insert_empty(self, table: TableName, count: int, own: list[tuple[str, Any]]) -> int:
        names = column_list([name for name, _ in own])
        marks = ", ".join("?" * len(own))
        self.execute(
            f"INSERT INTO {self.quoted(table)} ({names}) SELECT {marks} FROM generate_series(1, ?)",
            (*(value for _, value in own), count),
        )
        return count

    @contextmanager
    def _defaults(self, table: TableName, own: list[tuple[str, Any]]) -> Iterator[None]:
        alter = f"ALTER TABLE {self.quoted(table)}"
        texts = [(quote(name), quote(str(value), "'")) for name, value in own]
        setting = [f"ALTER {name} SET DEFAULT {value}" for name, value in texts]
        dropping = [f"ALTER {name} DROP DEFAULT" for name, _ in texts]
        if texts:
            self.execute(f"{alter} {', '.join(setting)}")
        yield
        if texts:
            self.execute(f"{alter} {', '.join(dropping)}")


def _type_of_own(value: Any) -> str:
    """Return the type of one of our own columns by its value."""
    return TIMESTAMP_TZ if isinstance(value, datetime) else "text"


class _Merge:
    """A merge of staged rows: by a unique index on the key if there can be one, else by joins."""

    def __init__(
        self,
        tx: PostgresTransaction,
        table: TableName,
        names: Sequence[str],
        keys: Sequence[str],
        stamp: Stamp,
        *,
        update: bool,
        newer: str | None = None,
    ) -> None:
        self.tx = tx
        self.newer = newer
        self.table = table
        self.target = tx.quoted(table)
        self.names = names
        self.keys = keys
        self.others = [name for name in names if name not in keys]
        self.compared = [name for name in self.others if name not in stamp.about]
        self.own = stamps(stamp, tx.now)
        self.update = update and bool(self.compared)
        # The name of an extension's type may come with its schema.
        types = tx.type_names(table)
        self.types = {name: type_.rpartition(".")[2] for name, type_ in types.items()}
        self.index = f"{KEY_INDEX}_{hashed(table.schema, table.name, *keys)}"

    def run(self) -> int:
        """Merge, and return how many rows were inserted or changed."""
        import psycopg

        if not self.update:
            self._drop_repeated()
        if self._has_unique_index():
            try:
                with self.tx.savepoint():
                    return self._upsert()
            except psycopg.errors.CardinalityViolation:  # A key came twice.
                self._drop_repeated()
                return self._upsert()
            except psycopg.errors.ProgramLimitExceeded:  # A key is too long for an index.
                index = self.tx.quoted(TableName(self.index, self.table.schema))
                self.tx.execute(f"DROP INDEX IF EXISTS {index}")
        self._drop_repeated()
        return self._join()

    def make_unique(self) -> int:
        """Keep only the last arrival of each key in a new table, and return how many rows go."""
        if self._has_unique_index():
            return 0
        dropped = self._drop_repeated(self.target)
        self._has_unique_index()
        return dropped

    def _has_unique_index(self) -> bool:
        import psycopg

        if any(self.types.get(key) in COMPARED_AS_TEXT for key in self.keys):
            return False
        if self.tx.execute(_UNIQUE, (self.target, len(self.keys), sorted(self.keys))):
            return True
        try:
            with self.tx.savepoint():
                by = column_list(self.keys)
                self.tx.execute(f"CREATE UNIQUE INDEX {quote(self.index)} ON {self.target} ({by})")
        except (
            psycopg.errors.UniqueViolation,  # rows that were appended before, say
            psycopg.errors.UndefinedObject,  # a type that has no order
            psycopg.errors.ProgramLimitExceeded,
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.WrongObjectType,
        ):
            return False
        return True

    def _upsert(self) -> int:
        action = "NOTHING"
        if self.update:
            settings, differs = self._settings("EXCLUDED"), self._differs("EXCLUDED")
            action = f"UPDATE SET {settings} WHERE {differs}"
        values = [value for _, value in self.own]
        return self.tx.written(
            f"INSERT INTO {self.target} AS t ({self._all()}) "
            f"SELECT {self._staged()} FROM pg_temp.{STAGED} s "
            f"ON CONFLICT ({column_list(self.keys)}) DO {action}",
            values,
        )

    def _join(self) -> int:
        values = [value for _, value in self.own]
        self.tx.execute(f"ANALYZE pg_temp.{STAGED}")
        same = self._same("t", "s")
        written = 0
        if self.update:
            own = "".join(f", {quote(name)} = ?" for name, _ in self.own)
            settings = ", ".join(f"{quote(name)} = s.{quote(name)}" for name in self.others) + own
            written = self.tx.written(
                f"UPDATE {self.target} AS t SET {settings} FROM pg_temp.{STAGED} s WHERE {same} "
                f"AND ({self._differs('s')})",
                values,
            )
        return written + self.tx.written(
            f"INSERT INTO {self.target} ({self._all()}) "
            f"SELECT {self._staged()} FROM pg_temp.{STAGED} s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.target} AS t WHERE {same})",
            values,
        )

    def _drop_repeated(self, table: str = f"pg_temp.{STAGED}") -> int:
        """Delete all rows of a new table but the last arrival of each key, and return how many.

        The rows of a new table lie in the order they came.
        """
        by = ", ".join(self._comparable("s", key) for key in self.keys)
        repeats = f"SELECT 1 FROM {table} s GROUP BY {by} HAVING COUNT(*) > 1 LIMIT 1"
        if not self.tx.execute(repeats):
            return 0
        nth = f"row_number() OVER (PARTITION BY {by} ORDER BY s.ctid DESC) AS nth"
        earlier = f"SELECT ctid FROM (SELECT s.ctid, {nth} FROM {table} s) r WHERE nth > 1"
        return self.tx.written(f"DELETE FROM {table} WHERE ctid IN ({earlier})")

    def _all(self) -> str:
        return column_list([*self.names, *(name for name, _ in self.own)])

    def _staged(self) -> str:
        typed = [f"?::{_type_of_own(value)}" for _, value in self.own]
        return ", ".join([column_list(self.names, "s."), *typed])

    def _settings(self, other: str) -> str:
        changed = [*self.others, *(name for name, _ in self.own)]
        return ", ".join(f"{quote(name)} = {other}.{quote(name)}" for name in changed)

    def _differs(self, other: str) -> str:
        # A row that came again as it was is left alone: it keeps its load id, and what is
        # downstream stays fresh.
        differs = " OR ".join(self._column_differs(name, other) for name in self.compared)
        return unless_newer(differs, self.newer, other)

    def _column_differs(self, name: str, other: str) -> str:
        differs = f"{self._comparable('t', name)} IS DISTINCT FROM {self._comparable(other, name)}"
        if self.types.get(name) not in FLOATING:
            return differs
        mine, its = f"t.{quote(name)}", f"{other}.{quote(name)}"
        return f"{differs} OR ({mine} = 0 AND {mine}::text <> {its}::text)"  # -0.0 equals 0.0

    def _same(self, one: str, other: str) -> str:
        pairs = ((self._comparable(one, key), self._comparable(other, key)) for key in self.keys)
        return " AND ".join(f"{mine} = {its}" for mine, its in pairs)

    def _comparable(self, table: str, name: str) -> str:
        as_text = self.types.get(name) in COMPARED_AS_TEXT
        return f"{table}.{quote(name)}::text" if as_text else f"{table}.{quote(name)}"


def _some(rows: Iterator[bytes], most: int) -> list[bytes]:
    """Take the next rows: at most so many, or as many bytes as are parsed at once."""
    taken, size = [], 0
    for row in islice(rows, most):
        taken.append(row)
        size += len(row)
        if size >= READ_BYTES:
            break
    return taken
