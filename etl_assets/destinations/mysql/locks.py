"""Named locks of MySQL and MariaDB: a session has them until it ends, however it ends."""

from collections.abc import Callable, Sequence
from typing import Any

from etl_assets.destinations.database.sql_transaction import hashed
from etl_assets.exceptions import BusyError


class Locks:
    """The locks of one session. A session may take one several times.

    Args:
        execute: Runs a statement in the session.
        seconds: How long to wait for a lock.
    """

    def __init__(
        self, execute: Callable[[str, Sequence[Any]], list[tuple[Any, ...]]], seconds: float
    ) -> None:
        self._execute = execute
        self._seconds = seconds
        self._taken: list[str] = []

    def take(self, name: str) -> None:
        """Take a lock until `give_all_back`, or the session's end.

        Raises:
            BusyError: Another session has had it for too long.
        """
        if not self._get(name, self._seconds):
            raise BusyError(
                "Another session has been loading the same stream or table for more than "
                f"{self._seconds:g} s.",
                hint="Wait for it, end it, or give the destination a longer lock_timeout.",
            )
        self._taken.append(name)

    def try_take(self, name: str) -> bool:
        """Take a lock unless another session has it, and return whether it was taken."""
        return self._get(name, 0)

    def give_back(self, name: str) -> None:
        """Give back what `try_take` took."""
        self._execute("SELECT RELEASE_LOCK(?)", (_full(name),))

    def give_all_back(self) -> None:
        """Give back what `take` took, because the server is late to notice the end of a session."""
        if self._taken:
            calls = ", ".join("RELEASE_LOCK(?)" for _ in self._taken)
            self._execute(f"SELECT {calls}", [_full(name) for name in self._taken])
            self._taken.clear()

    def _get(self, name: str, seconds: float) -> bool:
        return bool(self._execute("SELECT GET_LOCK(?, ?)", (_full(name), seconds))[0][0] == 1)


def _full(name: str) -> str:
    return f"etl_assets:{hashed(name)}"
