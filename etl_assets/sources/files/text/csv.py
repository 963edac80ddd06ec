"""CSV files: every row has the header's width, text stays text, and every error says its line.

A file is read in blocks. Those that are plain (`csv_blocks`) are read as columns, and all others
row by row, in the exact way (`csv_rows`): both give the same texts, and only the second can tell
what is wrong.
"""

import codecs
import csv
import io
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from etl_assets.sources.files.content import content
from etl_assets.sources.files.options import MEBIBYTE, Reading
from etl_assets.sources.files.text.csv_blocks import (
    BLOCK_BYTES,
    Block,
    BlockFile,
    Blocks,
    Dialect,
    Plain,
    has_ascii_bytes,
    in_utf_8,
    is_utf_8,
    proven,
)
from etl_assets.sources.files.text.csv_columns import columns_of
from etl_assets.sources.files.text.csv_lines import CsvLines
from etl_assets.sources.files.text.csv_rows import (
    Checks,
    Header,
    Row,
    delimiter_of,
    header_of,
    rows_of,
)
from etl_assets.sources.files.text.lines import Start
from etl_assets.sources.files.text.tables import (
    Chunk,
    ColumnChunk,
    RowChunk,
    Rows,
    properties_of,
    text_tables,
)

if TYPE_CHECKING:
    import pyarrow as pa

HEAD_BYTES = MEBIBYTE
"""A file whose header ends behind so many bytes is read row by row."""


def csv_tables(reading: Reading) -> Iterator[tuple["pa.Table | Rows", Sequence[int]]]:
    """Return a file as tables, with the lines that their rows begin on.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    return text_tables(chunks, reading)


def csv_properties(reading: Reading) -> dict[str, Any]:
    """Return what a file's header alone says of its columns, as properties of a JSON Schema."""
    return properties_of(next(chunks(reading, head=True)).names, reading)


def chunks(reading: Reading, *, head: bool = False) -> Iterator[Chunk]:
    """Yield the rows of a file in chunks.

    At least one, which may have no rows. With `head` that one is all.
    """
    # A limit of the whole process; ours is the one for rows.
    csv.field_size_limit(max(csv.field_size_limit(), reading.options.max_row_bytes))
    with content(reading) as binary:
        head_bytes = binary.read(HEAD_BYTES)
        file = BlockFile(head_bytes, partial(binary.read1, io.DEFAULT_BUFFER_SIZE))
        lines = CsvLines(io.BufferedReader(file), reading)
        delimiter = delimiter_of(lines, reading)
        rows = rows_of(lines, reading, delimiter)
        header = header_of(rows, lines, reading)
        if head or not header.names:
            yield RowChunk(header.names)
            return
        dialect = _dialect_of_bytes(delimiter, lines, reading)
        begin = None if file.is_extended else _place_behind(header.before, head_bytes)
        if dialect is None or begin is None:
            first = [] if header.first is None else [header.first]
            checked = Checks(header, reading).rows(chain(first, rows))
            found: Iterator[Chunk] = _row_chunks(checked, header, reading)
        else:
            blocks = Blocks(head_bytes[begin:], binary)
            encoding = "utf-8" if is_utf_8(lines.encoding) else lines.encoding
            found = _block_chunks(blocks, dialect, header, reading, encoding)
        is_empty = True
        for chunk in found:
            yield chunk
            is_empty = False
        if is_empty:
            yield RowChunk(header.names)


def _dialect_of_bytes(delimiter: str, lines: CsvLines, reading: Reading) -> Dialect | None:
    """Return how cells are told apart by their bytes alone; None if that takes more."""
    options = reading.options
    passes_over_lines = options.comment is not None or options.skip_footer
    is_row_limited = options.max_row_bytes < BLOCK_BYTES
    if (
        not has_ascii_bytes(lines.encoding)
        or lines.escape is not None
        or passes_over_lines
        or is_row_limited
    ):
        return None
    characters = delimiter + (options.quote or "")
    if not characters.isascii() or any(one in characters for one in "\r\n\0"):
        return None
    quote = None if options.quote is None else options.quote.encode()
    return None if options.quote == delimiter else Dialect(delimiter.encode(), quote)


def _place_behind(lines: int, first: bytes) -> int | None:
    """Return where the bytes behind some lines begin.

    None if the lines do not all end in a line feed, or are more than there are.
    """
    place = len(codecs.BOM_UTF8) if first.startswith(codecs.BOM_UTF8) else 0
    for _ in range(lines):
        place = first.find(b"\n", place) + 1
        if not place:
            return None
    are_fed = first.count(b"\r", 0, place) == first.count(b"\r\n", 0, place)
    return place if are_fed else None


def _row_chunks(rows: Iterator[Row], header: Header, reading: Reading) -> Iterator[RowChunk]:
    """Yield rows in chunks of bounded size."""
    options = reading.options
    chunk, size = RowChunk(header.names), 0
    for line, cells, length in rows:
        chunk.rows.append(cells)
        chunk.lines.append(line)
        size += length
        if len(chunk.rows) >= options.batch_rows or size >= options.batch_bytes:
            yield chunk
            chunk, size = RowChunk(header.names), 0
    if chunk.rows:
        yield chunk


def _block_chunks(
    blocks: Blocks, dialect: Dialect, header: Header, reading: Reading, encoding: str
) -> Iterator[Chunk]:
    """Yield the rows behind a header: those of plain blocks as columns."""
    checks, line = Checks(header, reading), header.before
    wanted = [name for name in header.names if reading.reads(name)] or header.names
    while (block := blocks.next(dialect.quote)).data:
        recoded = in_utf_8(block, encoding)
        plain = None if recoded is None else proven(recoded, dialect)
        texts = None
        if recoded is not None and plain is not None:
            texts = columns_of(recoded, plain, dialect, header.names, wanted)
        if plain is None or texts is None:
            file = BlockFile(block.data, blocks.line)
            lines = CsvLines(io.BufferedReader(file), reading, Start(line, encoding))
            rows = _rows_of(lines, file, dialect, reading)
            yield from _row_chunks(checks.rows(rows), header, reading)
            line = lines.number
            continue
        numbers = _numbers(plain, line)
        checks.begin(numbers[0], _first_row(block, dialect, reading, Start(line, encoding)))
        line += plain.lines
        step = _rows_of_a_batch(block, plain, reading)
        for place in range(0, plain.rows, step):
            part = slice(place, place + step)
            yield ColumnChunk(header.names, texts.slice(place, step), numbers[part])


def _rows_of_a_batch(block: Block, plain: Plain, reading: Reading) -> int:
    """Return how many rows of a block a batch has: about as many bytes as it may hold."""
    options = reading.options
    by_bytes = plain.rows * options.batch_bytes // len(block.data)
    return max(1, min(options.batch_rows, by_bytes))


def _numbers(plain: Plain, line: int) -> Sequence[int]:
    """Return the lines that the rows of a block begin on, where it begins behind one."""
    if isinstance(plain.starts, range):
        return range(line + 1, line + 1 + plain.rows)
    return array("q", (plain.starts + (line + 1)).tobytes())


def _first_row(block: Block, dialect: Dialect, reading: Reading, start: Start) -> Sequence[str]:
    """Return the cells of the first row, if they are to be looked at."""
    if isinstance(reading.options.header, bool):
        return ()
    lines = CsvLines(io.BufferedReader(io.BytesIO(block.data)), reading, start)
    return next(rows_of(lines, reading, dialect.delimiter.decode()))[1]


def _rows_of(lines: CsvLines, file: BlockFile, dialect: Dialect, reading: Reading) -> Iterator[Row]:
    """Yield rows to the end of a block, or of its last row, which may be behind that."""
    for row in rows_of(lines, reading, dialect.delimiter.decode()):
        yield row
        if file.is_used_up(lines.feeds):
            return
