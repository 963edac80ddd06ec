"""What a candidate costs beyond its own process: the CPU of the server that serves it, the memory of all it starts."""

import os
import threading
from contextlib import suppress
from pathlib import Path

from benchmarks import servers

EVERY = 0.02
"""Seconds between two looks; what a backend does after the last one is not seen."""
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Watch(threading.Thread):
    """Looks at a process and its descendants, and at the servers, until told to stop.

    Args:
        pid: The candidate's process.
        of: The servers whose CPU counts.
        memory: Whether memory is looked at too.

    Attributes:
        peak: The most bytes that the processes held together (resident, pages that they share
            counted for each).
    """

    def __init__(self, pid: int, of: tuple[str, ...], *, memory: bool) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pid, self._memory = pid, memory
        self._told = threading.Event()
        self._postmaster = servers.process(servers.POSTGRES) if servers.POSTGRES in of else None
        self._mariadb = servers.process(servers.MARIADB) if servers.MARIADB in of else None
        self._mariadb_before = cpu(self._mariadb) if self._mariadb else 0.0
        self._title = f" {os.environ.get(servers.DATABASE, '')} ".encode()
        self._seen: dict[int, float] = {}

    def run(self) -> None:
        while not self._told.wait(EVERY):
            self.look()

    def look(self) -> None:
        """Look once."""
        if self._postmaster is not None:
            self._look_at_backends(self._postmaster)
        if self._memory:
            self.peak = max(self.peak, sum(resident(pid) for pid in tree(self._pid)))

    def stopped(self) -> float:
        """Stop; gives the CPU seconds of the servers."""
        self._told.set()
        self.join()
        mariadb = cpu(self._mariadb) - self._mariadb_before if self._mariadb else 0.0
        return sum(self._seen.values()) + mariadb

    def _look_at_backends(self, postmaster: int) -> None:
        """Note what each backend of our database has taken so far; other databases are other people's."""
        for pid in children(postmaster):
            with suppress(OSError):
                if pid not in self._seen:
                    title = Path(f"/proc/{pid}/cmdline").read_bytes()
                    if self._title not in title or b"autovacuum" in title:
                        continue
                self._seen[pid] = cpu(pid)


def cpu(pid: int) -> float:
    """Return the CPU seconds of a process so far, ended threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(field) for field in fields[11:13]) / TICKS


def resident(pid: int) -> int:
    """Return the bytes that a process holds; 0 if it has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return 0


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that have not ended."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(one) for one in path.read_text().split()]
    return found


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    return [pid, *(one for child in children(pid) for one in tree(child))]
