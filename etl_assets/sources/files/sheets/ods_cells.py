"""The cells of an OpenDocument spreadsheet's XML, as values."""

import re
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from etl_assets.sources.files.content import RATIO_COUNTS_FROM
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.sheets.cell_range import MAX_COLUMNS, MAX_ROW
from etl_assets.sources.files.sheets.cells import BYTES_OF_A_VALUE, Unreadable, number_of
from etl_assets.sources.files.sheets.number_formats import Shown, iso_dated, iso_duration
from etl_assets.sources.files.sheets.package import SEPARATOR

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_PREFIXES = {
    f"{_OASIS}office:1.0": "office",
    f"{_OASIS}table:1.0": "table",
    f"{_OASIS}text:1.0": "text",
    "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0": "calcext",
}
_FULL = {prefix: space for space, prefix in _PREFIXES.items()}


def _full(short: str) -> str:
    prefix, _, name = short.partition(":")
    return f"{_FULL[prefix]}{SEPARATOR}{name}"


_TYPE, _TYPE_OF_CALC = _full("office:value-type"), _full("calcext:value-type")
_VALUE, _STRING, _BOOLEAN = (
    _full("office:value"),
    _full("office:string-value"),
    _full("office:boolean-value"),
)
_DATE, _TIME = _full("office:date-value"), _full("office:time-value")
_FORMULA, _STYLE, _COLUMN_STYLE = map(
    _full, ("table:formula", "table:style-name", "table:default-cell-style-name")
)
_COLUMNS_REPEATED, _ROWS_REPEATED = (
    _full("table:number-columns-repeated"),
    _full("table:number-rows-repeated"),
)
_SPACES = _full("text:c")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_DAY = timedelta(days=1)
_ANY_MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001 - only its time of day is looked at
_SPACE = re.compile("[ \t\r\n]+")
_ERROR = re.compile(
    r"#(N/A|DIV/0!|VALUE!|REF!|NAME\?|NUM!|NULL!|GETTING_DATA|SPILL!|CALC!)|Err:[0-9]{3}"
)
_NUMBERS = {"float", "percentage", "currency"}
_BESIDE = {"office:annotation", "text:ruby-text", "table:shapes", "text:note"}
"""What stands in a cell and is no text of it: comments, how a text is read aloud, drawings."""

OdsRow = tuple[int, int, list[Any]]
"""The number of the first row, how many are like it, and their cells."""


class OdsCellHandler:
    """Takes a document's XML and gives the rows of one of its sheets.

    Whoever takes `rows` empties it.

    Args:
        reading: What is read.
        sheet: Which sheet, from 0 on.
        shown: What styles show dates and times as.
    """

    def __init__(self, reading: Reading, sheet: int, shown: Mapping[str, Shown]) -> None:
        self.rows: list[OdsRow] = []
        self.number = 0
        self.is_between_rows = True
        self._reading = reading
        self._sheet = sheet
        self._shown = shown
        self._names: dict[str, str] = {}
        self._table, self._depth, self._beside = -1, 0, 0
        self._column_styles: list[tuple[int, str | None]] = []
        self._values: list[Any] = []
        self._empty = self._columns = self._spaces = 0
        self._cell: Mapping[str, str] = {}
        self._rows_like_it = 1
        self._paragraphs: list[str] | None = None
        self._pieces: list[str] = []
        self._in_paragraph = 0
        self._given = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the start of an element."""
        element = self._names.get(name) or self._short(name)
        if element == "table:table":
            self._depth += 1
            self._table += self._depth == 1
            return
        if self._table != self._sheet or self._depth != 1:
            return
        if self._is_beside(element):
            self._beside += 1
        elif self._beside:
            return
        elif element in {"table:table-cell", "table:covered-table-cell"}:
            self._cell = attributes
            self._paragraphs = []
        elif element == "table:table-row":
            self._rows_like_it = self._count(attributes, _ROWS_REPEATED)
            self._values, self._empty, self._columns, self._spaces, self.is_between_rows = (
                [],
                0,
                0,
                0,
                False,
            )
        elif element == "table:table-column":
            times = self._count(attributes, _COLUMNS_REPEATED)
            self._column_styles.append((times, attributes.get(_COLUMN_STYLE)))
        elif self._paragraphs is not None:
            self._start_text(element, attributes)

    def _is_beside(self, element: str) -> bool:
        # What we do not know is a drawing beside the text, or, in a paragraph, something around a
        # part of it.
        return element in _BESIDE or not (element or self._in_paragraph)

    def _start_text(self, element: str, attributes: Mapping[str, str]) -> None:
        if element in {"text:p", "text:h"}:
            if not self._in_paragraph:
                self._pieces = []
            self._in_paragraph += 1
        elif element == "text:s":
            length = self._count(attributes, _SPACES)
            self._spaces += length
            if self._spaces > self._reading.options.max_row_bytes:
                raise self._error("texts of too many spaces.")
            self._pieces.append("\0" * length)  # a space that counts; no XML holds the character
        elif element == "text:tab":
            self._pieces.append("\1")
        elif element == "text:line-break":
            self._pieces.append("\2")

    def text(self, data: str) -> None:
        """Take a piece of text."""
        if self._in_paragraph and not self._beside:
            self._pieces.append(data)

    def end(self, name: str) -> None:
        """Take the end of an element."""
        element = self._names.get(name) or self._short(name)
        if element == "table:table":
            self._depth -= 1
            return
        if self._table != self._sheet or self._depth != 1:
            return
        if self._is_beside(element):
            self._beside -= 1
        elif self._beside:
            return
        elif element in {"text:p", "text:h"} and self._in_paragraph:
            self._in_paragraph -= 1
            if not self._in_paragraph and self._paragraphs is not None:
                self._paragraphs.append(_collapsed("".join(self._pieces)))
        elif element in {"table:table-cell", "table:covered-table-cell"}:
            self._end_cell()
        elif element == "table:table-row":
            self._end_row()

    def _end_cell(self) -> None:
        cell = self._cell
        times = self._count(cell, _COLUMNS_REPEATED)
        value = self._value(
            cell, "\n".join(self._paragraphs or ()), has_text=bool(self._paragraphs)
        )
        self._paragraphs = None
        self._columns += times
        if value is None:
            self._empty += times
            return
        if self._columns > MAX_COLUMNS:
            raise self._error(f"more than {MAX_COLUMNS} columns.")
        self._values += [None] * self._empty + [value] * times
        self._empty = 0

    def _end_row(self) -> None:
        first = self.number + 1
        self.is_between_rows = True
        if self.number + self._rows_like_it > MAX_ROW:
            raise self._error("more rows than a sheet has.")
        if self._values:
            self._check_size()
            self.rows.append((first, self._rows_like_it, self._values))
        self.number += self._rows_like_it

    def _check_size(self) -> None:
        size = sum(
            len(value) if isinstance(value, str) else BYTES_OF_A_VALUE for value in self._values
        )
        self._given += size * self._rows_like_it
        options = self._reading.options
        limit = min((self._reading.size or 0) * options.max_ratio, options.max_file_bytes)
        if self._given > max(RATIO_COUNTS_FROM, limit):
            told = "stands for many more values than its size tells: it may be a bomb."
            raise self._reading.error(told, self.number + 1, hint="Raise max_ratio if it is right.")

    # A cell

    def _value(self, cell: Mapping[str, str], text: str, *, has_text: bool) -> Any:
        kind = cell.get(_TYPE)
        has_formula = _FORMULA in cell
        if cell.get(_TYPE_OF_CALC) == "error" or (has_formula and _ERROR.fullmatch(text)):
            return Unreadable.error(text or "of a formula")
        if kind is None or kind == "void":
            if has_text:
                return text
            return Unreadable.uncomputed() if has_formula else None
        if kind == "string":
            return cell.get(_STRING, text)
        try:
            return self._typed(kind, cell)
        except (KeyError, ValueError) as error:
            found = next(
                (cell[name] for name in (_VALUE, _BOOLEAN, _DATE, _TIME) if name in cell), text
            )
            return Unreadable.wrong(
                found, str(error) if isinstance(error, ValueError) else "its value is missing"
            )

    def _typed(self, kind: str, cell: Mapping[str, str]) -> Any:
        if kind in _NUMBERS:
            return number_of(cell[_VALUE])
        if kind == "boolean":
            return _BOOLEANS[cell[_BOOLEAN]]
        if kind == "date":
            value = iso_dated(cell[_DATE])
            if type(value) is date and self._shown_as(cell) is Shown.MOMENT:
                return datetime.combine(value, time())
            return value
        if kind == "time":
            length = iso_duration(cell[_TIME])
            is_clock = self._shown_as(cell) is not Shown.ELAPSED and timedelta() <= length < _DAY
            return (_ANY_MIDNIGHT + length).time() if is_clock else length
        raise ValueError(f"there is no type {kind[:20]!r}")

    def _shown_as(self, cell: Mapping[str, str]) -> Shown | None:
        style = cell.get(_STYLE)
        place = self._columns
        for times, of_column in () if style else self._column_styles:
            if place < times:
                style = of_column
                break
            place -= times
        return self._shown.get(style or "")

    def _count(self, found: Mapping[str, str], name: str) -> int:
        text = found.get(name)
        if text is None:
            return 1
        if not text.isdecimal() or len(text) > len(str(MAX_ROW)):
            raise self._error(f"{self._short(name)} is {text[:20]!r}.")
        return max(1, int(text))

    def _short(self, name: str) -> str:
        """Return a name with a prefix of ours.

        An empty text for names that stand for nothing here.
        """
        short = self._names.get(name)
        if short is None:
            space, _, element = name.rpartition(SEPARATOR)
            short = f"{_PREFIXES[space]}:{element}" if space in _PREFIXES else ""
            self._names[name] = short
        return short

    def _error(self, message: str) -> Exception:
        return self._reading.error(
            message, self.number + 1, hint="Save the file with a spreadsheet program."
        )


def _collapsed(text: str) -> str:
    """Return a paragraph's text: spaces count once, unless elements stand for them."""
    plain = _SPACE.sub(" ", text)
    return plain.replace("\0", " ").replace("\1", "\t").replace("\2", "\n")
