"""What a sheet's reader gives of its cells, whatever the format of its file."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from etl_assets.exceptions import shorten
from etl_assets.model.values.exact_numbers import EXACT_DOUBLE

BYTES_OF_A_VALUE = 16
"""What a number or a date counts in a batch."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands for a cell's value where it has none that can be read; an error, if it is needed.

    Args:
        text: What the file holds, if it holds anything; if `null_values` has it, the cell is NULL.
        problem: What is wrong, as a predicate of the cell.
        hint: What to do.
    """

    text: str | None
    problem: str
    hint: str | None = None

    @classmethod
    def error(cls, code: str) -> "Unreadable":
        """Return what stands for an error, such as `#N/A`."""
        return cls(code, f"holds the error {code}", "List it in null_values to read it as NULL.")

    @classmethod
    def uncomputed(cls) -> "Unreadable":
        """Return what stands for a formula whose outcome the file does not hold."""
        problem = "is a formula whose value is not stored in the file"
        return cls(None, problem, "Open and save the file with a spreadsheet program.")

    @classmethod
    def wrong(cls, text: str, why: str) -> "Unreadable":
        """Return what stands for a text that is no value of its cell's type."""
        told = shorten(text)
        return cls(
            text,
            f"holds {told}: {why}",
            f"Correct the cell, or list {told} in null_values to read it as NULL.",
        )


_ERRORS = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}


def error_code(number: int) -> str:
    """Return the error that binary formats hold as a number."""
    return _ERRORS.get(number, f"error {number}")


Row = tuple[int, list[Any]]
"""The number of a row, from 1 on, and its cells: plain values, None, or `Unreadable`."""


class Book(Protocol):
    """A file of sheets."""

    sheets: Sequence[str]

    def rows(self, sheet: int) -> Iterator[Row]:
        """Return the rows of a sheet that have a cell, in their order."""


def number_of(text: str) -> int | float:
    """Return the number that a text is, as sheets have them: a double.

    A whole one as an integer, to its last digit.

    Raises:
        ValueError: It is no number, or an infinite one.
    """
    try:
        return int(text) if text.isdecimal() and text.isascii() else _double(text.strip())
    except ValueError:
        raise ValueError("not a number") from None


def _double(text: str) -> int | float:
    if text.lstrip("+-").isdecimal() and text.isascii():
        return int(text)
    number = float(text)
    if not math.isfinite(number) or "_" in text or not text.isascii():
        raise ValueError
    return whole(number)


def whole(number: float) -> int | float:
    """Return a double as an integer if it is one that no other integer shares.

    Sheets tell 1.0 from 1 nowhere.
    """
    return int(number) if number.is_integer() and abs(number) <= EXACT_DOUBLE else number
