"""Spreadsheets: dates as dates, numbers as numbers, text as text, as the sheet holds them."""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, BinaryIO

from etl_assets.exceptions import did_you_mean
from etl_assets.sources.files.content import unpacked
from etl_assets.sources.files.options import MEBIBYTE, Reading
from etl_assets.sources.files.sheets.cells import BYTES_OF_A_VALUE, Book, Row
from etl_assets.sources.files.sheets.columns import SheetColumns
from etl_assets.sources.files.sheets.package import package
from etl_assets.sources.files.sheets.rows import SheetRows

if TYPE_CHECKING:
    import pyarrow as pa

SHEET_FORMATS = ("xlsx", "xlsb", "xls", "ods")

_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""What files of the old format begin with; new ones do that are locked with a password."""
_PATTERN = frozenset("*?[")


def sheet_tables(reading: Reading) -> Iterator[tuple["pa.Table", Sequence[int]]]:
    """Yield the rows of the sheets that were asked for, as tables.

    Rows without any value are passed over.

    Raises:
        DataError: A sheet is not what it should be; names file, sheet, row and cell.
    """
    unpacked(reading, "Excel files")
    options = reading.options
    with _book(reading) as book:
        chosen = _chosen(book.sheets, reading)
        for place in chosen:
            rows = SheetRows(book.rows(place), reading, book.sheets[place])
            columns = SheetColumns(
                rows,
                reading,
                told=book.sheets[place] != options.sheet and not isinstance(options.sheet, int),
            )
            kept: list[Row] = []
            size, is_empty = 0, True
            for number, values in rows:
                kept.append((number, values))
                is_empty = False
                size += _size(values, reading, number)
                if len(kept) >= options.batch_rows or size >= options.batch_bytes:
                    yield columns.table(kept), array("q", [one for one, _ in kept])
                    kept, size = [], 0
            if kept or (
                is_empty and rows.names
            ):  # a sheet that is only a header has its columns all the same
                yield columns.table(kept), array("q", [one for one, _ in kept])


def _size(values: Sequence[object], reading: Reading, number: int) -> int:
    size = sum(len(value) if type(value) is str else BYTES_OF_A_VALUE for value in values)
    if size > reading.options.max_row_bytes:
        raise reading.error(
            f"a row of more than {reading.options.max_row_bytes} characters.",
            number,
            hint="Raise max_row_bytes.",
        )
    return size


@contextmanager
def _book(reading: Reading) -> Iterator[Book]:
    """Open a file by what is in it: many an `.xls` is of the new format."""
    with reading.open() as file:
        if file.read(len(_OLD)) == _OLD:
            file.seek(0)
            yield _old_book(_whole(file, reading), reading)
            return
        file.seek(0)
        with package(file, reading) as archive:
            if "content.xml" in archive:
                from etl_assets.sources.files.sheets.ods import OpenDocument

                yield OpenDocument(archive, reading)
                return
            if "xl/workbook.bin" in archive:
                from etl_assets.sources.files.sheets.xlsb import BinaryWorkbook

                yield BinaryWorkbook(archive, reading)
                return
            from etl_assets.sources.files.sheets.xlsx import Workbook

            yield Workbook(archive, reading)


def _whole(file: BinaryIO, reading: Reading) -> bytes:
    limit = reading.options.max_file_bytes
    data = bytearray()
    while part := file.read(MEBIBYTE):
        data += part
        if len(data) > limit:
            raise reading.error(
                f"holds more than {limit} bytes.", hint="Raise max_file_bytes if that is right."
            )
    return bytes(data)


def _old_book(data: bytes, reading: Reading) -> Book:
    from etl_assets.sources.files.sheets.xls import OldWorkbook

    if "EncryptedPackage".encode("utf-16-le") in data:
        raise reading.error("is locked with a password.", hint="Save it without one.")
    return OldWorkbook(data, reading)


def _chosen(sheets: Sequence[str], reading: Reading) -> list[int]:
    """Return the places of the sheets that were asked for by number, name or pattern, each once."""
    asked = reading.options.sheet
    several = [asked] if isinstance(asked, str | int) else asked
    return list(dict.fromkeys(place for one in several for place in _places(one, sheets, reading)))


def _places(asked: str | int, sheets: Sequence[str], reading: Reading) -> list[int]:
    if isinstance(asked, int):
        if not 0 <= asked < len(sheets):
            raise reading.error(
                f"has {len(sheets)} sheets, so none at {asked}.", hint="The first one is 0."
            )
        return [asked]
    if asked in sheets:
        return [sheets.index(asked)]
    found: list[int] = []
    if _PATTERN & {*asked}:
        found = [place for place, name in enumerate(sheets) if fnmatchcase(name, asked)]
    if not found:
        raise reading.error(f"has no sheet {asked!r}.", hint=did_you_mean(asked, sheets))
    return found
