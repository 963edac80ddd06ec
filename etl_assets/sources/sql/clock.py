"""How long a statement may take, for databases that run in this process and have no setting for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer


class Clock:
    """The end of the running statement's time.

    Args:
        seconds: How long it may take; None for as long as it does.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.end = float("inf")
        self._lock = Lock()
        self._runs = 0
        """The number of the run that is under way; of one that is over, no timer interrupts the next."""

    def restart(self) -> None:
        """Count from now, for a database that asks `is_over` itself (SQLite)."""
        if self.seconds is not None:
            self.end = time.monotonic() + self.seconds

    def is_over(self) -> bool:
        """Return whether the time has passed."""
        return time.monotonic() > self.end

    @contextmanager
    def running(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Interrupt what is run here, from another thread, once its time has passed (DuckDB)."""
        if self.seconds is None:
            yield
            return
        timer = Timer(self.seconds, self._interrupt, (self._runs, interrupt))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._runs += 1

    def _interrupt(self, run: int, interrupt: Callable[[], None]) -> None:
        with self._lock:
            if run == self._runs:
                interrupt()
