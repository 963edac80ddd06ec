"""Binary workbooks (`.xlsb`, MS-XLSB): records instead of XML, each cell as it is held."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.sheets.cell_range import MAX_COLUMNS, MAX_ROW
from etl_assets.sources.files.sheets.cells import Row, Unreadable, error_code, whole
from etl_assets.sources.files.sheets.number_formats import Shown, dated, shown_by_style
from etl_assets.sources.files.sheets.package import Package, related

_ROW, _SHARED_TEXT, _FORMAT, _STYLE = 0, 19, 44, 47
_PROPERTIES, _SHEET, _CELL_STYLES, _CELL_STYLES_END = 153, 156, 617, 618
_BLANK, _SMALL, _ERROR, _BOOLEAN, _DOUBLE, _TEXT, _TEXT_NUMBER = range(1, 8)
_FORMULA_TEXT, _FORMULA_DOUBLE, _FORMULA_BOOLEAN, _FORMULA_ERROR, _RICH_TEXT = 8, 9, 10, 11, 62
_SHORT, _SHORT_END = 12, 18
"""Cells that do not say their column (it is the next one) have the others' numbers, and 11 more."""
_CELLS = {*range(_BLANK, _SHORT_END + 1), _RICH_TEXT}
_MORE = 0x80
_NO_TEXT = 0xFFFFFFFF
_CHUNK = 256 * 1024


class BinaryWorkbook:
    """A binary workbook; its sheets are read when they are asked for.

    Args:
        package: The archive.
        reading: What is read.

    Raises:
        DataError: It is not what it should be.
    """

    def __init__(self, package: Package, reading: Reading) -> None:
        self._package = package
        self._reading = reading
        path = next(iter(related(package, "", "officeDocument").values()), "xl/workbook.bin")
        parts = related(package, path, "worksheet")
        self._from_1904 = False
        listed: list[tuple[str, str]] = []
        for kind, data in self._records(path):
            if kind == _PROPERTIES:
                self._from_1904 = bool(data[0] & 1)
            elif kind == _SHEET:
                id_, end = self._text(data, 8)
                name, _ = self._text(data, end)
                if id_ in parts:
                    listed.append((name, parts[id_]))
        self.sheets: Sequence[str] = [name for name, _ in listed]
        self._parts = [part for _, part in listed]
        self._shown = self._read_styles(related(package, path, "styles"))
        self._texts_parts = list(related(package, path, "sharedStrings").values())
        self._texts: list[str] = []

    def rows(self, sheet: int) -> Iterator[Row]:
        """Yield the rows of a sheet that have a cell, in their order.

        Raises:
            DataError: The sheet is not what it should be.
        """
        while self._texts_parts:
            self._texts += [
                self._text(data, 1)[0]
                for kind, data in self._records(self._texts_parts.pop())
                if kind == _SHARED_TEXT
            ]
        values: list[Any] = []
        number = size = 0
        for kind, data in self._records(self._parts[sheet]):
            if kind == _ROW:
                if values:
                    yield number, values
                before, number = number, self._integer(data, 0) + 1
                values, size = [], 0
                if not before < number < MAX_ROW:
                    raise self._damaged(before, f"row {number} is not behind row {before}")
            elif kind in _CELLS and number:
                size += len(data)
                if size > self._reading.options.max_row_bytes:
                    raise self._damaged(
                        number, f"a row of more than {self._reading.options.max_row_bytes} bytes"
                    )
                self._put(kind, data, values, number)
        if values:
            yield number, values

    def _put(self, kind: int, data: bytes, values: list[Any], number: int) -> None:
        is_short = _SHORT <= kind <= _SHORT_END
        place = len(values) if is_short else self._integer(data, 0)
        at = 0 if is_short else 4
        if not len(values) <= place < MAX_COLUMNS:
            raise self._damaged(
                number, f"a cell in column {place + 1} is not behind column {len(values)}"
            )
        style = self._integer(data, at) & 0xFFFFFF
        values.extend([None] * (place - len(values)))
        values.append(
            self._value(kind - 11 if is_short else kind, data, at + 4, self._shown.get(style))
        )

    def _value(self, kind: int, data: bytes, at: int, shown: Shown | None) -> Any:
        if kind in {_SMALL, _DOUBLE, _FORMULA_DOUBLE}:
            number = self._small(data, at) if kind == _SMALL else self._double(data, at)
            if shown is None:
                return whole(number)
            try:
                return dated(number, shown, from_1904=self._from_1904)
            except ValueError as error:
                return Unreadable.wrong(str(whole(number)), str(error))
        if kind == _TEXT_NUMBER:
            place = self._integer(data, at)
            if place < len(self._texts):
                return self._texts[place]
            return Unreadable.wrong(str(place), "there are fewer shared texts")
        if kind in {_TEXT, _FORMULA_TEXT}:
            return self._text(data, at)[0]
        if kind == _RICH_TEXT:
            return self._text(data, at + 1)[0]
        if kind in {_BOOLEAN, _FORMULA_BOOLEAN}:
            return data[at : at + 1] != b"\0"
        if kind in {_ERROR, _FORMULA_ERROR}:
            return Unreadable.error(error_code(data[at] if at < len(data) else -1))
        return None

    def _read_styles(self, parts: Mapping[str, str]) -> dict[int, Shown]:
        codes: dict[int, str] = {}
        formats: list[int] = []
        is_of_cells = False
        for part in parts.values():
            for kind, data in self._records(part):
                if kind == _FORMAT:
                    codes[self._short(data, 0)] = self._text(data, 2)[0]
                elif kind in {_CELL_STYLES, _CELL_STYLES_END}:
                    is_of_cells = kind == _CELL_STYLES
                elif kind == _STYLE and is_of_cells:
                    formats.append(self._short(data, 2))
        return shown_by_style(formats, codes)

    # Records

    def _records(self, part: str) -> Iterator[tuple[int, bytes]]:
        """Yield the records of a part: their kinds, and what they hold."""
        limit = self._reading.options.max_row_bytes
        with self._package.open(part) as file:
            rest, at = b"", 0
            while chunk := file.read(_CHUNK):
                rest, at = rest[at:] + chunk, 0
                while (record := _head(rest, at)) is not None:
                    kind, start, length = record
                    if length > limit:
                        raise self._reading.error(
                            f"{part} has a record of {length} bytes.", hint="Raise max_row_bytes."
                        )
                    if start + length > len(rest):
                        break
                    yield kind, rest[start : start + length]
                    at = start + length
            if at < len(rest):
                raise self._damaged(0, f"{part} ends within a record")

    def _text(self, data: bytes, at: int) -> tuple[str, int]:
        """Return a text and where it ends.

        One that is missing (its length is -1) as an empty one.
        """
        length = self._integer(data, at)
        if length == _NO_TEXT:
            return "", at + 4
        end = at + 4 + 2 * length
        if end > len(data):
            raise self._damaged(0, "a text is longer than its record")
        return data[at + 4 : end].decode("utf-16-le", "surrogatepass"), end

    def _unpacked(self, form: str, data: bytes, at: int) -> Any:
        try:
            return struct.unpack_from(form, data, at)[0]
        except struct.error as error:
            raise self._damaged(0, str(error)) from error

    def _integer(self, data: bytes, at: int) -> int:
        return int(self._unpacked("<I", data, at))

    def _short(self, data: bytes, at: int) -> int:
        return int(self._unpacked("<H", data, at))

    def _double(self, data: bytes, at: int) -> float:
        return float(self._unpacked("<d", data, at))

    def _small(self, data: bytes, at: int) -> float:
        """Return a number in four bytes: an integer or a double's upper half, maybe times 100."""
        bits = self._integer(data, at)
        if bits & 2:
            number = float(int(self._unpacked("<i", data, at)) >> 2)
        else:
            number = float(
                struct.unpack("<d", b"\0\0\0\0" + struct.pack("<I", bits & 0xFFFFFFFC))[0]
            )
        return number / 100 if bits & 1 else number

    def _damaged(self, number: int, why: str) -> Exception:
        return self._reading.error(f"is no whole spreadsheet: {why}.", number or None)


def _head(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Return a record's kind, where it begins and its length.

    None where its head is not whole yet.
    """
    try:
        kind = data[at]
        at += 1
        if kind & _MORE:
            kind = (kind & 0x7F) | (data[at] & 0x7F) << 7
            at += 1
        length = 0
        for shift in (0, 7, 14, 21):
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if not byte & _MORE:
                break
    except IndexError:
        return None
    return kind, at, length
