"""What a connector writes to standard error: read as fast as it comes, logged now and then, its end kept.

It is masked before it is cut, by lines, by characters, or into log lines: a piece of a secret would
no longer be told.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable

from etl_assets.redaction import redact, redactor

KEPT_LINES = 40
KEPT_CHARACTERS = 8_000
LINE_BYTES = 4_000
"""What is beyond it of a line, is left out."""
READ_BYTES = 256 * 1024
LINES_AT_ONCE = 100
PER_SECONDS = 10.0
JOIN_SECONDS = 5.0
HELD_SECRETS = 4
"""So many times the lines of the longest secret are held, at most."""


class LogThrottle:
    """Logs at most so many lines in so many seconds, and then says how many it left out."""

    def __init__(self, logger: logging.Logger | None) -> None:
        self._logger = logger
        self._began = 0.0
        self._count = 0

    def log(self, level: int, text: str, *, begin: int = 0, limit: int | None = None) -> None:
        """Log a text, masked and then cut, unless there were too many; errors always go through.

        Args:
            level: Of Python's `logging`.
            text: A line, or lines that one secret may go over.
            begin: What is before this character is not shown.
            limit: Nor is what is from this one on.
        """
        if self._logger is None or not self._logger.isEnabledFor(level):
            return
        now = time.monotonic()
        if now - self._began > PER_SECONDS:
            self.flush()
            self._began, self._count = now, 0
        self._count += 1
        if self._count <= LINES_AT_ONCE or (
            level >= logging.ERROR and self._count <= 10 * LINES_AT_ONCE
        ):
            self._logger.log(level, "%s", redact(text, begin=begin, end=limit))

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

    def __init__(
        self, descriptor: int, logger: logging.Logger | None, *, heard: Callable[[], None]
    ) -> None:
        self._descriptor = os.dup(descriptor)
        self._throttle = LogThrottle(logger)
        self._heard = heard
        self._kept: deque[str] = deque()
        self._held: list[str] = []
        """The last lines, not logged yet: a secret may begin in them and go on in the next."""
        self._told = 0
        """How many of them were logged all the same, and are only looked at."""
        self._line = b""
        self._thread = threading.Thread(target=self._run, name="connector log", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Wait until the pipe has ended, which it does with the last process."""
        self._thread.join(JOIN_SECONDS)

    def tail(self) -> str:
        """Return the last lines, masked."""
        lines = list(self._kept)
        text = "\n".join(lines)
        left_out = sum(len(line) + 1 for line in lines[:-KEPT_LINES])
        return redact(text, begin=max(left_out, len(text) - KEPT_CHARACTERS))

    def _run(self) -> None:
        try:
            while block := os.read(self._descriptor, READ_BYTES):
                self._heard()
                *lines, rest = (self._line + block).split(b"\n")
                # What is shown of a line may end within a secret: so much more is looked at as one
                # can have bytes.
                looked_at = LINE_BYTES + 4 * redactor().longest
                self._line = rest[:looked_at]
                for line in lines:
                    self._take(line[:looked_at])
            if self._line:
                self._take(self._line)
        finally:
            os.close(self._descriptor)
            self._release()
            self._throttle.flush()

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if len(text) > LINE_BYTES:
            text = redact(text, end=LINE_BYTES)
        if not text and not self._held:
            return
        self._kept.append(text)
        while (
            len(self._kept) > KEPT_LINES + redactor().most_lines
        ):  # those beyond the shown ones are only looked at
            self._kept.popleft()
        self._held.append(text)
        most = redactor().most_lines
        if not redactor().goes_on("\n".join(self._held[-most:])):
            self._release()
        elif (
            len(self._held) > HELD_SECRETS * most
        ):  # lines that look like the beginning of one, again and again
            self._release(but=most)

    def _release(self, *, but: int = 0) -> None:
        """Log the lines that were held, but for so many of the last ones."""
        text = "\n".join(self._held).rstrip()
        begin = sum(len(line) + 1 for line in self._held[: self._told])
        end = len(text) - sum(len(line) + 1 for line in self._held[len(self._held) - but :])
        if end > begin:
            self._throttle.log(logging.INFO, text, begin=begin, limit=end)
        # A secret may have begun in what was logged, and go on in what was not.
        self._held = self._held[len(self._held) - 2 * but :] if but else []
        self._told = len(self._held) - but
