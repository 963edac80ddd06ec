"""How the cells of a sheet are called: columns by letters, rows by numbers, ranges by corners."""

import re

from etl_assets.exceptions import ConfigError

MAX_COLUMNS = 16_384
MAX_ROW = 2**31

_RANGE = re.compile("([A-Z]{1,3})?([1-9][0-9]{0,6})?:([A-Z]{1,3})?([1-9][0-9]{0,6})?")


def column_at(letters: str) -> int | None:
    """Return the place of a column by its letters, from 0 on: `A`, `Z`, `AA`, ....

    None beyond the last one.
    """
    place = 0
    for letter in letters:
        if not "A" <= letter <= "Z":
            return None
        place = place * 26 + ord(letter) - ord("A") + 1
        if place > MAX_COLUMNS:
            return None
    return place - 1 if letters else None


def column_letters(place: int) -> str:
    """Return the letters of the column at a place, from 0 on."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def range_of(cells: str | None) -> tuple[int, int, int, int]:
    """Return a range: its first row (from 1), first column (from 0), last row, and end column.

    Raises:
        ConfigError: It is no range.
    """
    if cells is None:
        return 1, 0, MAX_ROW, MAX_COLUMNS
    match = _RANGE.fullmatch(str(cells).upper())
    ends = [column_at(letters) for letters in (match[1] or "A", match[3] or "XFD")] if match else []
    if match is None or None in ends:
        raise ConfigError(
            f"cells is {cells!r}.", hint='It is a range: "B3:F20", "B3:F", "B:F" or "3:20".'
        )
    left, last = (end or 0 for end in ends)
    top, bottom = int(match[2] or 1), int(match[4] or MAX_ROW)
    if last < left or bottom < top:
        raise ConfigError(
            f"cells is {cells!r}, which ends before it begins.", hint='For example "B3:F20".'
        )
    return top, left, bottom, last + 1
