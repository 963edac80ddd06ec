"""How progress is shown: live on a terminal and in a notebook, and as plain lines elsewhere.

A run of Dagster has a `ProgressBar` beside its log. A read or write of a script has a
`ProgressTracker`.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TextIO

from etl_assets.exceptions import ConfigError
from etl_assets.model.load import SyncResult
from etl_assets.progress_text import StreamProgress, describe
from etl_assets.redaction import redact

VARIABLE = "ETL_ASSETS_PROGRESS"
BAR_SECONDS = 0.2
PLAIN_SECONDS = 10.0
LINE_WIDTH = 110

_SPINNER = "|/-\\"


class ProgressStyle(StrEnum):
    """How progress is shown.

    `AUTO` is a live table on a terminal (`RICH`) and in a notebook (`IPYTHON`), plain lines
    elsewhere. `BAR` is one
    line that is rewritten: what a run of Dagster's shows on a terminal.
    """

    AUTO = "auto"
    RICH = "rich"
    IPYTHON = "ipython"
    NOTEBOOK = "ipython"  # the same member
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"

    @classmethod
    def _missing_(cls, value: object) -> "ProgressStyle | None":
        return cls.IPYTHON if value == "notebook" else None


_LINES = {ProgressStyle.RICH: ProgressStyle.BAR, ProgressStyle.IPYTHON: ProgressStyle.PLAIN}
"""What a display for many streams is where there is one line only."""


def chosen_style(default: ProgressStyle = ProgressStyle.AUTO) -> ProgressStyle:
    """Return the style that the environment variable `ETL_ASSETS_PROGRESS` names, or the default.

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
        wanted = _LINES.get(ProgressStyle(style), ProgressStyle(style))
        if stream is None:
            stream = _terminal() if wanted is ProgressStyle.BAR else sys.stderr
        self._stream = stream
        if wanted is ProgressStyle.AUTO:
            wanted = ProgressStyle.BAR if self._stream.isatty() else ProgressStyle.PLAIN
        self.style = wanted
        self._clock = clock
        self._shown_at: float | None = None
        self._turn = 0
        self._open_line = False
        self._lock = threading.Lock()  # a heartbeat may write from a thread of its own

    def show(
        self,
        name: str,
        rows: int,
        bytes_: int,
        seconds: float,
        detail: str = "",
        *,
        expected: int | None = None,
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
        if self.style is ProgressStyle.NONE or (
            self._shown_at is not None and now - self._shown_at < pause
        ):
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
        text = redact(text)
        with self._lock:
            if self.style is ProgressStyle.BAR:
                self._stream.write(f"\r{text[:LINE_WIDTH]:<{LINE_WIDTH}}")
                self._open_line = True
            else:
                self._stream.write(f"{text}\n")
            self._stream.flush()


def _terminal() -> TextIO:
    """Return the terminal, for a bar that was asked for: Dagster captures standard error."""
    if not sys.stderr.isatty():
        with contextlib.suppress(OSError):
            return Path("/dev/tty").open("w", encoding="utf-8")
    return sys.stderr


class Display(Protocol):
    """Shows many streams."""

    def show(self, streams: Sequence[StreamProgress]) -> None:
        """Show how far they are; called often."""

    def end(self, streams: Sequence[StreamProgress]) -> None:
        """Leave standing how it ended."""


class ProgressTracker:
    """Counts what a read or write of a script does, by stream, and shows it.

    Args:
        style: How; `AUTO` is what `ETL_ASSETS_PROGRESS` says, else what the terminal or notebook
            can show.
        source: What is read.
        cache: What is read into.
        destination: What is written to.
        expected_streams: Their names, in the order in which they are shown.
        stream: Where to; standard error by default.
        clock: Gives seconds that never go back.
    """

    def __init__(
        self,
        style: ProgressStyle | str | None = ProgressStyle.AUTO,
        *,
        source: Any = None,
        cache: Any = None,
        destination: Any = None,
        expected_streams: Sequence[str] | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.cache = cache
        self.destination = destination
        self.streams = {name: StreamProgress(name) for name in expected_streams or ()}
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None
        wanted = ProgressStyle(style or ProgressStyle.AUTO)
        if wanted is ProgressStyle.AUTO:
            wanted = chosen_style()
        self.style = shown_style(wanted, stream or sys.stderr)
        self._display: Display | None = _display(self.style, stream or sys.stderr)

    @property
    def total_records_read(self) -> int:
        """How many records the source has given."""
        return sum(one.rows for one in self.streams.values())

    @property
    def total_records_written(self) -> int:
        """How many records are committed, by PyAirbyte's word for those that are in a cache."""
        return self.total_destination_records_delivered

    @property
    def finalized_stream_names(self) -> list[str]:
        """The streams that have ended well, in the order in which they are shown."""
        return [one.name for one in self.streams.values() if one.state == "done"]

    @property
    def num_streams_expected(self) -> int:
        """How many streams are read or written."""
        return len(self.streams)

    @property
    def total_destination_records_delivered(self) -> int:
        """How many records are committed, of the streams that have ended."""
        return sum(one.confirmed for one in self.streams.values())

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the beginning, up to the end where there was one."""
        until = self._clock() if self._ended is None else self._ended
        return until - self._began

    def tally(self, stream: str, rows: int, bytes_: int, seconds: float) -> None:
        """Record how far a stream is: totals, not what came since the last call."""
        one = self.streams.setdefault(stream, StreamProgress(stream))
        one.rows, one.bytes, one.seconds, one.state = rows, bytes_, seconds, "reading"
        if self._display is not None:
            self._display.show(list(self.streams.values()))

    def expect(self, stream: str, rows: int) -> None:
        """Record about how many rows a stream will have."""
        self.streams.setdefault(stream, StreamProgress(stream)).expected = rows

    def ended(self, stream: str, result: SyncResult | None) -> None:
        """Record how a stream has ended: with a result, or else it has failed."""
        one = self.streams.setdefault(stream, StreamProgress(stream))
        if result is None:
            one.state = "failed"
        else:
            one.rows, one.confirmed, one.state = result.records_read, result.records_loaded, "done"

    def end(self) -> None:
        """Leave standing how it ended."""
        if self._ended is None:
            self._ended = self._clock()
            if self._display is not None:
                self._display.end(list(self.streams.values()))


class PlainLines:
    """A line about the stream that is read, now and then, and one about each at the end.

    Args:
        stream: Where to.
        style: `PLAIN`, or `BAR` for a line that is rewritten.
    """

    def __init__(self, stream: TextIO, style: ProgressStyle = ProgressStyle.PLAIN) -> None:
        self._bar = ProgressBar(style, stream=stream)

    def show(self, streams: Sequence[StreamProgress]) -> None:
        """Show the streams that are being read."""
        for one in streams:
            if one.state == "reading" and one.seconds >= PLAIN_SECONDS:
                self._bar.show(one.name, one.rows, one.bytes, one.seconds, expected=one.about)

    def end(self, streams: Sequence[StreamProgress]) -> None:
        """Say of each stream how it ended."""
        for one in streams:
            word = "" if one.state == "done" else one.state
            self._bar.end(describe(one.name, one.rows, one.bytes, one.seconds, word))


def shown_style(style: ProgressStyle, stream: TextIO) -> ProgressStyle:
    """Return what `AUTO` stands for here; any other style stays as it is."""
    if style is not ProgressStyle.AUTO:
        return style
    if in_notebook():
        return ProgressStyle.IPYTHON
    return ProgressStyle.RICH if stream.isatty() else ProgressStyle.PLAIN


def in_notebook() -> bool:
    """Return whether a notebook's kernel runs this; that IPython is installed says nothing."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and not any(
        "terminal" in base.__module__ for base in type(shell).__mro__
    )


def _display(style: ProgressStyle, stream: TextIO) -> Display | None:
    if style is ProgressStyle.NONE:
        return None
    if style in {ProgressStyle.PLAIN, ProgressStyle.BAR}:
        return PlainLines(stream, style)
    from etl_assets.progress_live import NotebookTable, TerminalTable

    return NotebookTable() if style is ProgressStyle.IPYTHON else TerminalTable(stream)
