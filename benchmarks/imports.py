"""The CPU that the imports of a process take, so that a work can be told with them and without."""

import sys
import threading
import time
from typing import Any

MACHINERY: Any = sys.modules["_frozen_importlib"]
"""Its `_find_and_load` is what the interpreter calls for a module that is not imported yet."""


class ImportMeter:
    """Counts the CPU seconds of every import from when it is made, in any thread.

    A module that is imported already costs nothing and is not looked at. Extension modules import
    by the same function as Python's statement does.

    Attributes:
        seconds: The CPU seconds so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = threading.local()
        self._lock = threading.Lock()
        self._load = MACHINERY._find_and_load
        MACHINERY._find_and_load = self._timed

    def _timed(self, *arguments: Any) -> Any:
        if getattr(self._inside, "an_import", False):
            return self._load(*arguments)
        self._inside.an_import = True
        began = time.thread_time()
        try:
            return self._load(*arguments)
        finally:
            self._inside.an_import = False
            with self._lock:
                self.seconds += time.thread_time() - began
