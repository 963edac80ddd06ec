"""The rows of a CSV file one by one, by Python's reader: the exact way, which any file can go."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from etl_assets.exceptions import DataError, shorten
from etl_assets.sources.files.content import content
from etl_assets.sources.files.options import INFER, Reading, is_tabbed
from etl_assets.sources.files.text.csv_lines import CsvLines
from etl_assets.sources.files.text.delimiter import inferred_delimiter
from etl_assets.sources.files.text.header import joined_names, left_out, naming_hint, repeated

MAX_COLUMNS = 20_000

_OTHER_DELIMITERS = ";\t|"
Row = tuple[int, list[Any], int]
"""The line it begins on, its cells (texts; None for missing ones), and its length in characters."""


def rows_of(lines: CsvLines, reading: Reading, delimiter: str) -> Iterator[Row]:
    """Yield the rows, of whatever width; an empty line is a row without cells.

    Raises:
        DataError: A quote is out of its place, or never closed; names file and line.
    """
    before = lines.number
    try:
        for cells in csv.reader(lines, **_dialect(delimiter, lines, reading)):
            if not cells and lines.ends_the_one_before():
                lines.used = 0
                continue
            before = lines.began
            yield before, cells, lines.used
            before, lines.used = lines.number + 1, 0
    except csv.Error as error:
        reason, hint = str(error), None
        if reason == "unexpected end of data":
            reason = "a quote that is opened here, or on a later line, is never closed"
        elif reason.endswith("expected after '\"'") and lines.escape is None:
            hint = (
                'If quotes in a text have a backslash before them in this file, say escape="\\\\".'
            )
        raise reading.error(f"{reason}.", lines.began or before, hint=hint) from error


def _dialect(delimiter: str, lines: CsvLines, reading: Reading) -> dict[str, Any]:
    quote = reading.options.quote
    quoting = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    return {"delimiter": delimiter, "strict": True, "escapechar": lines.escape, **quoting}


def delimiter_of(lines: CsvLines, reading: Reading) -> str:
    """Return what stands between the cells: as asked for, as the file says, or by its ending."""
    asked = reading.options.delimiter
    if asked == INFER and lines.said_delimiter is None:
        with content(reading) as binary:
            sample = CsvLines(binary, reading)
            return inferred_delimiter(
                sample,
                reading,
                lambda some, one: csv.reader(some, **_dialect(one, sample, reading)),
            )
    if asked is not None and asked != INFER:
        return asked
    return lines.said_delimiter or ("\t" if is_tabbed(reading.file) else ",")


@dataclass(frozen=True)
class Header:
    """The head of a file.

    Args:
        names: Of the columns.
        line: The last one of the header; 0 where there is none.
        first: The first row of data, where it was needed to tell how many columns there are.
        before: How many lines there are before the first row of data.
    """

    names: Sequence[str]
    line: int = 0
    first: Row | None = None
    before: int = 0


def header_of(rows: Iterator[Row], lines: CsvLines, reading: Reading) -> Header:
    """Return the head of a file.

    Raises:
        DataError: The file has none, or one that names no columns; names file and line.
    """
    header, first, line = reading.options.header, None, 0
    before = lines.passed
    if header is True:
        names = _read_names(rows, reading)
        line = before = lines.number
    elif header is False:
        first = next(rows, (1, [], 0))
        names = [f"column_{number}" for number in range(1, len(first[1]) + 1)]
        before = first[0] - 1
    else:
        names = list(header)
    if len(names) > MAX_COLUMNS:
        raise reading.error(f"{len(names)} columns, at most {MAX_COLUMNS}.", line or None)
    if header is True and len(names) == 1:
        _remark_one_column(names[0], reading)
    twice = repeated(names)
    if twice is not None:
        hint = "Correct header=[...]."
        if line:
            hint = naming_hint(names, line, reading.options.header_rows)
        raise reading.error(f"two columns are called {twice!r}.", line or None, hint=hint)
    return Header(names, line, first, before)


def _remark_one_column(name: str, reading: Reading) -> None:
    """Remark on a header that another delimiter would split: nothing else shows a wrong one."""
    found = next((one for one in _OTHER_DELIMITERS if one in name), None)
    if found is not None and reading.options.delimiter is None:
        said = f"{reading.file!r} has one column, {shorten(name)}"
        reading.remark(
            "one column", f"{said}: if {found!r} stands between its cells, say delimiter={found!r}"
        )


def _read_names(rows: Iterator[Row], reading: Reading) -> list[str]:
    wanted = reading.options.header_rows
    read = list(islice(rows, wanted))
    if len(read) < wanted or not any(cells for _, cells, _ in read):
        raise reading.error(
            "has no header.",
            read[-1][0] if read else 1,
            hint="If lines stand before it, pass them over with skip_rows; else say header=False, "
            "or name the columns with header=[...].",
        )
    return read[0][1] if wanted == 1 else joined_names([cells for _, cells, _ in read])


class Checks:
    """What is asked of each row behind the header, from the first to the last.

    Args:
        header: Says how wide they are.
        reading: What is read.
    """

    def __init__(self, header: Header, reading: Reading) -> None:
        self._header = header
        self._reading = reading
        self._names = None if isinstance(reading.options.header, bool) else list(header.names)
        self._empty: int | None = None

    def rows(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows of the right width, without the empty lines that may be passed over.

        Raises:
            DataError: A row is not; names file and line.
        """
        width, options = len(self._header.names), self._reading.options
        fills = options.short_rows != "error"
        for line, cells, length in rows:
            if not cells and (width > 1 or options.skip_blank_lines):
                self._empty = self._empty or line
                continue
            self.begin(line, cells)
            row = cells or [""]
            if len(row) != width:
                if len(row) > width or not fills:
                    raise _of_another_width(len(row), line, self._header, self._reading)
                row += [None] * (width - len(row))
            yield line, row, length

    def begin(self, line: int, cells: Sequence[str | None]) -> None:
        """Look at what only a row that follows may tell of what is before it.

        Args:
            line: The line that the row begins on.
            cells: Its cells.

        Raises:
            DataError: The names of the columns are repeated, or an empty line is no end.
        """
        if self._names is not None and list(cells) == self._names:
            raise self._reading.error(
                "the names of the columns stand here, too.",
                line,
                hint=f"Pass the line over with skip_rows={line}.",
            )
        self._names = None
        if self._empty is not None and not self._reading.options.skip_blank_lines:
            raise self._reading.error(
                "an empty line between rows.",
                self._empty,
                hint="skip_blank_lines=True passes such lines over.",
            )


def _of_another_width(cells: int, line: int, header: Header, reading: Reading) -> DataError:
    width = len(header.names)
    if cells < width:
        hint = (
            "If the line is no row of the table, skip_footer passes over lines at the end, and "
            'comment those that begin with a character; if it is one, short_rows="null" reads the '
            "cells that are missing as NULL."
        )
    elif header.line:
        hint = (
            "If the header is on a later line, pass those before it over with skip_rows; if it "
            f"names too few columns, name all {cells} of them with header=[...], and pass it over "
            f"with skip_rows={header.line}{left_out(reading.options.header_rows)}."
        )
    else:
        hint = f"Name all {cells} columns with header=[...]."
    return reading.error(f"{cells} cells, where the header has {width}.", line, hint=hint)
