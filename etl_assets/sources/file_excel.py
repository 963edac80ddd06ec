"""Sheets of Excel files: dates as dates, numbers as numbers, text as text, as the sheet holds them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, time
from itertools import zip_longest
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile

from etl_assets.exceptions import did_you_mean
from etl_assets.packages import require
from etl_assets.sources.file_content import RATIO_COUNTS_FROM, unpacked
from etl_assets.sources.file_options import Reading

BYTES_OF_A_VALUE = 16
"""What a number or a date counts in a batch."""

Row = tuple[int, Mapping[str, Any], int]
"""The number of the row, its values, and about how many bytes it takes."""


def excel_rows(reading: Reading) -> Iterator[Row]:
    """Give the rows of one sheet; rows without any value are passed over.

    Raises:
        DataError: The sheet is not what it should be; names file and row.
    """
    unpacked(reading, "Excel files")
    with reading.open() as values, reading.open() as formulas:
        _check_archive(values, reading)
        with _sheet(values, reading, computed=True) as sheet, _sheet(formulas, reading, computed=False) as written:
            rows = zip_longest(sheet.iter_rows(), written.iter_rows(), fillvalue=())
            yield from _rows(rows, reading)


def _rows(rows: Iterator[Any], reading: Reading) -> Iterator[Row]:
    names: Sequence[str | None] | None = None
    if not isinstance(reading.options.header, bool):
        names = list(reading.options.header)
    for number, (cells, written) in enumerate(rows, 1):
        values = [_value(cell, reading, number) for cell in cells]
        _refuse_uncomputed(values, written, reading, number)
        while values and values[-1] is None:
            values.pop()
        if not values:
            continue
        if names is None:
            if reading.options.header is True:
                names = _names(values, reading, number)
                continue
            names = [f"column_{place}" for place in range(1, len(cells) + 1)]
        yield number, _row(names, values, reading, number), _size(values, reading, number)


def _row(names: Sequence[str | None], values: list[Any], reading: Reading, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {name: None for name in names if name is not None}
    for place, value in enumerate(values):
        name = names[place] if place < len(names) else None
        if name is not None:
            row[name] = value
        elif value is not None:
            raise reading.error(f"cell {place + 1} has a value, but its column has no name.", number)
    return row


def _names(values: list[Any], reading: Reading, number: int) -> Sequence[str | None]:
    names = [None if value is None else str(value) for value in values]
    present = [name for name in names if name is not None]
    twice = next((name for name in present if present.count(name) > 1), None)
    if twice is not None:
        raise reading.error(f"two columns are called {twice!r}.", number, hint="Name the columns with header=[...].")
    return names


def _value(cell: Any, reading: Reading, number: int) -> Any:
    value = cell.value
    if value is None or (isinstance(value, str) and value in reading.options.null_values):
        return None
    if cell.data_type == "e":
        raise reading.error(
            f"cell {cell.coordinate} holds the error {value}.",
            number,
            hint="List it in null_values to read it as NULL.",
        )
    if isinstance(value, datetime) and value.time() == time():
        from openpyxl.styles.numbers import is_datetime

        return value.date() if is_datetime(cell.number_format) == "date" else value
    return value


def _refuse_uncomputed(values: Sequence[Any], written: Sequence[Any], reading: Reading, number: int) -> None:
    """Refuse formulas whose outcome the file does not hold: it was not saved by a program that computes."""
    for value, cell in zip(values, written, strict=False):
        if value is None and cell.data_type == "f":
            raise reading.error(
                f"cell {cell.coordinate} is a formula whose value is not stored in the file.",
                number,
                hint="Open and save the file with a spreadsheet program.",
            )


def _size(values: Sequence[Any], reading: Reading, number: int) -> int:
    size = sum(len(value) if isinstance(value, str) else BYTES_OF_A_VALUE for value in values)
    if size > reading.options.max_row_bytes:
        raise reading.error(f"a row of more than {reading.options.max_row_bytes} characters.", number)
    return size


def _check_archive(file: BinaryIO, reading: Reading) -> None:
    """Look at the sizes that the file, which is a zip archive, says to have unpacked."""
    try:
        members = ZipFile(file).infolist()
    except (BadZipFile, OSError, NotImplementedError) as error:
        raise reading.error(
            f"is no Excel file: {str(error).rstrip('.')}.", hint="The old .xls is not read: save it as .xlsx."
        ) from error
    file.seek(0)
    whole = sum(one.file_size for one in members)
    packed = sum(one.compress_size for one in members)
    limit = max(RATIO_COUNTS_FROM, packed * reading.options.max_ratio)
    if whole > min(limit, reading.options.max_file_bytes):
        raise reading.error(
            f"unpacks to {whole} bytes: it may be a bomb.", hint="Raise max_ratio or max_file_bytes if it is right."
        )


@contextmanager
def _sheet(file: BinaryIO, reading: Reading, *, computed: bool) -> Iterator[Any]:
    openpyxl = require("openpyxl", "An Excel file")
    from xml.etree.ElementTree import ParseError

    try:
        with closing(openpyxl.load_workbook(file, read_only=True, data_only=computed)) as book:
            sheet = _chosen(book, reading)
            sheet.reset_dimensions()  # what the file says of its size may be wrong, and would cut rows off
            yield sheet
    except (KeyError, ParseError, BadZipFile, EOFError) as error:
        raise reading.error(f"is no whole Excel file: {error}.") from error
    except ValueError as error:  # of a number with more digits than Python reads
        raise reading.error(f"has a value that cannot be read: {error}.") from error


def _chosen(book: Any, reading: Reading) -> Any:
    asked = reading.options.sheet
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if isinstance(asked, int):
        if not 0 <= asked < len(sheets):
            raise reading.error(f"has {len(sheets)} sheets, so none at {asked}.", hint="The first one is 0.")
        return book.worksheets[asked]
    if asked not in sheets:
        raise reading.error(f"has no sheet {asked!r}.", hint=did_you_mean(asked, sheets))
    return sheets[asked]
