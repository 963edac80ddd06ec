"""Workbooks of the old binary format (`.xls`), by xlrd, which tells errors and formats apart."""

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from etl_assets.packages import require
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.sheets.cells import Row, Unreadable, error_code, whole
from etl_assets.sources.files.sheets.number_formats import (
    SHOWN_BY_NUMBER,
    Shown,
    dated,
    shown_by_code,
)

_DAMAGED = (
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What xlrd raises at damaged files beside its own error."""


class OldWorkbook:
    """A workbook of the old format, held in memory: it has at most 65,536 rows of 256 cells.

    Args:
        data: The file.
        reading: What is read.

    Raises:
        ConfigError: xlrd is not installed.
        DataError: It is not what it should be.
    """

    def __init__(self, data: bytes, reading: Reading) -> None:
        xlrd = require("xlrd", "An Excel file of the old format")
        self._kinds = xlrd
        self._reading = reading
        try:
            self._book = xlrd.open_workbook(
                file_contents=data, formatting_info=True, ragged_rows=True, logfile=io.StringIO()
            )
        except (xlrd.XLRDError, xlrd.compdoc.CompDocError, *_DAMAGED) as error:
            raise self._damaged(error) from error
        self.sheets: Sequence[str] = self._book.sheet_names()
        self._shown: dict[int, Shown] = {}

    def rows(self, sheet: int) -> Iterator[Row]:
        """Yield the rows of a sheet."""
        held = self._book.sheet_by_index(sheet)
        for row in range(held.nrows):
            kinds, values = held.row_types(row), held.row_values(row)
            try:
                cells = [
                    self._value(kind, value, held, (row, column))
                    for column, (kind, value) in enumerate(zip(kinds, values, strict=True))
                ]
            except _DAMAGED as error:
                raise self._damaged(error) from error
            yield row + 1, cells

    def _value(self, kind: int, value: Any, sheet: Any, at: tuple[int, int]) -> Any:
        kinds = self._kinds
        if kind == kinds.XL_CELL_TEXT:
            return value
        if kind in {kinds.XL_CELL_NUMBER, kinds.XL_CELL_DATE}:
            shown = self._shown_as(sheet.cell_xf_index(*at))
            if shown is Shown.NUMBER:
                return whole(value)
            try:
                return dated(value, shown, from_1904=bool(self._book.datemode))
            except ValueError as error:
                return Unreadable.wrong(str(whole(value)), str(error))
        if kind == kinds.XL_CELL_BOOLEAN:
            return bool(value)
        if kind == kinds.XL_CELL_ERROR:
            return Unreadable.error(error_code(value))
        return None

    def _shown_as(self, style: int) -> Shown:
        shown = self._shown.get(style)
        if shown is None:
            number = self._book.xf_list[style].format_key
            code = self._book.format_map[number].format_str
            shown = shown_by_code(code)
            if (
                shown is Shown.NUMBER and code == "General"
            ):  # what xlrd says where the file says nothing
                shown = SHOWN_BY_NUMBER.get(number, shown)
            self._shown[style] = shown
        return shown

    def _damaged(self, error: Exception) -> Exception:
        if "encrypted" in str(error):
            return self._reading.error("is locked with a password.", hint="Save it without one.")
        return self._reading.error(
            f"is no whole Excel file: {str(error).rstrip('.') or type(error).__name__}."
        )
