"""DuckDB: one file, one writer at a time. Batches are staged, then loaded in one short exclusive transaction."""

import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from etl_assets.destinations.base import Destination, parse_options
from etl_assets.destinations.duckdb_transaction import DuckDBTransaction
from etl_assets.destinations.ledger import Ledger
from etl_assets.destinations.session import DatabaseSession, look_up, look_up_source
from etl_assets.destinations.staging import sweep
from etl_assets.destinations.transaction import Transaction
from etl_assets.exceptions import BusyError, ConfigError, DestinationError, UnavailableError
from etl_assets.naming import identifiers, style
from etl_assets.protocol.load import (
    Bookmark,
    Capabilities,
    Load,
    Session,
    Stored,
    StoredSource,
    StreamState,
    TableName,
)
from etl_assets.protocol.stream import Stream
from etl_assets.secrets.references import resolve
from etl_assets.strategies import WriteStrategy
from etl_assets.sync import new_load_id

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY = ":memory:"
HEADER_BYTES = 12 * 1024
BEING_MADE_SECONDS = 10.0
_in_process: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)
"""One lock per file: DuckDB's own keeps other processes out, not other threads of this one."""


class DuckDBOptions(BaseModel):
    """Where the database is and how it is loaded."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    path: Any = Field(description="The database file, or `:memory:`; may be a reference such as an EnvVar.")
    schema_name: str | None = Field(
        default=None, description="Put every table into this schema instead of one named after the source."
    )
    naming: str = Field(default="pyairbyte", description="How names are normalised: pyairbyte, snake_case or preserve.")
    lock_timeout: float = Field(default=60.0, ge=0, description="Seconds to wait for another process's lock.")
    staging_dir: str | None = Field(
        default=None, description="Where batches wait that do not fit in memory; beside the file by default."
    )
    staging_memory_bytes: int = Field(default=128 * 1024 * 1024, ge=0, description="Keep so many bytes in memory.")
    load_id_column: str | None = Field(default="_etl_assets_load_id", description="Our column; null leaves it out.")
    loaded_at_column: str | None = Field(default="_etl_assets_loaded_at", description="Our column; null leaves it out.")
    settings: dict[str, Any] = Field(default_factory=dict, description="DuckDB settings, such as memory_limit.")


class DuckDBDestination(Destination):
    """Loads streams into a DuckDB file, exactly once.

    ```python
    DuckDBDestination("warehouse.duckdb", naming="snake_case")
    ```

    Args:
        path: The database file; made when it is first loaded into.
        options: Those of `DuckDBOptions`.
    """

    Options: ClassVar[type[BaseModel]] = DuckDBOptions
    storage_kind: ClassVar[str] = "duckdb"
    capabilities = Capabilities(
        strategies=frozenset({WriteStrategy.APPEND, WriteStrategy.MERGE, WriteStrategy.REPLACE}),
        keeps_state=True,
        encoding="arrow",
    )

    def __init__(self, path: Any = None, **options: Any) -> None:
        super().__init__(config=None)
        given = {"path": path, **options} if path is not None else options
        self.options: DuckDBOptions = parse_options(DuckDBOptions, type(self).__name__, given)
        self.load_id_column = self.options.load_id_column
        self.loaded_at_column = self.options.loaded_at_column
        self._naming = style(self.options.naming)
        self._memory: duckdb.DuckDBPyConnection | None = None

    def __repr__(self) -> str:
        return f"DuckDBDestination({self.options.path!r})"

    @property
    def own_columns(self) -> Sequence[str]:
        """The columns that this library adds to the tables."""
        return [name for name in (self.load_id_column, self.loaded_at_column) if name]

    # Places and names

    @property
    def path(self) -> str:
        """The database file, its reference resolved."""
        return str(resolve(self.options.path, name="path"))

    def table_for(self, source: str, stream: Stream) -> TableName:
        """Give the default place of a stream: schema = source name (or `schema_name`), table = stream."""
        name = stream.stream_alias or (f"{stream.namespace}_{stream.name}" if stream.namespace else stream.name)
        return TableName(self._one(name), self.options.schema_name or self._one(source))

    def _one(self, name: str) -> str:
        return identifiers([name], naming=self._naming)[name]

    def column_identifiers(
        self, names: Sequence[str], known: Mapping[str, str], reserved: Sequence[str]
    ) -> dict[str, str]:
        """Give each field a column name of its own; names given before stay."""
        return identifiers(names, known=known, reserved=reserved, naming=self._naming)

    def uri(self, table: TableName) -> str | None:
        """Give `duckdb:///path#schema.table`."""
        return None if self.path == MEMORY else f"duckdb:///{Path(self.path).resolve()}#{table}"

    # Hooks

    def test_connection(self) -> None:
        """Open the database and close it; where there is none yet, look whether one can be made."""
        if self.path == MEMORY or Path(self.path).exists():
            with self._connection():
                return
        folder = self._folder()
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UnavailableError(f"The DuckDB file {self.path!r} cannot be made: no right to write to {folder}.")

    def session(self, loads: Sequence[Load]) -> AbstractContextManager[Session]:
        """Open a session; the database itself is opened only to look something up and to publish."""
        return self._session(loads)

    @contextmanager
    def _session(self, loads: Sequence[Load]) -> Iterator[Session]:
        root = self._staging_root()
        sweep(root)
        session = DatabaseSession(self, loads, root, self.options.staging_memory_bytes)
        try:
            yield session
        finally:
            session.close()
            sweep(root)

    def stored(self, source: str, stream: Stream, *, table: TableName | None = None, partition: str = "") -> Stored:
        """Tell what is known of a stream."""
        if not self._exists():
            return Stored()
        with self.transaction() as tx:
            return look_up(tx, self.ledger(tx), source, stream, table or self.table_for(source, stream), partition)

    def stored_source(self, source: str, *, partition: str = "") -> StoredSource:
        """Tell what is known of a whole source."""
        if not self._exists():
            return StoredSource()
        with self.transaction() as tx:
            return look_up_source(self.ledger(tx), source, partition)

    def read_table(self, table: TableName, *, columns: Sequence[str] | None = None) -> "pa.Table":
        """Read a table back as Arrow; no connection outlives the call.

        Raises:
            DestinationError: There is no such table.
        """
        with self._connection() as connection:
            tx = DuckDBTransaction(connection)
            if tx.schema(table) is None:
                raise DestinationError(f"There is no table {table} in {self.path}.", hint="Materialize it first.")
            return tx.read(table, columns)

    # The stored state

    def states(self) -> list[StreamState]:
        """Give every state row."""
        if not self._exists():
            return []
        with self.transaction() as tx:
            ledger = self.ledger(tx)
            return ledger.states() if ledger.exists() else []

    def set_bookmark(self, state: StreamState, bookmark: Bookmark | None) -> None:
        """Store another bookmark for a stream."""
        with self.transaction() as tx:
            self.ledger(tx).set_bookmark(state, bookmark, new_load_id())

    def delete_state(self, state: StreamState) -> None:
        """Forget a stream: its next sync replaces the table."""
        with self.transaction() as tx:
            self.ledger(tx).delete(state)

    def rename_source(self, old: str, new: str) -> int:
        """Give the states of a source to another name."""
        with self.transaction() as tx:
            return self.ledger(tx).rename_source(old, new)

    def rewind(self, state: StreamState, load_id: str) -> int:
        """Go back to what a stream was after a load."""
        with self.transaction() as tx:
            return self.ledger(tx).rewind(state, load_id, self.load_id_column)

    # Connections

    def ledger(self, transaction: Transaction) -> Ledger:
        """Give the ledger, which is in the schema `main`."""
        return Ledger(transaction, "main")

    @contextmanager
    def transaction(self) -> Iterator[DuckDBTransaction]:
        """Open the file exclusively for one transaction."""
        with _in_process[str(Path(self.path).absolute())], self._connection() as connection:
            connection.begin()
            try:
                yield DuckDBTransaction(connection)
            except BaseException:
                # Also a cancel. The connection may be broken beyond a rollback; closing it does the same.
                _roll_back(connection)
                raise
            self._commit(connection)

    def _commit(self, connection: "duckdb.DuckDBPyConnection") -> None:
        import duckdb

        try:
            connection.commit()
        except duckdb.Error as error:
            raise DestinationError(f"{self.path}: the COMMIT failed: {error}") from error

    @contextmanager
    def _connection(self) -> "Iterator[duckdb.DuckDBPyConnection]":
        if self.path == MEMORY:
            if self._memory is None:
                self._memory = self._connect()
            yield self._memory
            return
        with closing(self._connect()) as connection:
            yield connection

    def _connect(self) -> "duckdb.DuckDBPyConnection":
        """Connect; while another process holds the file, try again with growing, jittered pauses.

        Raises:
            BusyError: It held it longer than `lock_timeout`; names it.
            UnavailableError: The file cannot be opened.
        """
        import duckdb

        path = self.path
        if path != MEMORY:
            self._folder()
        deadline = time.monotonic() + self.options.lock_timeout
        pause = 0.02
        while True:
            try:
                connection = duckdb.connect(path, config=self.options.settings)
            except duckdb.Error as error:
                if not _is_locked(error) and not _is_being_made(error, path):
                    raise UnavailableError(f"The DuckDB file {path!r} cannot be opened: {error}") from error
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
                return connection

    def _folder(self) -> Path:
        folder = Path(self.path).absolute().parent
        if not folder.is_dir():
            raise ConfigError(f"The folder of the DuckDB file {self.path!r} does not exist.", hint="Make it first.")
        return folder

    def _exists(self) -> bool:
        return self._memory is not None if self.path == MEMORY else Path(self.path).exists()

    def _staging_root(self) -> Path:
        if self.options.staging_dir:
            return Path(self.options.staging_dir)
        return Path(".etl_assets/staging") if self.path == MEMORY else Path(f"{self.path}.staging")


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
