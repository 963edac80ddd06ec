"""How much memory DuckDB may hold while rows are inserted.

Of itself it keeps in memory all that it has written to its file, up to most of the machine's. With
a limit well above what the rows need it only lets go of that. Rows that are wide are inserted
without one: DuckDB would write what it still needs to temporary files, which takes it twice the
CPU, or fail.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROW_GROUP_ROWS = 122_880
"""DuckDB's own: batches as large as its row groups take a sixth less CPU to insert than batches of 50,000 rows."""
ROW_GROUPS = 2
"""So many of them each thread may hold: one that it fills, one that it writes."""
THREAD_BYTES = 64 * 1024 * 1024
MANY_BATCHES = 4
"""So many are inserted before there is a limit: setting it takes some milliseconds."""
MOST_BYTES = 512 * 1024 * 1024


class InsertMemory:
    """The limit while one statement inserts rows: set when there are many, lifted for good where they are wide.

    It is left alone where others in this process use the database too: it is theirs as well.

    Args:
        connection: To the same database, but not the one that inserts, which is busy.
    """

    def __init__(self, connection: "duckdb.DuckDBPyConnection") -> None:
        self._connection = connection
        self._batches = 0
        self._widest = 0
        self._threads = 1
        self._limit: int | None = None

    def admit(self, batch: "pa.RecordBatch") -> None:
        """Count a batch before DuckDB gets it."""
        self._batches += 1
        self._widest = max(
            self._widest, batch.nbytes * max(ROW_GROUP_ROWS // max(batch.num_rows, 1), 1)
        )
        if self._batches == MANY_BATCHES:
            self._set()
        if self._limit is not None and self._needed() > self._limit:
            self.lift()

    def _set(self) -> None:
        import duckdb

        (alone,) = self._connection.execute(
            "SELECT count = 2 FROM duckdb_connection_count()"
        ).fetchall()
        self._threads = int(
            self._connection.execute("SELECT current_setting('threads')").fetchall()[0][0]
        )
        limit = min(self._threads * THREAD_BYTES, MOST_BYTES)
        if alone != (True,) or self._needed() > limit:
            return
        with suppress(duckdb.Error):  # more is in use at the moment
            self._connection.execute(f"SET memory_limit = '{limit}B'")
            self._limit = limit

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
