"""How long a statement may take, in databases that have no setting for it.

These are the ones that run in this process.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

AGAIN_SECONDS = 0.05


class Clock:
    """The end of the running statement's time.

    Args:
        seconds: How long it may take; None for as long as it does.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.end = float("inf")
        self._lock = Lock()

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
        over = Event()
        watch = Thread(target=self._watch, args=(over, interrupt), daemon=True)
        watch.start()
        try:
            yield
        finally:
            with self._lock:  # whoever has it is about to interrupt this run, and no later one
                over.set()

    def _watch(self, over: Event, interrupt: Callable[[], None]) -> None:
        """Interrupt a run whose time has passed, again and again until it is over.

        One interruption is not enough: a run that has not quite begun does not notice it.
        """
        over.wait(self.seconds)
        while not over.is_set():
            with self._lock:
                if not over.is_set():
                    interrupt()
            over.wait(AGAIN_SECONDS)
