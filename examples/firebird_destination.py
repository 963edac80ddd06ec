"""An exactly-once destination for an engine of one's own, complete: Firebird, by its driver.

    FirebirdDestination(database="warehouse.fdb")  # a file, opened by this process
    FirebirdDestination(database="db.example.com:warehouse", password=...)  # a server

Whatever Firebird would round is text: its times have a tenth of a millisecond. A text is a BLOB,
which has no length to exceed; it cannot be indexed, so merge large tables by numbers. See
docs/own-database.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from etl_assets.destinations.database import own

TEXT = "BLOB SUB_TYPE TEXT CHARACTER SET UTF8"
BYTES = "BLOB SUB_TYPE BINARY"
PAGE_BYTES = 32_768  # so that the key of the state table fits an index
IN_USE = 335545107  # isc_instance_conflict: another process has the file open
_TYPES = {  # by RDB$FIELD_TYPE and RDB$FIELD_SUB_TYPE
    (16, 0): "BIGINT", (23, 0): "BOOLEAN", (27, 0): "DOUBLE PRECISION", (12, 0): "DATE",
    (261, 0): BYTES, (261, 1): TEXT,
}  # fmt: skip
_COLUMNS = """
SELECT TRIM(r.RDB$FIELD_NAME), f.RDB$FIELD_TYPE, COALESCE(f.RDB$FIELD_SUB_TYPE, 0),
    f.RDB$FIELD_PRECISION, f.RDB$FIELD_SCALE
FROM RDB$RELATION_FIELDS r JOIN RDB$FIELDS f ON f.RDB$FIELD_NAME = r.RDB$FIELD_SOURCE
WHERE r.RDB$RELATION_NAME = ? ORDER BY r.RDB$FIELD_POSITION
"""


class FirebirdTransaction(own.DbApiTransaction):
    """One open transaction: what of SQL is Firebird's own."""

    names: ClassVar = {**own.STANDARD_NAMES, "string": TEXT, "binary": BYTES}
    ledger_types = own.LedgerTypes(create="CREATE TABLE", key="VARCHAR(400)", text=TEXT)
    alters_at_once = True  # a changed table can be written to only after a COMMIT
    first_row = "ROWS 1"
    adding_column, dropping_column = "ADD", "DROP"
    row_id = "RDB$DB_KEY"

    def type_names(self, table: own.TableName) -> dict[str, str]:
        return {row[0]: _type_name(*row[1:]) for row in self.execute(_COLUMNS, (table.name,))}

    def tables(self, schema: str) -> list[str]:
        is_users_own = "RDB$SYSTEM_FLAG = 0 AND RDB$RELATION_TYPE = 0"
        sql = f"SELECT TRIM(RDB$RELATION_NAME) FROM RDB$RELATIONS WHERE {is_users_own}"
        return sorted(name for (name,) in self.execute(sql))

    def lock(self, name: str) -> None:
        # The rows of every stream are locked, until the COMMIT.
        self.execute('SELECT "load_id" FROM "_etl_assets_state" WITH LOCK')

    def equals(self, name: str, type_: pa.DataType) -> str:
        # By itself 'a' = 'a ', and bytes are equal that end with different numbers of zeros.
        ends = {"string": " || '.'", "binary": " || x'2E'"}
        end = ends.get(str(type_), "")
        return f"{own.quote(name)}{end} = ?{end}"

    def cursor(self) -> Any:
        cursor = super().cursor()
        cursor.stream_blob_threshold = -1  # a large text is a text too, and no file
        return cursor

    def index(self, table: own.TableName, keys: Sequence[str]) -> None:
        types = self.type_names(table)
        for key in keys:  # one each: Firebird puts several together for a condition on all
            if "BLOB" not in types[key] and not self._has_index(table, key):
                index = own.quote(own.key_index(table.name, key))
                self.execute(f"CREATE INDEX {index} ON {self.quoted(table)} ({own.quote(key)})")

    def _has_index(self, table: own.TableName, key: str) -> bool:
        sql = "SELECT 1 FROM RDB$INDICES WHERE RDB$INDEX_NAME = ?"
        return bool(self.execute(sql, (own.key_index(table.name, key),)))

    def widen_column(
        self, table: own.TableName, name: str, old: pa.DataType, new: pa.DataType
    ) -> None:
        target, column = self.quoted(table), own.quote(name)
        position = list(self.type_names(table)).index(name) + 1
        if self._has_index(table, name):
            self.execute(f"DROP INDEX {own.quote(own.key_index(table.name, name))}")
        widened = own.quote(self.widened_beside(table, name, old, new))
        # One statement puts it in the old one's place, so a kill in between loses nothing.
        renamed = f"ALTER {widened} TO {column}, ALTER {column} POSITION {position}"
        self.execute(f"ALTER TABLE {target} DROP {column}, {renamed}")


def _type_name(kind: int, sub_type: int, precision: int | None, scale: int) -> str:
    if precision and sub_type:
        return f"DECIMAL({precision},{-scale})"
    return _TYPES.get((kind, sub_type), f"type {kind}")


class FirebirdOptions(own.DatabaseOptions):
    """Where the database is."""

    database: str = Field(description="A file, or host:database.")
    user: str = Field(default="SYSDBA", description="Who connects.")
    password: own.OptionalSecretOption = Field(default=None, description="It may be a reference.")
    lock_timeout: float = Field(default=60.0, ge=0, description="Seconds to wait for a lock.")


class FirebirdDestination(own.DatabaseDestination):
    """Loads streams into Firebird, exactly once; a table is called `<source>__<stream>`."""

    Options = FirebirdOptions
    storage_kind = "firebird"
    has_schemas = False
    capabilities = own.database_capabilities(max_identifier_bytes=63, max_columns=1000)

    def exists(self) -> bool:
        return ":" in self.options.database or Path(self.options.database).exists()

    @contextmanager
    def transaction(self) -> Iterator[FirebirdTransaction]:
        from firebird.driver import DatabaseError

        told, wait = f"The Firebird database {self.options.database!r}", self.options.lock_timeout
        with own.committing(
            self._connect, DatabaseError, told, is_busy=_is_in_use, seconds=wait
        ) as connection:
            yield FirebirdTransaction(connection, self.load_columns)

    def _connect(self) -> Any:
        from firebird.driver import Isolation, connect, create_database, driver_config, tpb

        options = self.options
        given = {"user": options.user, "password": own.resolve(options.password, name="password")}
        driver_config.db_defaults.page_size.value = PAGE_BYTES
        if not self.exists():  # whole from the first moment: half a file could not be opened
            new = Path(f"{options.database}.new")
            create_database(str(new), charset="UTF8", overwrite=True, **given).close()
            new.rename(options.database)
        connection = connect(options.database, charset="UTF8", **given)
        # Whoever waited for a lock sees what was committed.
        isolation = Isolation.READ_COMMITTED_READ_CONSISTENCY
        seconds = round(options.lock_timeout)
        connection.main_transaction.default_tpb = tpb(isolation, lock_timeout=seconds)
        return connection


def _is_in_use(error: Exception) -> bool:
    return IN_USE in getattr(error, "gds_codes", ())
