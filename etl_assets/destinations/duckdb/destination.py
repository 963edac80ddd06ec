"""DuckDB: one file, one writer at a time.

Batches are staged, then loaded in one short exclusive transaction.

MotherDuck is the same with an `md:` address in place of a file.
"""

import os
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, Field
from typing_extensions import override

from etl_assets.destinations.database.destination import STAGING, DatabaseDestination
from etl_assets.destinations.database.options import DatabaseOptions, FileOptions, PathOption
from etl_assets.exceptions import BusyError, ConfigError, DestinationError, UnavailableError
from etl_assets.naming import quoted_where_needed
from etl_assets.redaction import redact, remember_config
from etl_assets.secrets.option import ArgumentsOption
from etl_assets.secrets.references import is_reference, resolve
from etl_assets.secrets.url import revealed, secret_url

if TYPE_CHECKING:
    import duckdb

    from etl_assets.destinations.database.ledger import Ledger
    from etl_assets.destinations.database.transaction import Transaction
    from etl_assets.destinations.duckdb.transaction import DuckDBTransaction
    from etl_assets.model.stored import TableName

_Opened = TypeVar("_Opened")

MEMORY = ":memory:"
MOTHERDUCK = ("md:", "motherduck:")
_TAKEN = {"main", "system", "temp"}
"""Names of DuckDB's own databases: a file of such a name gets another."""
HEADER_BYTES = 12 * 1024
BEING_MADE_SECONDS = 10.0
MOST_STAGED_BYTES = 8 * 2**20
"""More rows are worth an instance with several threads."""
OPEN_HERE_SECONDS = 2.0
"""How long a connection of this process with other settings is waited for."""
_in_process: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
"""One lock per file: DuckDB's own keeps other processes out, not other threads of this one."""


def _address_masked(path: Any) -> Any:
    """Return a path as it is, or MotherDuck's address so that it shows no token."""
    is_plain = isinstance(path, str) and not is_reference(path)
    return secret_url(path) if is_plain and path.startswith(MOTHERDUCK) else path


class DuckDBOptions(FileOptions):
    """Where the database is and how it is loaded."""

    path: Annotated[PathOption, AfterValidator(_address_masked)] = Field(
        description="The file, `:memory:`, or `md:database`; may be a reference such as an EnvVar."
    )
    settings: ArgumentsOption = Field(
        default_factory=dict,
        description="DuckDB settings, such as memory_limit; may hold references.",
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
        return revealed(resolve(self.options.path, name="path"))

    @property
    def is_file(self) -> bool:
        """Whether the database is a file on this machine."""
        return self.path != MEMORY and not self.path.startswith(MOTHERDUCK)

    @override
    def uri(self, table: "TableName") -> str | None:
        """Return `duckdb:///path#schema.table`."""
        return f"duckdb:///{Path(self.path).resolve()}#{table}" if self.is_file else None

    @override
    def database_name(self) -> str | None:
        """Return the name that DuckDB gives to the database of a file."""
        if not self.is_file:
            return None
        name = Path(self.path).name.partition(".")[0]
        return quoted_where_needed(f"{name}_db" if name in _TAKEN else name)

    # Hooks

    @override
    def test_connection(self) -> None:
        """Open the database with its settings, and close it.

        If there is no file yet, look whether one can be made. Nothing is written: the settings are
        then tried on a database in memory.

        Raises:
            ConfigError: DuckDB does not have a setting, or does not take its value.
            UnavailableError: The database cannot be opened, or cannot be written to.
        """
        if not self.is_file or Path(self.path).exists():
            with self._connection() as connection:
                self._refuse_read_only(connection)
                return
        folder = self._folder()
        self._open(MEMORY, self._settings()).close()
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UnavailableError(
                f"The DuckDB file {self.path!r} cannot be made: no right to write to {folder}."
            )

    # Connections

    @override
    def ledger(self, transaction: "Transaction") -> "Ledger":
        """Return the ledger, which is in the schema `main`."""
        from etl_assets.destinations.database.ledger import Ledger

        return Ledger(transaction, "main")

    @override
    @contextmanager
    def transaction(self) -> Iterator["DuckDBTransaction"]:
        """Open the file exclusively for one transaction."""
        from etl_assets.destinations.duckdb.transaction import DuckDBTransaction

        with _in_process[str(Path(self.path).absolute())], self._connection() as connection:
            connection.begin()
            try:
                yield DuckDBTransaction(connection, limits_memory=self._limits_memory)
            except BaseException:
                # A cancel, too. If the connection is broken beyond a rollback, closing it does the
                # same.
                _roll_back(connection)
                raise
            self._commit(connection)

    @override
    @contextmanager
    def short_transaction(self, size: int = 0) -> Iterator["DuckDBTransaction"]:
        """Open the file exclusively for one short transaction, by an instance that is kept."""
        from etl_assets.destinations.duckdb import attached
        from etl_assets.destinations.duckdb.transaction import DuckDBTransaction

        path = self.path
        is_small = self.is_file and not self.options.settings and size <= MOST_STAGED_BYTES
        if not is_small or not attached.can_attach(path):
            with self.transaction() as tx:
                yield tx
            return
        with _in_process[str(Path(path).absolute())]:
            connection = self._retried(lambda: attached.attach(path))
            if connection is not None:
                with attached.detaching(connection, path):
                    connection.begin()
                    yield DuckDBTransaction(connection, attached_as=attached.name_of(path))
                    self._commit(connection)
                return
        with self.transaction() as tx:
            yield tx

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
        """Connect. While another process holds the file, try again with growing, jittered pauses.

        Raises:
            BusyError: The other process held the file longer than `lock_timeout`. The error names
                that process.
            UnavailableError: The file cannot be opened.
        """
        if self.is_file:
            self._folder()
        settings = self._settings()
        return self._retried(lambda: self._open(self.path, settings))

    def _retried(self, open_it: Callable[[], _Opened]) -> _Opened:
        """Open the file; while somebody else holds it, again with growing pauses.

        Raises:
            BusyError: Somebody else held it for too long.
            UnavailableError: It cannot be opened.
        """
        import duckdb

        path = self.path
        deadline = time.monotonic() + self.options.lock_timeout
        pause = 0.02
        while True:
            try:
                return open_it()
            except duckdb.Error as error:
                if _is_open_here(error):
                    # Somebody in this process has the file, and may keep it as long as that lives.
                    deadline = min(deadline, time.monotonic() + OPEN_HERE_SECONDS)
                if not _is_locked(error) and not _is_being_made(error, path):
                    shown = without_token(path)
                    raise UnavailableError(
                        f"The DuckDB file {shown!r} cannot be opened: {redact(str(error))}"
                    ) from error
                if time.monotonic() >= deadline:
                    raise self._busy(error) from error
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
                pause = min(pause * 1.6, 0.5)

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = resolve(dict(self.options.settings), name="settings")
        remember_config(settings)
        return settings

    def _open(self, path: str, settings: dict[str, Any]) -> "duckdb.DuckDBPyConnection":
        """Open a database once.

        Raises:
            ConfigError: A setting is wrong.
            duckdb.Error: It cannot be opened.
        """
        import duckdb

        from etl_assets.destinations.duckdb.transaction import sql_names_only

        try:
            connection = _opened(path, settings)
        except duckdb.Error as error:
            # It says the same of a file, but if a database in memory fails too, it is the settings.
            local = settings and not path.startswith(MOTHERDUCK)
            if local and (path == MEMORY or not _opens_in_memory(settings)):
                raise ConfigError(
                    f"{self!r}: DuckDB refuses the settings {sorted(settings)}: "
                    f"{redact(str(error))}",
                    hint="Correct them: `SELECT * FROM duckdb_settings()` lists what there is.",
                ) from error
            raise
        connection.execute("SET TimeZone = 'UTC'")
        # The progress bar would be written to standard output.
        connection.execute("SET enable_progress_bar = false")
        sql_names_only(connection)
        return connection

    def _refuse_read_only(self, connection: "duckdb.DuckDBPyConnection") -> None:
        asked = "SELECT readonly FROM duckdb_databases() WHERE database_name = current_database()"
        if connection.execute(asked).fetchall() == [(True,)]:
            raise UnavailableError(
                f"{self!r} can only be read: nothing could be loaded into it.",
                hint="Leave `access_mode` out of its settings, or give yourself the right to write "
                "to the file.",
            )

    def _busy(self, error: Exception) -> BusyError:
        if _is_open_here(error):
            return BusyError(
                f"The DuckDB file {self.path!r} is open in this process, with other settings; "
                f"it is not held by another process: {error}",
                hint="Close that connection (of an SQLAlchemy engine: engine.dispose()), or open "
                "it as cache.get_sql_engine() and cache.get_vendor_client() do.",
            )
        return BusyError(
            f"The DuckDB file {self.path!r} was held by another process for more than "
            f"{self.options.lock_timeout:g} s: {error}",
            hint="End that process, or give the destination a longer lock_timeout.",
        )

    def _folder(self) -> Path:
        folder = Path(self.path).absolute().parent
        if not folder.is_dir():
            raise ConfigError(
                f"The folder of the DuckDB file {self.path!r} does not exist.",
                hint="Make it first.",
            )
        return folder

    @override
    def exists(self) -> bool:
        if self.path == MEMORY:
            return self._memory is not None
        return not self.is_file or Path(self.path).exists()

    @override
    def default_staging(self) -> str:
        return f"{self.path}.staging" if self.is_file else STAGING


def without_token(path: str) -> str:
    """Return a database's address without what comes after its name, which may be a token."""
    return path.partition("?")[0] if path.startswith(MOTHERDUCK) else path


def _opened(path: str, settings: dict[str, Any]) -> "duckdb.DuckDBPyConnection":
    """Open a database as it is, or as `duckdb_engine` has opened it in this process."""
    import duckdb

    try:
        return duckdb.connect(path, config=settings)
    except duckdb.ConnectionException as error:
        engine, alchemy = sys.modules.get("duckdb_engine"), sys.modules.get("sqlalchemy")
        if not _is_open_here(error) or engine is None or alchemy is None:
            raise
        agent = f"duckdb_engine/{engine.__version__}(sqlalchemy/{alchemy.__version__})"
        return duckdb.connect(path, config={**settings, "custom_user_agent": agent})


def _is_open_here(error: Exception) -> bool:
    return "different configuration" in str(error)


def _roll_back(connection: "duckdb.DuckDBPyConnection") -> None:
    import duckdb

    try:
        connection.rollback()
    except duckdb.Error:
        connection.close()


def _opens_in_memory(settings: dict[str, Any]) -> bool:
    """Return whether DuckDB takes the settings, leaving out `access_mode`, which needs a file."""
    import duckdb

    others = {name: value for name, value in settings.items() if name.lower() != "access_mode"}
    try:
        duckdb.connect(MEMORY, config=others).close()
    except duckdb.Error:
        return False
    return True


def _is_being_made(error: Exception, path: str) -> bool:
    """Return whether another process has just made the file and not yet written its header."""
    if "not a valid DuckDB database file" not in str(error):
        return False
    try:
        found = Path(path).stat()
    except OSError:
        return True  # gone again
    return found.st_size < HEADER_BYTES and time.time() - found.st_mtime < BEING_MADE_SECONDS


def _is_locked(error: Exception) -> bool:
    words = ("Could not set lock", "different configuration", "being used by another")
    return any(one in str(error) for one in words)
