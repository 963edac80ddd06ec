"""A transaction over a driver of Python's DB-API, and how it is opened, committed and given up."""

import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from etl_assets.destinations.database.errors import kind_of, translate
from etl_assets.destinations.database.row_merge import Row
from etl_assets.destinations.database.sql_rows import SqlRows
from etl_assets.destinations.database.sql_transaction import with_marks
from etl_assets.exceptions import DestinationError
from etl_assets.model.stored import TableName

if TYPE_CHECKING:
    import pyarrow as pa

_TABLES_CHANGED = frozenset({"CREATE", "ALTER", "DROP"})
_ROWS_CHANGED = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
FIRST_PAUSE, LAST_PAUSE, LONGER = 0.02, 0.5, 1.6
"""Seconds before a database that is held is asked for again; each pause is longer by a factor."""
AWAY_SECONDS = 1.0
"""How long a server that is away is asked for again."""


class DbApiTransaction(SqlRows):
    """One open transaction of a DB-API connection.

    A subclass gives `names` and `type_names`, and what differs.

    Args:
        connection: In a transaction, or one that begins it with the first statement.
        own_columns: The destination's `load_columns`.
    """

    mark: ClassVar[str] = "?"
    """What stands for a parameter in the driver's statements: `?`, or `%s`."""

    def __init__(self, connection: Any, own_columns: Sequence[str] = ()) -> None:
        self.connection = connection
        self.own_columns = own_columns
        self._has_changed_rows = False

    @override
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        word = sql.split(None, 1)[0].upper()
        if self.alters_at_once and word in _TABLES_CHANGED and self._has_changed_rows:
            raise DestinationError(
                "A change of tables would commit the rows that were changed before it."
            )
        self._has_changed_rows = self._has_changed_rows or word in _ROWS_CHANGED
        cursor = self.cursor()
        try:
            cursor.execute(self.spelled(sql), tuple(parameters))
            found = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            cursor.close()
        if self.alters_at_once and word in _TABLES_CHANGED:
            # an engine that has done so already has nothing left to commit
            self.connection.commit()
        return found

    @override
    def execute_many(self, sql: str, rows: Iterable[Row]) -> None:
        self._has_changed_rows = True
        cursor = self.cursor()
        try:
            cursor.executemany(self.spelled(sql), rows)
        finally:
            cursor.close()

    @override
    def fetch(self, sql: str, rows_at_once: int) -> Iterator[Sequence[Row]]:
        cursor = self.cursor()
        try:
            cursor.execute(self.spelled(sql), ())
            while rows := cursor.fetchmany(rows_at_once):
                yield rows
        finally:
            cursor.close()

    @override
    def fill_column(
        self, table: TableName, beside: str, name: str, old: "pa.DataType", new: "pa.DataType"
    ) -> None:
        super().fill_column(table, beside, name, old, new)
        if self.alters_at_once:
            # No row was changed but in a column that nobody knows yet; the next statement changes
            # the table.
            self.connection.commit()
            self._has_changed_rows = False

    def cursor(self) -> Any:
        """Return a cursor of the driver's."""
        return self.connection.cursor()

    def spelled(self, sql: str) -> str:
        """Return a statement as the driver takes it.

        `"` quotes names in it, and `?` stands for parameters.
        """
        return sql if self.mark == "?" else with_marks(sql, self.mark)


@contextmanager
def committing(
    connect: Callable[[], Any],
    errors: type[Exception],
    told: str,
    *,
    is_busy: Callable[[Exception], bool] | None = None,
    seconds: float = 60.0,
) -> Iterator[Any]:
    """Connect, and commit at the end.

    On any exception, a cancel too, roll back. Errors become this library's.

    Args:
        connect: Opens a connection that begins a transaction by itself.
        errors: The driver's own.
        told: What the destination is called in errors.
        is_busy: Tells whether an error means that somebody else holds the database: it is asked for
            again.
        seconds: For how long.
    """
    connection = _connected(connect, errors, told, is_busy, seconds)
    phase = "loading"
    try:
        yield connection
        phase = "COMMIT"
        connection.commit()
        phase = "done"
    except errors as error:
        raise _translated(error, told, phase, is_busy) from error
    finally:
        if phase != "done":
            # There may be nothing to roll back: a connection that is lost, or one that never began
            # a transaction.
            with suppress(Exception):
                connection.rollback()
        with suppress(errors):
            connection.close()


def _connected(
    connect: Callable[[], Any],
    errors: type[Exception],
    told: str,
    is_busy: Callable[[Exception], bool] | None,
    seconds: float,
) -> Any:
    began, pause = time.monotonic(), FIRST_PAUSE
    while True:
        try:
            return connect()
        except errors as error:
            patience = _patience(error, is_busy, seconds)
            if time.monotonic() - began >= patience:
                raise _translated(error, told, "connecting", is_busy) from error
        time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
        pause = min(pause * LONGER, LAST_PAUSE)


def _patience(
    error: Exception, is_busy: Callable[[Exception], bool] | None, seconds: float
) -> float:
    if is_busy is not None and is_busy(error):
        return seconds
    return AWAY_SECONDS if kind_of(error) == "away" else 0.0


def _translated(
    error: Exception, told: str, phase: str, is_busy: Callable[[Exception], bool] | None
) -> Exception:
    kind = "busy" if is_busy is not None and is_busy(error) else None
    return translate(error, told, phase, kind=kind)
