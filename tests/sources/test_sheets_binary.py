"""Binary workbooks (`.xlsb`): every kind of cell that they have, written record by record."""

import struct
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from etl_assets.exceptions import DataError
from tests.sources.workbooks import binary_workbook, only, record, rows_of, wide


def row(number: int, *cells: bytes) -> bytes:
    return record(0, struct.pack("<I", number - 1) + bytes(13)) + b"".join(cells)


def cell(kind: int, place: int, data: bytes = b"", style: int = 0) -> bytes:
    return record(kind, struct.pack("<II", place, style) + data)


def small(number: int, flags: int) -> bytes:
    return struct.pack("<i", number << 2 | flags)


HALF = struct.pack("<I", struct.unpack("<II", struct.pack("<d", 0.5))[1])
HEADER = row(1, cell(6, 0, wide("k")), cell(7, 1, struct.pack("<I", 0)))
TEXTS = ["v", "ü\U0001f600 x_x000D_", ""]


def double(number: float) -> bytes:
    return struct.pack("<d", number)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (cell(1, 1), None),
        (cell(2, 1, small(-7, 2)), -7),
        (cell(2, 1, small(1234, 3)), 12.34),
        (cell(2, 1, HALF), 0.5),
        (cell(2, 1, small(2, 2), style=1), date(1900, 1, 2)),
        (cell(4, 1, b"\1"), True),
        (cell(5, 1, double(0.1)), 0.1),
        (cell(5, 1, double(3.0)), 3),
        (cell(5, 1, double(1.5), style=2), timedelta(hours=36)),
        (cell(6, 1, wide("007")), "007"),
        (cell(7, 1, struct.pack("<I", 1)), TEXTS[1]),
        (cell(7, 1, struct.pack("<I", 2)), ""),
        (cell(8, 1, wide("") + b"formula"), ""),
        (cell(8, 1, wide("ok") + b"formula"), "ok"),
        (cell(9, 1, double(2.5) + b"formula"), 2.5),
        (cell(10, 1, b"\0formula"), False),
        (cell(62, 1, b"\1" + wide("rich") + b"runs"), "rich"),
        (record(16, struct.pack("<I", 0) + double(9.5)), 9.5),
        (record(18, struct.pack("<II", 0, 1)), TEXTS[1]),
    ],
)
def test_a_cell_of_a_binary_workbook_comes_back(data: bytes, value: Any, tmp_path: Path) -> None:
    rows = HEADER + row(2, cell(2, 0, small(1, 2)), data)
    found = only(binary_workbook(tmp_path / "a.xlsb", rows, texts=TEXTS))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (cell(3, 1, b"\x2a"), "line 2: cell B2 holds the error #N/A"),
        (cell(11, 1, b"\x07formula"), "line 2: cell B2 holds the error #DIV/0!"),
        (cell(2, 1, small(60, 2), style=1), "line 2: cell B2 holds '60': 1900-02-29"),
        (
            cell(7, 1, struct.pack("<I", 9)),
            "line 2: cell B2 holds '9': there are fewer shared texts",
        ),
        (
            cell(2, 0, small(1, 2)),
            "line 2: is no whole spreadsheet: a cell in column 1 is not behind column 1",
        ),
        (cell(2, 16384, small(1, 2)), "line 2: is no whole spreadsheet: a cell in column 16385"),
        (
            cell(6, 1, struct.pack("<I", 999)),
            "is no whole spreadsheet: a text is longer than its record",
        ),
        (record(5, b"\0\0"), "is no whole spreadsheet"),
        (record(5, bytes(200_000)), "has a record of 200000 bytes"),
        (row(1), "is no whole spreadsheet: row 1 is not behind row 2"),
        (b"\5\x10cut", "ends within a record"),
    ],
)
def test_what_no_value_can_be_read_of_in_a_binary_workbook_is_an_error(
    data: bytes, message: str, tmp_path: Path
) -> None:
    path = binary_workbook(
        tmp_path / "a.xlsb", HEADER + row(2, cell(2, 0, small(1, 2)), data), texts=TEXTS
    )
    with pytest.raises(DataError) as caught:
        rows_of(path, max_row_bytes=100_000)
    assert "a.xlsb" in str(caught.value)
    assert message in str(caught.value)


def test_days_of_a_binary_workbook_may_count_from_1904(tmp_path: Path) -> None:
    rows = HEADER + row(5, cell(5, 1, double(0), style=1))
    path = binary_workbook(tmp_path / "a.xlsb", rows, texts=TEXTS, from_1904=True)
    assert rows_of(path, with_origin=True) == [
        {"k": None, "v": date(1904, 1, 1), "_file": "a.xlsb", "_line": 5}
    ]
