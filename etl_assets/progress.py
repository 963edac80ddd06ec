"""Progress on a terminal: one line that is rewritten, or a plain line now and then elsewhere."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TextIO

from etl_assets.exceptions import ConfigError

VARIABLE = "ETL_ASSETS_PROGRESS"
BAR_SECONDS = 0.2
PLAIN_SECONDS = 10.0
LINE_WIDTH = 110

_SPINNER = "|/-\\"
_THOUSAND = 1000
_MINUTE = 60


class ProgressStyle(StrEnum):
    """How progress is shown: `AUTO` is a bar on a terminal, plain lines elsewhere."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


def chosen_style(default: ProgressStyle = ProgressStyle.AUTO) -> ProgressStyle:
    """Give the style that the environment variable `ETL_ASSETS_PROGRESS` names, or the default.

    Raises:
        ConfigError: It names none.
    """
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return default
    try:
        return ProgressStyle(wanted.strip().lower())
    except ValueError:
        raise ConfigError(
            f"{VARIABLE} is {wanted!r}.", hint=f"Use one of {', '.join(sorted(ProgressStyle))}."
        ) from None


class ProgressBar:
    """Shows how a sync goes on.

    Args:
        style: How; `AUTO` looks whether the stream is a terminal.
        stream: Where to; standard error by default.
        clock: Gives seconds that never go back.
    """

    def __init__(
        self,
        style: ProgressStyle | str = ProgressStyle.AUTO,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        wanted = ProgressStyle(style)
        self._stream = stream if stream is not None else _terminal() if wanted is ProgressStyle.BAR else sys.stderr
        if wanted is ProgressStyle.AUTO:
            wanted = ProgressStyle.BAR if self._stream.isatty() else ProgressStyle.PLAIN
        self.style = wanted
        self._clock = clock
        self._shown_at: float | None = None
        self._turn = 0
        self._open_line = False
        self._lock = threading.Lock()  # a heartbeat may write from a thread of its own

    def show(
        self, name: str, rows: int, bytes_: int, seconds: float, detail: str = "", *, expected: int | None = None
    ) -> None:
        """Show how far it is, unless the last time was a moment ago.

        Args:
            name: What goes on, such as the stream's name.
            rows: So far.
            bytes_: So far.
            seconds: Since the beginning.
            detail: Anything more, such as the bookmark.
            expected: About how many rows there will be.
        """
        pause = BAR_SECONDS if self.style is ProgressStyle.BAR else PLAIN_SECONDS
        now = self._clock()
        if self.style is ProgressStyle.NONE or (self._shown_at is not None and now - self._shown_at < pause):
            return
        self._shown_at = now
        text = describe(name, rows, bytes_, seconds, detail, expected=expected)
        if self.style is ProgressStyle.BAR:
            self._turn += 1
            text = f"{_SPINNER[self._turn % len(_SPINNER)]} {text}"
        self._write(text)

    def end(self, text: str = "") -> None:
        """Leave the last line standing, with a text in its place where one is given."""
        if self.style is ProgressStyle.NONE:
            return
        if text:
            self._write(text)
        with self._lock:
            if self._open_line:
                self._stream.write("\n")
                self._stream.flush()
                self._open_line = False

    def _write(self, text: str) -> None:
        with self._lock:
            if self.style is ProgressStyle.BAR:
                self._stream.write(f"\r{text[:LINE_WIDTH]:<{LINE_WIDTH}}")
                self._open_line = True
            else:
                self._stream.write(f"{text}\n")
            self._stream.flush()


def _terminal() -> TextIO:
    """Give where a bar that was asked for is seen: Dagster captures a step's standard error, not the terminal."""
    if not sys.stderr.isatty():
        with contextlib.suppress(OSError):
            return Path("/dev/tty").open("w", encoding="utf-8")
    return sys.stderr


def describe(
    name: str, rows: int, bytes_: int, seconds: float, detail: str = "", *, expected: int | None = None
) -> str:
    """Give one line such as `flights: 336,776 of about 400,000 rows, 41.2 MB in 12 s (28,064 rows/s)`."""
    of = f" of about {max(expected, rows):,}" if expected else ""
    size = f", {_size(bytes_)}" if bytes_ else ""
    rate = f" ({rows / seconds:,.0f} rows/s)" if seconds > 0 and rows else ""
    return f"{name}: {rows:,}{of} rows{size} in {_duration(seconds)}{rate}{f', {detail}' if detail else ''}"


def _size(bytes_: int) -> str:
    size = float(bytes_)
    for unit in ("B", "kB", "MB"):
        if size < _THOUSAND:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _THOUSAND
    return f"{size:.1f} GB"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s"
