"""The standard error of a connector: read as fast as it comes, logged, and its end kept.

Text is masked before it is cut into lines or shortened, because a piece of a secret would no longer
be recognized.
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
"""A longer line is cut."""
READ_BYTES = 256 * 1024
LINES_AT_ONCE = 100
PER_SECONDS = 10.0
JOIN_SECONDS = 5.0
HELD_SECRETS = 4
"""At most this many times the lines of the longest secret are held."""


class LogThrottle:
    """Logs at most `LINES_AT_ONCE` lines in `PER_SECONDS`, and then says how many it left out."""

    def __init__(self, logger: logging.Logger | None) -> None:
        self._logger = logger
        self._began = 0.0
        self._count = 0

    def log(self, level: int, text: str, *, begin: int = 0, limit: int | None = None) -> None:
        """Log a text, masked and then cut, unless there were too many; more errors are allowed.

        Args:
            level: A level of Python's `logging`.
            text: A line, or several lines that a secret may span.
            begin: The first character that is shown.
            limit: The first character that is no longer shown.
        """
        if self._logger is None or not self._logger.isEnabledFor(level):
            return
        now = time.monotonic()
        if now - self._began > PER_SECONDS:
            self.flush()
            self._began, self._count = now, 0
        self._count += 1
        most = LINES_AT_ONCE
        if level >= logging.ERROR:
            most *= 10
        if self._count <= most:
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
        logger: The logger of its lines.
        heard: Called whenever something was read.
    """

    def __init__(
        self, descriptor: int, logger: logging.Logger | None, *, heard: Callable[[], None]
    ) -> None:
        self._descriptor = os.dup(descriptor)
        self._throttle = LogThrottle(logger)
        self._heard = heard
        self._kept: deque[str] = deque()
        self._held: list[str] = []
        """The last lines, not logged yet: a secret that begins in them may go on in the next."""
        self._told = 0
        """How many of these were logged all the same. They are kept to recognize secrets."""
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
                # A line may be cut within a secret. To recognize that, as many more bytes are
                # looked at as a secret can have.
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
        most = redactor().most_lines
        # More lines are kept than are shown: a secret may begin before the first shown one.
        while len(self._kept) > KEPT_LINES + most:
            self._kept.popleft()
        self._held.append(text)
        if not redactor().goes_on("\n".join(self._held[-most:])):
            self._release()
        elif len(self._held) > HELD_SECRETS * most:
            # Line after line looks like the beginning of a secret.
            self._release(but=most)

    def _release(self, *, but: int = 0) -> None:
        """Log the lines that were held, except the last `but` of them."""
        text = "\n".join(self._held).rstrip()
        begin = sum(len(line) + 1 for line in self._held[: self._told])
        end = len(text) - sum(len(line) + 1 for line in self._held[len(self._held) - but :])
        if end > begin:
            self._throttle.log(logging.INFO, text, begin=begin, limit=end)
        if but:
            # A secret may have begun in what was logged, and go on in what was not.
            self._held = self._held[len(self._held) - 2 * but :]
        else:
            self._held = []
        self._told = len(self._held) - but
