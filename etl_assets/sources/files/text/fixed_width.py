"""Files whose columns stand at fixed places of each line, filled up with spaces."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError
from etl_assets.sources.files.content import content
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.text.lines import TableLines
from etl_assets.sources.files.text.tables import Chunk, RowChunk, Rows, properties_of, text_tables

if TYPE_CHECKING:
    import pyarrow as pa

Span = tuple[int, int | None]
"""The first character of a column, counted from 0, and the one behind its last.

None is the end of the line.
"""


def spans_of(columns: Mapping[str, Any]) -> dict[str, Span]:
    """Return the places of columns: each is `[start, end]`, or a width behind the one before.

    Raises:
        ConfigError: There are none, or one is nothing of the kind.
    """
    spans: dict[str, Span] = {}
    before: int | None = 0
    for name, given in columns.items():
        start, end = (before, None) if isinstance(given, int) else _pair(name, given)
        if isinstance(given, int) and start is not None:
            end = start + given
        if start is None or not 0 <= start < (start + 1 if end is None else end):
            raise ConfigError(f"columns: {name!r} is at {given!r}.", hint=_HINT)
        spans[name] = (start, end)
        before = end
    if not spans:
        raise ConfigError("columns is empty.", hint=_HINT)
    for (name, (_, end)), (other, (start, _)) in pairwise(
        sorted(spans.items(), key=lambda one: one[1][0])
    ):
        if end is None or end > start:
            raise ConfigError(f"columns: {name!r} and {other!r} overlap.", hint=_HINT)
    return spans


_HINT = (
    'For example columns={"id": [0, 5], "name": [5, 25]}, counted from 0, or the widths: '
    '{"id": 5, "name": 20}.'
)


def _pair(name: str, given: Any) -> tuple[Any, Any]:
    match given:
        case [int() as start, int() | None as end]:
            return start, end
    raise ConfigError(f"columns: {name!r} is at {given!r}.", hint=_HINT)


def fixed_width_tables(reading: Reading) -> Iterator[tuple["pa.Table | Rows", Sequence[int]]]:
    """Return a file as tables, with the lines that their rows stand on.

    Raises:
        DataError: A line is shorter or longer than its columns; names file and line.
    """
    return text_tables(fixed_width_chunks, reading)


def fixed_width_properties(reading: Reading) -> dict[str, Any]:
    """Return what is known of the columns, as properties of a JSON Schema."""
    return properties_of(list(_spans(reading)), reading)


def _spans(reading: Reading) -> dict[str, Span]:
    if not reading.options.columns:
        raise ConfigError(
            f"stream {reading.stream.name!r}: nothing tells where the columns of "
            f"{reading.file!r} stand.",
            hint=f"Say it with columns. {_HINT}",
            stream=reading.stream.name,
        )
    return spans_of(reading.options.columns)


def fixed_width_chunks(reading: Reading) -> Iterator[Chunk]:
    """Yield the rows of a file in chunks; at least one, which may have no rows."""
    options = reading.options
    spans = _spans(reading)
    with content(reading) as binary:
        chunk, size, is_first = RowChunk(list(spans)), 0, True
        for number, text in _rows(TableLines(binary, reading), reading):
            cells = _cells(text, spans, number, reading)
            if is_first and cells == list(spans):
                hint = f"Pass the line over with skip_rows={number}."
                raise reading.error("the names of the columns stand here, too.", number, hint=hint)
            is_first = False
            chunk.rows.append(cells)
            chunk.lines.append(number)
            size += len(text)
            if len(chunk.rows) >= options.batch_rows or size >= options.batch_bytes:
                yield chunk
                chunk, size = RowChunk(list(spans)), 0
        yield chunk


def _rows(lines: TableLines, reading: Reading) -> Iterator[tuple[int, str]]:
    """Yield the lines that are rows; those without a character at the end are passed over."""
    blank: int | None = None
    for text in lines:
        lines.used = 0
        if not text.rstrip("\r\n"):
            blank = blank or (None if lines.ends_the_one_before() else lines.number)
            continue
        if blank is not None and not reading.options.skip_blank_lines:
            raise reading.error(
                "an empty line between rows.",
                blank,
                hint="skip_blank_lines=True passes such lines over.",
            )
        yield lines.number, text


def _cells(text: str, spans: Mapping[str, Span], number: int, reading: Reading) -> list[str | None]:
    line = text.rstrip("\r\n")
    _refuse_rest(line, spans, number, reading)
    cells: list[str | None] = []
    for name, (start, end) in spans.items():
        if end is not None and start < len(line) < end and line == text:
            # With its line's end it would be a cell whose last spaces were left out.
            raise reading.error(
                f"the last line ends within {name!r}, without a line's end: was the file cut?",
                number,
                hint="If it is whole, let the column reach to the end of the line: "
                f"[{start}, None].",
            )
        if start < len(line) or end is None:
            cells.append(line[start:end].strip(" "))
        elif reading.options.short_rows == "null":
            cells.append(None)
        else:
            raise reading.error(
                f"{len(line)} characters, and {name!r} begins at {start}.",
                number,
                hint='short_rows="null" reads the columns that are missing as NULL.',
            )
    return cells


def _refuse_rest(line: str, spans: Mapping[str, Span], number: int, reading: Reading) -> None:
    """Refuse what stands behind the last column: a width is wrong, or the line is no row."""
    ends = [end for _, end in spans.values()]
    last = max(end or len(line) for end in ends)
    if None not in ends and line[last:].strip(" "):
        raise reading.error(
            f"{len(line)} characters, where the columns end at {last}.",
            number,
            value=line[last:],
            hint=f"If it is data, give it a column: [{last}, None]. If the line is no row, "
            "skip_rows, skip_footer or comment passes it over.",
        )
