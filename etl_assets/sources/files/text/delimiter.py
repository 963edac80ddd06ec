"""What stands between the cells of a CSV file, found in its first rows."""

import csv
from collections.abc import Callable, Iterator
from itertools import islice

from etl_assets.sources.files.options import MEBIBYTE, Reading
from etl_assets.sources.files.text.csv_lines import CsvLines

CANDIDATES = (",", ";", "\t", "|")
SAMPLE_ROWS = 1_000
SAMPLE_CHARACTERS = MEBIBYTE

Rows = Callable[[Iterator[str], str], Iterator[list[str]]]
"""Reads lines by a delimiter."""


def inferred_delimiter(lines: CsvLines, reading: Reading, rows: Rows) -> str:
    """Return the delimiter by which all of the first rows are of one width.

    Args:
        lines: The file's, from the header on.
        reading: The file.
        rows: Reads them.

    Raises:
        DataError: None of the usual ones is it, or several may be.
    """
    sample, size = [], 0
    for line in islice(lines, SAMPLE_ROWS):
        lines.used = 0
        sample.append(line)
        size += len(line)
        if size > SAMPLE_CHARACTERS:
            break
    if not sample:
        return CANDIDATES[0]
    found = [one for one in CANDIDATES if _is_even(sample, one, reading, rows)]
    if len(found) == 1:
        return found[0]
    if not found and not any(one in line for one in CANDIDATES for line in sample):
        return CANDIDATES[0]  # of a single column
    several = "none gives its first rows one width"
    if found:
        several = f"several fit: {', '.join(map(repr, found))}"
    raise reading.error(
        f"its delimiter is not clear: {several}.", hint='Say it, for example delimiter=";".'
    )


def _is_even(sample: list[str], delimiter: str, reading: Reading, rows: Rows) -> bool:
    short = reading.options.short_rows != "error"
    width = 0
    try:
        for cells in rows(iter(sample), delimiter):
            if not cells:
                continue
            width = width or len(cells)
            if width == 1 or len(cells) > width or (len(cells) < width and not short):
                return False
    except csv.Error:
        pass  # the sample may end within a row; what is wrong before, the reader tells
    return width > 1
