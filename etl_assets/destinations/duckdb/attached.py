"""A small file that is opened by an instance of DuckDB which this process keeps.

To make an instance takes longer than a small load: 11 ms of CPU, of which opening the file is the
smallest part. So an instance is kept, with no file, and a file is attached to it for one
transaction and detached behind it. Other processes see no difference: the file is open, and locked,
for as long as it is when it is opened by itself.

Within this process there is one: while the file is attached, nobody else here can open it. So it is
attached only where no other thread could want to, and only while none of the user's code runs.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from etl_assets.naming import quote
from etl_assets.own_threads import is_only_thread

if TYPE_CHECKING:
    import duckdb

MOST_BYTES = 64 * 2**20
"""A larger file is opened by itself: what is done in it may be worth several threads."""

_OWN_NAMES = {"main", "memory", "system", "temp"}
_OPEN_HERE = "Unique file handle conflict"
"""What DuckDB says where another instance of this process has the file."""


class _Instance:
    """An instance without a file, which works in the thread that calls it."""

    def __init__(self, path: str) -> None:
        import duckdb

        self.pid = os.getpid()
        self.path = path
        # It is set once: what does not fit in memory goes where it goes for the file by itself.
        self.connection = duckdb.connect(
            config={"threads": 1, "temp_directory": f"{path}.tmp"},
        )


_kept: list[_Instance] = []
"""The instance, if there is one. It is for the last file only: a process that loads into several in
turns makes one for each turn."""
_of_parent: list[_Instance] = []
"""Instances of a process that has forked by other means than Python's: they are left alone."""


def can_attach(path: str) -> bool:
    """Return whether a file is small, and nobody else in this process could open it meanwhile."""
    name = name_of(path)
    if not name or name.casefold() in _OWN_NAMES:
        return False
    if any(name in sys.modules for name in ("duckdb_engine", "ipykernel")):
        return False  # engines and notebooks keep connections, and have threads
    if not is_only_thread():
        return False
    try:
        return 0 < Path(path).stat().st_size <= MOST_BYTES
    except OSError:
        return False


def attach(path: str) -> "duckdb.DuckDBPyConnection | None":
    """Open a file in the kept instance, as its current database.

    Returns:
        The connection, or None where another instance of this process has the file.

    Raises:
        duckdb.Error: It cannot be opened.
    """
    import duckdb

    connection, is_attached = _connection(path), False
    file = path.replace("'", "''")
    try:
        connection.execute(f"ATTACH '{file}' AS {_quoted(path)}")
        connection.execute(f"USE {_quoted(path)}")
        is_attached = True
    except duckdb.Error as error:
        if _OPEN_HERE not in str(error):
            raise
    finally:
        if not is_attached:
            discard()
    return connection if is_attached else None


@contextmanager
def detaching(connection: "duckdb.DuckDBPyConnection", path: str) -> Iterator[None]:
    """Close the file at the end. After an exception the instance goes with it.

    What was committed is in the write-ahead log. Where it cannot be moved into the file now, as on
    a full disk, whoever opens the file next does it, as when a connection is closed.
    """
    import duckdb

    is_detached = False
    try:
        yield
        with suppress(duckdb.Error):
            connection.execute("USE memory")
            connection.execute(f"DETACH {_quoted(path)}")
            is_detached = True
    finally:
        if not is_detached:
            discard()


def discard() -> None:
    """Close the instance, and the file that is attached to it, if there is one."""
    if not _kept:
        return
    import duckdb

    while _kept:
        with suppress(duckdb.Error):
            _kept.pop().connection.close()


if hasattr(os, "register_at_fork"):
    # A child could neither use the instance nor close it.
    os.register_at_fork(before=discard)


def _connection(path: str) -> "duckdb.DuckDBPyConnection":
    if _kept and _kept[0].pid != os.getpid():
        _of_parent.append(_kept.pop())
    if _kept and _kept[0].path != path:
        discard()
    if not _kept:
        from etl_assets.destinations.duckdb.transaction import sql_names_only

        made = _Instance(path)
        made.connection.execute("SET TimeZone = 'UTC'")
        made.connection.execute("SET enable_progress_bar = false")
        sql_names_only(made.connection)
        _kept.append(made)
    return _kept[0].connection


def name_of(path: str) -> str:
    """Return what DuckDB calls the database of a file."""
    return Path(path).name.partition(".")[0]


def _quoted(path: str) -> str:
    return quote(name_of(path))
