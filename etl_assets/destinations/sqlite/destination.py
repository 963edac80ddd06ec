"""SQLite: one file, one writer at a time, no server."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from etl_assets.destinations.database.destination import (
    STAGING,
    DatabaseDestination,
    database_capabilities,
)
from etl_assets.destinations.database.errors import translate
from etl_assets.destinations.database.options import DatabaseOptions, FileOptions
from etl_assets.destinations.sqlite.transaction import MAIN, SqliteTransaction
from etl_assets.exceptions import AuthenticationError, ConfigError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.secrets.references import resolve
from etl_assets.secrets.url import revealed

MEMORY = ":memory:"
NEEDED = (3, 33, 0)
"""The version that can update from another table."""


class SQLiteOptions(FileOptions):
    """Where the file is and how it is loaded."""


class SQLiteDestination(DatabaseDestination):
    """Loads streams into a SQLite file, exactly once.

    SQLite has no schemas: a table is called `<source>__<stream>`, or `<schema_name>__<stream>`, or
    just `<stream>` if `schema_name` is the empty text.

    ```python
    SQLiteDestination("warehouse.sqlite")
    ```

    Args:
        path: The database file; made when it is first loaded into.
        options: Those of `SQLiteOptions`.
    """

    Options: ClassVar[type[DatabaseOptions]] = SQLiteOptions
    storage_kind: ClassVar[str] = "sqlite"
    can_split: ClassVar[bool] = True
    rolls_back: ClassVar[bool] = True
    capabilities = database_capabilities(max_columns=2000)

    def __init__(self, path: Any = None, **options: Any) -> None:
        super().__init__(**({"path": path, **options} if path is not None else options))
        self._memory: sqlite3.Connection | None = None

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.options.path!r})"

    @property
    def path(self) -> str:
        """The database file, its reference resolved."""
        return revealed(resolve(self.options.path, name="path")).removeprefix("sqlite:///")

    @override
    def table_for(self, source: str, stream: Stream) -> TableName:
        """Return the default place of a stream, in the schema `main`."""
        table = super().table_for(source, stream)
        prefix = self.options.schema_name if self.options.schema_name is not None else table.schema
        return TableName(f"{prefix}__{table.name}" if prefix else table.name, MAIN)

    @override
    def uri(self, table: TableName) -> str | None:
        """Return `sqlite:///path#table`."""
        if self.path == MEMORY:
            return None
        return f"sqlite:///{Path(self.path).resolve()}#{table.name}"

    @override
    def test_connection(self) -> None:
        """Open the file and close it; where there is none yet, look whether one can be made."""
        if self.exists():
            with self.transaction() as tx:
                tx.execute("SELECT 1 FROM sqlite_master")
        elif not os.access(self._folder(), os.W_OK | os.X_OK):
            raise AuthenticationError(
                f"The SQLite file {self.path!r} cannot be made: no right to write to its folder."
            )

    @override
    def exists(self) -> bool:
        return self._memory is not None if self.path == MEMORY else Path(self.path).exists()

    @override
    def default_staging(self) -> str:
        return STAGING if self.path == MEMORY else f"{self.path}.staging"

    @override
    @contextmanager
    def transaction(self) -> Iterator[SqliteTransaction]:
        """Open the file for one transaction; others may read it until the COMMIT."""
        connection = self._open()
        phase = "connecting"
        try:
            connection.execute("BEGIN IMMEDIATE")
            phase = "loading"
            yield SqliteTransaction(connection)
            phase = "COMMIT"
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise translate(error, f"The SQLite file {self.path!r}", phase) from error
        finally:
            if connection.in_transaction:
                connection.rollback()
            if connection is not self._memory:
                connection.close()

    def _open(self) -> sqlite3.Connection:
        if sqlite3.sqlite_version_info < NEEDED:
            raise ConfigError(
                f"This Python has SQLite {sqlite3.sqlite_version}; "
                f"{'.'.join(map(str, NEEDED))} or later is needed."
            )
        if self._memory is not None:
            return self._memory
        if self.path != MEMORY:
            self._folder()
        try:
            connection = sqlite3.connect(
                self.path,
                timeout=self.options.lock_timeout,
                isolation_level=None,
                check_same_thread=False,
            )
            # While a table is made anew, a view that names it is left as it is.
            connection.execute("PRAGMA legacy_alter_table = ON")
        except sqlite3.Error as error:
            raise translate(error, f"The SQLite file {self.path!r}", "connecting") from error
        if self.path == MEMORY:
            self._memory = connection
        return connection

    def _folder(self) -> Path:
        folder = Path(self.path).absolute().parent
        if not folder.is_dir():
            raise ConfigError(
                f"The folder of the SQLite file {self.path!r} does not exist.",
                hint="Make it first.",
            )
        return folder
