"""CSV files: every row has the header's width, text stays text, and every error says its line."""

import csv
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etl_assets.protocol.arrays import array_of
from etl_assets.sources.file_cells import CellError, declared_types, typed_column
from etl_assets.sources.file_content import Lines, content
from etl_assets.sources.file_options import Reading
from etl_assets.sources.file_typing import converted, parts

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


Rows = list[dict[str, Any]]


def csv_tables(reading: Reading) -> Iterator[tuple["pa.Table | Rows", Sequence[int]]]:
    """Give a file as tables, with the lines that their rows begin on; as rows, where a column has values of two types.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    types = declared_types(reading)
    for chunk in chunks(reading):
        table, lines = _table(chunk, types, reading), chunk.lines
        chunk.rows.clear()  # before the next ones are read: the texts take several times what the table does
        yield table, lines


def text_columns(
    reading: Reading, wanted: Callable[[str], bool]
) -> "Iterator[tuple[Mapping[str, pa.Array | pa.ChunkedArray], Sequence[int]]]":
    """Give the columns of a file whose types are to be inferred as texts, with the lines that their rows begin on.

    Args:
        reading: The file.
        wanted: Tells whether a column is still to be looked at; the file ends where none is.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    import pyarrow as pa

    declared = (reading.stream.schema or {}).get("properties") or {}
    # What the catalog says to be text, stays text.
    said = {name for name, prop in declared.items() if prop.get("x-arrow") != "values"}
    for chunk in chunks(reading):
        names = {name for name in chunk.names if name not in said and reading.reads(name) and wanted(name)}
        if not names:
            return
        columns = chunk.columns(frozenset(reading.options.null_values))
        yield {name: array_of(texts, pa.string()) for name, texts in columns if name in names}, chunk.lines


def csv_header(reading: Reading) -> Sequence[str]:
    """Give the names of a file's columns."""
    return next(chunks(reading, head=True)).names


def _table(chunk: Chunk, types: dict[str, "pa.DataType"], reading: Reading) -> "pa.Table | Rows":
    import pyarrow as pa

    columns: dict[str, Any] = {}
    for name, texts in chunk.columns(frozenset(reading.options.null_values)):
        if not reading.reads(name):
            continue
        try:
            if name in types:
                columns[name] = typed_column(texts, types[name], reading, name)
            else:
                columns[name] = _inferred(array_of(texts, pa.string()), reading, name)
        except CellError as error:
            line = chunk.lines[error.row]
            raise reading.error(f"{error.reason}.", line, field=name, value=error.text) from error
    if not any(isinstance(column, list) for column in columns.values()):
        return pa.table(columns)
    lists = [column if isinstance(column, list) else column.to_pylist() for column in columns.values()]
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _inferred(
    texts: "pa.Array | pa.ChunkedArray", reading: Reading, name: str
) -> "pa.Array | pa.ChunkedArray | list[Any]":
    """Give a column of the type that was inferred; a list of values, where some do not fit one that may not change."""
    import pyarrow as pa

    type_ = reading.inferred.types.get(name)
    if type_ is None:
        return texts
    if name in reading.inferred.held:
        found = parts(texts, type_)
        if not all(fit for fit, _ in found):
            return [value for _, part in found for value in part.to_pylist()]
    try:
        return converted(texts, type_)
    except pa.ArrowInvalid as error:  # the file was another one when it was looked at
        raise CellError(0, str(texts[0]), f"does not fit {type_}, which was inferred: {error}") from error


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
