"""What a connector writes to standard error: read as fast as it comes, logged now and then, its end kept."""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from etl_assets.secrets.redaction import redact

KEPT_LINES = 40
KEPT_CHARACTERS = 8_000
LINE_BYTES = 4_000
"""What is beyond it of a line, is left out."""
READ_BYTES = 256 * 1024
LINES_AT_ONCE = 100
PER_SECONDS = 10.0
JOIN_SECONDS = 5.0


class LogThrottle:
    """Logs at most so many lines in so many seconds, and then says how many it left out."""

    def __init__(self, logger: logging.Logger | None) -> None:
        self._logger = logger
        self._began = 0.0
        self._count = 0

    def log(self, level: int, text: str) -> None:
        """Log a line, redacted, unless there were too many; errors always go through."""
        if self._logger is None or not self._logger.isEnabledFor(level):
            return
        now = time.monotonic()
        if now - self._began > PER_SECONDS:
            self.flush()
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= LINES_AT_ONCE or (level >= logging.ERROR and self._count <= 10 * LINES_AT_ONCE):
            self._logger.log(level, "%s", redact(text))

    def flush(self) -> None:
        """Say how many lines were left out."""
        if self._logger is not None and self._count > LINES_AT_ONCE:
            self._logger.info("%d more lines were left out", self._count - LINES_AT_ONCE)
            self._count = 0


class LogDrain:
    """Reads a pipe in a thread of its own until it ends.

    Args:
        descriptor: The pipe.
        logger: Gets its lines.
        heard: Called whenever something came.
    """

    def __init__(self, descriptor: int, logger: logging.Logger | None, *, heard: Callable[[], None]) -> None:
        self._descriptor = os.dup(descriptor)
        self._throttle = LogThrottle(logger)
        self._heard = heard
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._line = b""
        self._thread = threading.Thread(target=self._run, name="connector log", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Wait until the pipe has ended, which it does with the last process."""
        self._thread.join(JOIN_SECONDS)

    def tail(self) -> str:
        """Give the last lines, redacted."""
        return redact("\n".join(list(self._kept)))[-KEPT_CHARACTERS:]

    def _run(self) -> None:
        try:
            while block := os.read(self._descriptor, READ_BYTES):
                self._heard()
                *lines, rest = (self._line + block).split(b"\n")
                self._line = rest[:LINE_BYTES]
                for line in lines:
                    self._take(line)
            if self._line:
                self._take(self._line)
        finally:
            os.close(self._descriptor)
            self._throttle.flush()

    def _take(self, line: bytes) -> None:
        text = line[:LINE_BYTES].decode("utf-8", "replace").rstrip()
        if len(line) >= LINE_BYTES:  # a secret may have been cut in two: none is longer than that, so leave its end out
            text = redact(text)[: LINE_BYTES // 2]
        if text:
            self._kept.append(text)
            self._throttle.log(logging.INFO, text)
