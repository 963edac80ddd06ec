"""DuckDB: one file, one writer at a time. Batches are staged, then loaded in one short exclusive transaction.

MotherDuck is the same with an `md:` address in place of a file.
"""

import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from typing_extensions import override

from etl_assets.destinations.database import STAGING, DatabaseDestination, DatabaseOptions
from etl_assets.destinations.duckdb_transaction import DuckDBTransaction
from etl_assets.destinations.ledger import Ledger
from etl_assets.destinations.transaction import Transaction
from etl_assets.exceptions import BusyError, ConfigError, DestinationError, UnavailableError
from etl_assets.protocol.load import TableName
from etl_assets.secrets.redaction import redact, remember
from etl_assets.secrets.references import resolve

if TYPE_CHECKING:
    import duckdb

MEMORY = ":memory:"
MOTHERDUCK = ("md:", "motherduck:")
HEADER_BYTES = 12 * 1024
BEING_MADE_SECONDS = 10.0
_in_process: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
"""One lock per file: DuckDB's own keeps other processes out, not other threads of this one."""


class DuckDBOptions(DatabaseOptions):
    """Where the database is and how it is loaded."""

    path: Any = Field(description="The file, `:memory:`, or `md:database`; may be a reference such as an EnvVar.")
    lock_timeout: float = Field(default=60.0, ge=0, description="Seconds to wait for another process's lock.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="DuckDB settings, such as memory_limit; may hold references."
    )


class DuckDBDestination(DatabaseDestination):
    """Loads streams into a DuckDB file, exactly once.

    ```python
    DuckDBDestination("warehouse.duckdb", naming="snake_case")
    ```

    Args:
        path: The database file; made when it is first loaded into.
        options: Those of `DuckDBOptions`.
    """

    Options: ClassVar[type[DatabaseOptions]] = DuckDBOptions
    storage_kind: ClassVar[str] = "duckdb"
    can_split: ClassVar[bool] = True
    rolls_back: ClassVar[bool] = True

    def __init__(self, path: Any = None, **options: Any) -> None:
        super().__init__(**({"path": path, **options} if path is not None else options))
        self._memory: duckdb.DuckDBPyConnection | None = None

    def __repr__(self) -> str:
        path = self.options.path
        return f"DuckDBDestination({(without_token(path) if isinstance(path, str) else path)!r})"

    # Places and names

    @property
    def path(self) -> str:
        """The database file or address, its reference resolved."""
        path = str(resolve(self.options.path, name="path"))
        if path.startswith(MOTHERDUCK):
            remember(path.partition("motherduck_token=")[2].partition("&")[0])
        return path

    @property
    def is_file(self) -> bool:
        """Whether the database is a file on this machine."""
        return self.path != MEMORY and not self.path.startswith(MOTHERDUCK)

    @override
    def uri(self, table: TableName) -> str | None:
        """Give `duckdb:///path#schema.table`."""
        return f"duckdb:///{Path(self.path).resolve()}#{table}" if self.is_file else None

    # Hooks

    @override
    def test_connection(self) -> None:
        """Open the database and close it; where there is none yet, look whether one can be made."""
        if not self.is_file or Path(self.path).exists():
            with self._connection():
                return
        folder = self._folder()
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UnavailableError(f"The DuckDB file {self.path!r} cannot be made: no right to write to {folder}.")

    # Connections

    @override
    def ledger(self, transaction: Transaction) -> Ledger:
        """Give the ledger, which is in the schema `main`."""
        return Ledger(transaction, "main")

    @override
    @contextmanager
    def transaction(self) -> Iterator[DuckDBTransaction]:
        """Open the file exclusively for one transaction."""
        with _in_process[str(Path(self.path).absolute())], self._connection() as connection:
            connection.begin()
            try:
                yield DuckDBTransaction(connection, limits_memory=self._limits_memory)
            except BaseException:
                # Also a cancel. The connection may be broken beyond a rollback; closing it does the same.
                _roll_back(connection)
                raise
            self._commit(connection)

    @property
    def _limits_memory(self) -> bool:
        return self.is_file and not {"memory_limit", "max_memory"} & self.options.settings.keys()

    def _commit(self, connection: "duckdb.DuckDBPyConnection") -> None:
        import duckdb

        try:
            connection.commit()
        except duckdb.Error as error:
            raise DestinationError(f"{self!r}: the COMMIT failed: {redact(str(error))}") from error

    @contextmanager
    def _connection(self) -> "Iterator[duckdb.DuckDBPyConnection]":
        if self.path == MEMORY:
            if self._memory is None:
                self._memory = self.connect()
            yield self._memory
            return
        with closing(self.connect()) as connection:
            yield connection

    def connect(self) -> "duckdb.DuckDBPyConnection":
        """Connect; while another process holds the file, try again with growing, jittered pauses.

        Raises:
            BusyError: It held it longer than `lock_timeout`; names it.
            UnavailableError: The file cannot be opened.
        """
        import duckdb

        path = self.path
        if self.is_file:
            self._folder()
        settings = resolve(dict(self.options.settings), name="settings")
        remember(settings.get("motherduck_token"))
        deadline = time.monotonic() + self.options.lock_timeout
        pause = 0.02
        while True:
            try:
                connection = duckdb.connect(path, config=settings)
            except duckdb.Error as error:
                if not _is_locked(error) and not _is_being_made(error, path):
                    told = f"The DuckDB file {without_token(path)!r} cannot be opened: {redact(str(error))}"
                    raise UnavailableError(told) from error
                if time.monotonic() >= deadline:
                    raise BusyError(
                        f"The DuckDB file {path!r} was held by another process for more than "
                        f"{self.options.lock_timeout:g} s: {error}",
                        hint="End that process, or give the destination a longer lock_timeout.",
                    ) from error
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
                pause = min(pause * 1.6, 0.5)
            else:
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute("SET enable_progress_bar = false")  # it would be written to standard output
                return connection

    def _folder(self) -> Path:
        folder = Path(self.path).absolute().parent
        if not folder.is_dir():
            raise ConfigError(f"The folder of the DuckDB file {self.path!r} does not exist.", hint="Make it first.")
        return folder

    @override
    def exists(self) -> bool:
        if self.path == MEMORY:
            return self._memory is not None
        return not self.is_file or Path(self.path).exists()

    @override
    def staging_root(self) -> Path:
        if self.options.staging_dir:
            return Path(self.options.staging_dir)
        return Path(f"{self.path}.staging") if self.is_file else Path(STAGING)


def without_token(path: str) -> str:
    """Give a database's address without what comes after its name, which may be a token."""
    return path.partition("?")[0] if path.startswith(MOTHERDUCK) else path


def _roll_back(connection: "duckdb.DuckDBPyConnection") -> None:
    import duckdb

    try:
        connection.rollback()
    except duckdb.Error:
        connection.close()


def _is_being_made(error: Exception, path: str) -> bool:
    """Tell whether another process has just made the file and not yet written its header."""
    if "not a valid DuckDB database file" not in str(error):
        return False
    try:
        found = Path(path).stat()
    except OSError:
        return True  # gone again
    return found.st_size < HEADER_BYTES and time.time() - found.st_mtime < BEING_MADE_SECONDS


def _is_locked(error: Exception) -> bool:
    text = str(error)
    return "Could not set lock" in text or "different configuration" in text or "being used by another" in text
