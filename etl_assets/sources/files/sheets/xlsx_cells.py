"""The cells of a worksheet's XML, as values.

This is called for each of them, so it does little and calls less.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Any

from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.sheets.cell_range import MAX_ROW, column_at
from etl_assets.sources.files.sheets.cells import Row, Unreadable, number_of
from etl_assets.sources.files.sheets.number_formats import Shown, dated, iso_dated
from etl_assets.sources.files.sheets.package import SEPARATOR
from etl_assets.sources.files.sheets.xlsx_texts import unescaped

_NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",  # the strict form
)
_ELEMENTS = {
    f"{space}{SEPARATOR}{element}": element
    for space in _NAMESPACES
    for element in ("sheetData", "row", "c", "v", "f", "is", "t", "rPh")
}
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}
_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class CellHandler:
    """Takes a worksheet's XML and gives its rows; whoever takes `rows` empties it.

    Args:
        reading: What is read.
        texts: The shared texts.
        shown: What numbers are shown as, by style, where it is not as plain numbers.
        from_1904: Days count from 1904-01-01.
        tells_empty_texts: A formula with an empty value has an empty text; else it was never
            computed.
    """

    def __init__(
        self,
        reading: Reading,
        texts: Sequence[str],
        shown: Mapping[str | None, Shown],
        *,
        from_1904: bool,
        tells_empty_texts: bool = False,
    ) -> None:
        self.rows: list[Row] = []
        self.number = 0
        self.is_over = False
        self._reading = reading
        self._texts = texts
        self._shown = shown
        self._from_1904 = from_1904
        self._tells_empty_texts = tells_empty_texts
        self._places: dict[str, int] = {}
        self._values: list[Any] = []
        self._row: Mapping[str, str] = {}
        self._cell: Mapping[str, str] = {}
        self._reference = ""
        self._value: str | None = None
        self._has_formula = self._is_phonetic = False
        self._pieces: list[str] = []
        self.text = self._pieces.append

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the start of an element."""
        element = _ELEMENTS.get(name)
        if element == "c":
            self._cell = attributes
            self._value = None
            self._has_formula = False
        elif element in {"v", "t"}:
            self._pieces.clear()
        elif element == "f":
            self._has_formula = True
        elif element == "row":
            self._row = attributes
            self._values = []
            self._reference = ""
        elif element == "is":
            self._value = None  # some write a value before the text, too
        elif element == "rPh":
            self._is_phonetic = True

    def end(self, name: str) -> None:
        """Take the end of an element."""
        element = _ELEMENTS.get(name)
        if element == "v":
            self._value = "".join(self._pieces)
        elif element == "c":
            self._end_cell()
        elif element == "t":
            if not self._is_phonetic:  # how a text is read aloud stands beside it
                self._value = (self._value or "") + unescaped("".join(self._pieces))
        elif element == "row":
            self._end_row()
        elif element == "rPh":
            self._is_phonetic = False
        elif element == "sheetData":
            self.is_over = True

    def _end_cell(self) -> None:
        cell = self._cell
        kind = cell.get("t", "n")
        text = self._value
        value: Any
        if kind == "n":
            shown = self._shown.get(cell.get("s")) if text else None
            if text and shown is None:
                try:
                    value = number_of(text)
                except ValueError as error:
                    value = Unreadable.wrong(text, str(error))
            else:
                value = self._dated(text, shown) if shown is not None and text else self._nothing()
        elif kind == "s":
            value = self._shared(text) if text else None
        else:
            value = self._other(kind, text)
        reference = cell.get("r")
        values = self._values
        if reference is None:
            values.append(value)
            return
        self._reference = reference
        letters = reference.rstrip(_DIGITS)
        place = self._places.get(letters, -1)
        if place == len(values):
            values.append(value)
        else:
            self._put(letters, value)

    def _put(self, letters: str, value: Any) -> None:
        """Put a value where cells are left out before it, or which is the first of its column."""
        values = self._values
        place = column_at(letters)
        if place is None:
            raise self._error(f"there is no column {letters[:20]!r}.")
        self._places[letters] = place
        values.extend([None] * (place + 1 - len(values)))
        if values[place] is not None:
            raise self._error(f"cell {letters}{self._row_number()} is there twice.")
        values[place] = value

    def _end_row(self) -> None:
        number = self._row_number()
        if not self.number < number < MAX_ROW:
            raise self._error(f"row {number} is not behind row {self.number}.")
        self.number = number
        if self._values:
            self.rows.append((number, self._values))

    def _row_number(self) -> int:
        told = self._row.get("r") or self._reference.lstrip(_LETTERS)
        if not told:
            return self.number + 1
        if not told.isdecimal() or len(told) > len(str(MAX_ROW)):
            raise self._error(f"there is no row {told[:20]!r}.")
        return int(told)

    def _error(self, message: str) -> Exception:
        return self._reading.error(
            message, self.number + 1, hint="Save the file with a spreadsheet program."
        )

    def _nothing(self) -> Unreadable | str | None:
        if not self._has_formula:
            return None
        return (
            "" if self._tells_empty_texts and self._value is not None else Unreadable.uncomputed()
        )

    def _shared(self, text: str) -> Any:
        try:
            if not text.isdecimal():
                return Unreadable.wrong(text, "no number of a text")
            return self._texts[int(text)]
        except IndexError:
            return Unreadable.wrong(text, "there are fewer shared texts")

    def _other(self, kind: str, text: str | None) -> Any:
        if kind == "str":
            # A formula whose outcome is no character at all: Excel and LibreOffice write an empty
            # value, or none.
            if text is not None:
                return unescaped(text)
            return "" if self._has_formula else None
        if kind == "inlineStr":
            return text
        if not text:
            return self._nothing()
        if kind == "b":
            found = _BOOLEANS.get(text.strip())
            return Unreadable.wrong(text, "no boolean") if found is None else found
        if kind == "e":
            return Unreadable.error(text)
        if kind == "d":
            return self._iso(text)
        return Unreadable.wrong(text, f"there is no type {kind[:20]!r}")

    def _iso(self, text: str) -> Any:
        try:
            value = iso_dated(text)
        except ValueError as error:
            return Unreadable.wrong(text, str(error))
        is_date = self._shown.get(self._cell.get("s")) is Shown.DATE
        if is_date and isinstance(value, datetime) and value.timetz() == time():
            return value.date()
        return value

    def _dated(self, text: str, shown: Shown) -> Any:
        try:
            return dated(number_of(text), shown, from_1904=self._from_1904)
        except ValueError as error:
            return Unreadable.wrong(text, str(error))
