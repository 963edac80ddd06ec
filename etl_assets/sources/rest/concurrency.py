"""Several reads at once, whose items come in the order of the reads."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 2
"""How many items of a read wait to be taken, before it waits itself."""

LONGEST_END = 5.0
"""How many seconds a read may take to end, before the connection is closed under it."""


def in_order(
    reads: Iterator[Callable[[], Iterator[T]]], workers: int, stop: Callable[[], None]
) -> Iterator[T]:
    """Yield the items of reads, one read after the other, while the next ones are read already.

    Args:
        reads: Each begins when it is called.
        workers: How many are read at once.
        stop: Wakes up reads that wait, as nobody takes what they give.
    """
    if workers <= 1:
        for begin in reads:
            yield from begin()
        return
    running: deque[_Running[T]] = deque()
    try:
        for begin in reads:
            running.append(_Running(begin))
            if len(running) >= workers:
                yield from running[0].items()
                running.popleft()
        while running:
            yield from running[0].items()
            running.popleft()
    finally:
        if running:
            stop()
        for one in running:
            one.stop()
        for one in running:
            one.join()


@dataclass(frozen=True)
class Told(Generic[T]):
    """What a thread tells: an item, an error, or that there is nothing more."""

    items: tuple[T, ...] = ()
    error: BaseException | None = None
    is_end: bool = False


class _Running(Generic[T]):
    """A read in a thread of its own.

    Args:
        begin: Begins it.
    """

    def __init__(self, begin: Callable[[], Iterator[T]]) -> None:
        self._items: queue.Queue[Told[T]] = queue.Queue(AHEAD)
        self._stopped = threading.Event()
        self._begin = begin
        self._thread = threading.Thread(target=self._run, daemon=True, name="rest-read")
        self._thread.start()

    def items(self) -> Iterator[T]:
        """Yield what it gives, and raise what it raises."""
        while True:
            told = self._items.get()
            if told.error is not None:
                raise told.error
            if told.is_end:
                return
            yield from told.items

    def stop(self) -> None:
        """End it; nobody takes what it gives."""
        self._stopped.set()
        with suppress(queue.Empty):
            while True:
                self._items.get_nowait()

    def join(self) -> None:
        """Wait until it has ended: it uses what is closed next."""
        self._thread.join(LONGEST_END)

    def _run(self) -> None:
        try:
            for item in self._begin():
                if not self._put(Told((item,))):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again by who takes the items
            self._put(Told(error=error))
        else:
            self._put(Told(is_end=True))

    def _put(self, told: Told[T]) -> bool:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._items.put(told, timeout=0.1)
                return True
        return False
