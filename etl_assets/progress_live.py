"""Live tables of many streams: on a terminal by rich, in a notebook by what IPython displays."""

import time
from collections.abc import Callable, Sequence
from html import escape
from importlib import import_module
from typing import Any, TextIO

from etl_assets.progress_text import StreamProgress, count_text, size_text

REFRESHES_PER_SECOND = 5
NOTEBOOK_SECONDS = 0.5

HEADINGS = ("stream", "records", "size", "records/s", "")


def cells(one: StreamProgress) -> tuple[str, ...]:
    """Return what a line of the table says."""
    rate = f"{one.rows / one.seconds:,.0f}" if one.seconds > 0 and one.rows else ""
    return (
        one.name,
        count_text(one.rows, one.about),
        size_text(one.bytes) if one.bytes else "",
        rate,
        one.state,
    )


class TerminalTable:
    """A table that is drawn anew in its place.

    Args:
        stream: The terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._streams: Sequence[StreamProgress] = ()
        self._live = Live(
            get_renderable=self._table,
            console=Console(file=stream),
            refresh_per_second=REFRESHES_PER_SECOND,
            redirect_stdout=False,  # what the script prints stays where it prints it
            redirect_stderr=False,
        )

    def show(self, streams: Sequence[StreamProgress]) -> None:
        """Show how far they are."""
        self._streams = streams
        if not self._live.is_started:
            self._live.start()

    def end(self, streams: Sequence[StreamProgress]) -> None:
        """Leave the last table standing."""
        self.show(streams)
        self._live.stop()

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for position, heading in enumerate(HEADINGS):
            is_number = 0 < position < len(HEADINGS) - 1
            table.add_column(heading, justify="right" if is_number else "left")
        for one in self._streams:
            table.add_row(*map(Text, cells(one)))
        return table


class NotebookTable:
    """A table below the cell, updated in its place.

    Args:
        clock: Gives seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._handle: Any = None
        self._shown_at = 0.0

    def show(self, streams: Sequence[StreamProgress]) -> None:
        """Show how far they are, unless the last time was a moment ago."""
        if self._handle is None or self._clock() - self._shown_at >= NOTEBOOK_SECONDS:
            self._update(streams)

    def end(self, streams: Sequence[StreamProgress]) -> None:
        """Leave the last table standing."""
        self._update(streams)

    def _update(self, streams: Sequence[StreamProgress]) -> None:
        shown: Any = import_module("IPython.display")  # there, where a notebook's kernel runs this

        self._shown_at = self._clock()
        table = shown.HTML(html_table(streams))
        if self._handle is None:
            self._handle = shown.display(table, display_id=True)
        else:
            self._handle.update(table)


def html_table(streams: Sequence[StreamProgress]) -> str:
    """Return the table as HTML; names are escaped."""
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells(one))}</tr>" for one in streams
    )
    return f"<table><tr>{head}</tr>{rows}</table>"
