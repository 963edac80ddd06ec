"""How much memory DuckDB may hold while rows are inserted.

By itself, DuckDB keeps everything that it has written to its file in memory, up to most of the
machine's. Under a limit well above what the rows need, it lets go of that and of nothing else. Wide
rows are inserted without a limit: DuckDB would write what it still needs to temporary files, which
takes twice the CPU, or would fail.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROW_GROUP_ROWS = 122_880
"""The rows of DuckDB's own row groups.

Batches of this size take a sixth less CPU to insert than batches of 50,000 rows.
"""
ROW_GROUPS = 2
"""How many row groups a thread may hold: one that it fills, and one that it writes."""
THREAD_BYTES = 64 * 1024 * 1024
"""The limit for each of DuckDB's threads."""
MANY_BATCHES = 4
"""How many batches are inserted before the limit is set, which takes some milliseconds."""
MOST_BYTES = 512 * 1024 * 1024
"""The limit for all threads together."""


class InsertMemory:
    """The memory limit while one statement inserts rows.

    It is set once there are many rows, and lifted for good if they are wide. Where somebody else in
    this process uses the database too, it is left alone: a limit would be theirs as well.

    Args:
        connection: A connection to the same database, but not the one that inserts: it is busy.
    """

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection
        self._batches = 0
        self._widest = 0
        """The bytes of a row group, going by the widest batch."""
        self._threads = 1
        self._limit: int | None = None

    def admit(self, batch: "pa.RecordBatch") -> None:
        """Count a batch before DuckDB gets it."""
        self._batches += 1
        batches_in_group = max(ROW_GROUP_ROWS // max(batch.num_rows, 1), 1)
        self._widest = max(self._widest, batch.nbytes * batches_in_group)
        if self._batches == MANY_BATCHES:
            self._set()
        if self._limit is not None and self._needed() > self._limit:
            self.lift()

    def _set(self) -> None:
        import duckdb

        # This connection and the one that inserts are two.
        others = "SELECT count - 2 FROM duckdb_connection_count()"
        is_shared = self._number(others) != 0
        self._threads = self._number("SELECT current_setting('threads')")
        limit = min(self._threads * THREAD_BYTES, MOST_BYTES)
        if is_shared or self._needed() > limit:
            return
        with suppress(duckdb.Error):  # DuckDB refuses it if more is in use at the moment.
            self._connection.execute(f"SET memory_limit = '{limit}B'")
            self._limit = limit

    def _number(self, sql: str) -> int:
        return int(self._connection.execute(sql).fetchall()[0][0])

    def _needed(self) -> int:
        return self._threads * ROW_GROUPS * self._widest

    def lift(self) -> None:
        """Give DuckDB its own limit back."""
        if self._limit is not None:
            self._connection.execute("RESET memory_limit")
            self._limit = None


@contextmanager
def insert_memory(connection: "duckdb.DuckDBPyConnection") -> Iterator[InsertMemory]:
    """Limit the memory of a database in a file while a connection inserts rows."""
    with closing(connection.cursor()) as other:
        limit = InsertMemory(other)
        try:
            yield limit
        finally:
            limit.lift()
