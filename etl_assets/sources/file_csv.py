"""CSV files: every row has the header's width, text stays text, and every error says its line."""

import csv
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etl_assets.sources.file_cells import CellError, declared_types, joined_kind, type_of_kind, typed_column
from etl_assets.sources.file_content import Lines, content
from etl_assets.sources.file_options import Reading

if TYPE_CHECKING:
    import pyarrow as pa

MAX_COLUMNS = 20_000


@dataclass
class Chunk:
    """Some rows of a file.

    Args:
        names: Of the columns.
        rows: As many cells each as there are names.
        lines: On which line each row begins.
    """

    names: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    lines: "array[int]" = field(default_factory=lambda: array("q"))

    def columns(self, nulls: frozenset[str]) -> Iterator[tuple[str, Sequence[str | None]]]:
        """Give names and texts, column by column."""
        columns = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.names)
        for name, texts in zip(self.names, columns, strict=True):
            yield name, [None if text in nulls else text for text in texts] if nulls else texts


def csv_tables(reading: Reading) -> Iterator[tuple["pa.Table", Sequence[int]]]:
    """Give a file as tables, with the lines that their rows begin on.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    types = declared_types(reading)
    if reading.options.types == "infer":
        types = {**_inferred(reading), **types}
    for chunk in chunks(reading):
        table, lines = _table(chunk, types, reading), chunk.lines
        chunk.rows.clear()  # before the next ones are read: the texts take several times what the table does
        yield table, lines


def csv_header(reading: Reading) -> Sequence[str]:
    """Give the names of a file's columns."""
    return next(chunks(reading, head=True)).names


def _table(chunk: Chunk, types: dict[str, "pa.DataType"], reading: Reading) -> "pa.Table":
    import pyarrow as pa

    arrays, names = [], []
    for name, texts in chunk.columns(frozenset(reading.options.null_values)):
        if not reading.reads(name):
            continue
        names.append(name)
        type_ = types.get(name)
        if type_ is None:
            arrays.append(pa.array(texts, pa.string()))
            continue
        try:
            arrays.append(typed_column(texts, type_, reading, name))
        except CellError as error:
            line = chunk.lines[error.row]
            raise reading.error(f"{error.reason}.", line, field=name, value=error.text) from error
    return pa.table(arrays, names=names)


def _inferred(reading: Reading) -> dict[str, "pa.DataType"]:
    """Read the whole file for the types of its columns: a few rows would not tell."""
    declared = (reading.stream.schema or {}).get("properties") or {}
    kinds: dict[str, str | None] = {}
    for chunk in chunks(reading):
        for name, texts in chunk.columns(frozenset(reading.options.null_values)):
            kinds[name] = joined_kind(kinds.get(name), texts)
    types = {name: type_of_kind(kind) for name, kind in kinds.items()}
    # What the catalog says to be text, stays text.
    said = {name for name, prop in declared.items() if prop.get("x-arrow") != "values"}
    return {name: type_ for name, type_ in types.items() if type_ is not None and name not in said}


def chunks(reading: Reading, *, head: bool = False) -> Iterator[Chunk]:
    """Give the rows of a file in chunks; at least one, which may have no rows. With `head` that one is all."""
    options = reading.options
    # A limit of the whole process; ours is the one for rows.
    csv.field_size_limit(max(csv.field_size_limit(), options.max_row_bytes))
    with content(reading) as binary:
        lines = Lines(binary, reading)
        rows = _rows(lines, reading)
        names, first = _names(rows, reading)
        if head or not names:
            yield Chunk(names)
            return
        chunk, size = Chunk(names), 0
        if first is not None:
            chunk.rows.append(first[1])
            chunk.lines.append(first[0])
        for line, cells, length in _checked(rows, len(names), reading):
            chunk.rows.append(cells)
            chunk.lines.append(line)
            size += length
            if len(chunk.rows) >= options.batch_rows or size >= options.batch_bytes:
                yield chunk
                chunk, size = Chunk(names), 0
        yield chunk


_Row = tuple[int, list[str], int]
"""The line it begins on, its cells, and how many characters it took."""


def _rows(lines: Lines, reading: Reading) -> Iterator[_Row]:
    options = reading.options
    dialect: dict[str, Any] = {"delimiter": reading.delimiter, "strict": True}
    dialect.update({"quotechar": options.quote} if options.quote else {"quoting": csv.QUOTE_NONE})
    before = 0
    try:
        for cells in csv.reader(lines, **dialect):
            if not cells and lines.ends_the_one_before():
                lines.number -= 1
                continue
            yield before + 1, cells, lines.used
            before, lines.used = lines.number, 0
    except csv.Error as error:
        reason = str(error)
        if reason == "unexpected end of data":
            reason = "a quote that is opened here, or on a later line, is never closed"
        raise reading.error(f"{reason}.", before + 1) from error


def _names(rows: Iterator[_Row], reading: Reading) -> tuple[Sequence[str], tuple[int, list[str]] | None]:
    """Give the columns' names, and the first row where it was needed to tell how many there are."""
    header = reading.options.header
    first = None
    if header is True:
        line, names, _ = next(rows, (1, [], 0))
    elif header is False:
        line, cells, _ = next(rows, (1, [], 0))
        names = [f"column_{number}" for number in range(1, len(cells) + 1)]
        first = (line, cells) if cells else None
    else:
        line, names = 1, list(header)
    if header is True and not names:
        raise reading.error("has no header.", line, hint="Pass it over, or say header=False, or name the columns.")
    if len(names) > MAX_COLUMNS:
        raise reading.error(f"{len(names)} columns, at most {MAX_COLUMNS}.", line)
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise reading.error(
            f"two columns are called {twice!r}.", line, hint="Name the columns with header=[...], or correct the file."
        )
    return names, first


def _checked(rows: Iterator[_Row], width: int, reading: Reading) -> Iterator[_Row]:
    """Give the rows of the right width; lines without a character at the end are passed over."""
    empty: int | None = None
    for line, cells, length in rows:
        if not cells and width > 1:
            empty = empty or line
            continue
        if empty is not None:
            raise reading.error("an empty line between rows.", empty)
        row = cells or [""]
        if len(row) != width:
            raise reading.error(f"{len(row)} cells, where the header has {width}.", line)
        yield line, row, length
