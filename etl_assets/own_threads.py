"""Threads of this library's own, which open no database.

Where a process has no other threads, nobody in it can want a file that is open for a moment.
"""

import threading


class OwnThread(threading.Thread):
    """A thread that runs code of this library alone, which opens no database."""


def is_only_thread() -> bool:
    """Return whether this is the only thread that could open a database in this process."""
    others = [one for one in threading.enumerate() if not isinstance(one, OwnThread)]
    return others == [threading.current_thread()]
