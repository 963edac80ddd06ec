"""The names of a table's columns, of one or several rows of header."""

from collections import Counter
from collections.abc import Sequence

JOINED_BY = "_"
SHOWN = 500
"""Names of more characters than this are not suggested one by one."""


def joined_names(rows: Sequence[Sequence[str | None]]) -> list[str]:
    """Join the rows of a header, column by column, without the cells that are empty.

    A cell of an upper row that spans several columns (`Sales` over `2025` and `2026`) is saved in
    the first of them,
    and the others are empty: they continue it. A cell that has nothing below it is a whole name:
        nothing continues it.

    Args:
        rows: The header's rows, from the top; the shorter ones end in empty cells.
    """
    width = max((len(row) for row in rows), default=0)
    padded = [[*(cell or "" for cell in row), *[""] * (width - len(row))] for row in rows]
    for place, row in enumerate(padded[:-1]):
        below = padded[place + 1 :]
        spanning = ""
        for column in range(width):
            has_below = any(lower[column] for lower in below)
            if row[column]:
                spanning = row[column] if has_below else ""
            elif has_below:
                row[column] = spanning
            else:
                spanning = ""
    return [JOINED_BY.join(cell for cell in column if cell) for column in zip(*padded, strict=True)]


def repeated(names: Sequence[str]) -> str | None:
    """Return the first name that comes twice."""
    return next((name for name, times in Counter(names).items() if times > 1), None)


def naming_hint(names: Sequence[str], line: int, rows: int = 1) -> str:
    """Return how the columns get names of their own, in the place of those in the file.

    Args:
        names: Those in the file.
        line: The last line, or row, of the file's header.
        rows: How many rows of it were asked for.
    """
    numbered: list[str] = []
    for place, name in enumerate(names, 1):
        own = name or f"column_{place}"
        number = 2
        while own in numbered or (own != name and own in names):
            own = f"{name or f'column_{place}'}_{number}"
            number += 1
        numbered.append(own)
    shown = (
        ", ".join(repr(name) for name in numbered) if len(", ".join(numbered)) <= SHOWN else "..."
    )
    way = f"header=[{shown}], skip_rows={line}{left_out(rows)}"
    told = f"ame all columns and pass the file's own header over: {way}. Or correct the file."
    if "" not in names:
        return f"N{told}"
    # Followed to the letter for a title, the names alone would load the true header as a row.
    return (
        "If this is a title and no header, pass over all lines before the header with skip_rows. "
        f"Else n{told}"
    )


def left_out(rows: int) -> str:
    """Return the part of a hint that has header_rows left out, if it was asked for."""
    return " (without header_rows)" if rows > 1 else ""
