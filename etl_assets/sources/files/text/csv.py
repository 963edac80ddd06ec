"""CSV files: every row has the header's width, text stays text, and every error says its line."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError, shorten
from etl_assets.sources.files.content import content
from etl_assets.sources.files.options import INFER, Reading, is_tabbed
from etl_assets.sources.files.text.csv_lines import CsvLines
from etl_assets.sources.files.text.delimiter import inferred_delimiter
from etl_assets.sources.files.text.header import joined_names, left_out, naming_hint, repeated
from etl_assets.sources.files.text.tables import Chunk, Rows, properties_of, text_tables

if TYPE_CHECKING:
    import pyarrow as pa

MAX_COLUMNS = 20_000


def csv_tables(reading: Reading) -> Iterator[tuple["pa.Table | Rows", Sequence[int]]]:
    """Return a file as tables, with the lines that their rows begin on.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    return text_tables(chunks, reading)


def csv_properties(reading: Reading) -> dict[str, Any]:
    """Return what a file's header alone says of its columns, as properties of a JSON Schema."""
    return properties_of(next(chunks(reading, head=True)).names, reading)


def chunks(reading: Reading, *, head: bool = False) -> Iterator[Chunk]:
    """Yield the rows of a file in chunks.

    At least one, which may have no rows. With `head` that one is all.
    """
    options = reading.options
    # A limit of the whole process; ours is the one for rows.
    csv.field_size_limit(max(csv.field_size_limit(), options.max_row_bytes))
    with content(reading) as binary:
        lines = CsvLines(binary, reading)
        rows = _rows(lines, reading)
        header = _header(rows, lines, reading)
        if head or not header.names:
            yield Chunk(header.names)
            return
        chunk, size = Chunk(header.names), 0
        if header.first is not None:
            chunk.rows.append(header.first[1])
            chunk.lines.append(header.first[0])
        for line, cells, length in _checked(rows, header, reading):
            chunk.rows.append(cells)
            chunk.lines.append(line)
            size += length
            if len(chunk.rows) >= options.batch_rows or size >= options.batch_bytes:
                yield chunk
                chunk, size = Chunk(header.names), 0
        yield chunk


_OTHER_DELIMITERS = ";\t|"
_Row = tuple[int, list[Any], int]
"""The line it begins on, its cells (texts; None for missing ones), and its length in characters."""


def _rows(lines: CsvLines, reading: Reading) -> Iterator[_Row]:
    delimiter = _delimiter(lines, reading)
    before = 0
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


def _delimiter(lines: CsvLines, reading: Reading) -> str:
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
class _Header:
    """The head of a file.

    Args:
        names: Of the columns.
        line: The last one of the header; 0 where there is none.
        first: The first row of data, where it was needed to tell how many columns there are.
    """

    names: Sequence[str]
    line: int = 0
    first: tuple[int, list[str]] | None = None


def _header(rows: Iterator[_Row], lines: CsvLines, reading: Reading) -> _Header:
    header, first = reading.options.header, None
    if header is True:
        names = _read_names(rows, reading)
        line = lines.number
    elif header is False:
        line, cells, _ = next(rows, (1, [], 0))
        names = [f"column_{number}" for number in range(1, len(cells) + 1)]
        first = (line, cells) if cells else None
        line = 0
    else:
        line, names = 0, list(header)
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
    return _Header(names, line, first)


def _remark_one_column(name: str, reading: Reading) -> None:
    """Tell of a header that another delimiter would part: nothing else shows a wrong one."""
    found = next((one for one in _OTHER_DELIMITERS if one in name), None)
    if found is not None and reading.options.delimiter is None:
        said = f"{reading.file!r} has one column, {shorten(name)}"
        reading.remark(
            "one column", f"{said}: if {found!r} stands between its cells, say delimiter={found!r}"
        )


def _read_names(rows: Iterator[_Row], reading: Reading) -> list[str]:
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


def _checked(rows: Iterator[_Row], header: _Header, reading: Reading) -> Iterator[_Row]:
    """Yield the rows of the right width; lines without a character at the end are passed over."""
    width, options = len(header.names), reading.options
    short, blank = options.short_rows != "error", options.skip_blank_lines
    empty: int | None = None
    is_named = not isinstance(options.header, bool)
    for line, cells, length in rows:
        if is_named and cells == list(header.names):
            raise reading.error(
                "the names of the columns stand here, too.",
                line,
                hint=f"Pass the line over with skip_rows={line}.",
            )
        is_named = False
        if not cells and (width > 1 or blank):
            empty = empty or line
            continue
        if empty is not None and not blank:
            raise reading.error(
                "an empty line between rows.",
                empty,
                hint="skip_blank_lines=True passes such lines over.",
            )
        row = cells or [""]
        if len(row) != width:
            if len(row) > width or not short:
                raise _of_another_width(len(row), line, header, reading)
            row += [None] * (width - len(row))
        yield line, row, length


def _of_another_width(cells: int, line: int, header: _Header, reading: Reading) -> DataError:
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
