"""Rows that a reader gives one by one, as tables of bounded size."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.protocol.batch import declared_schema
from etl_assets.protocol.columns import rows_to_arrow
from etl_assets.sources.file_options import Reading

if TYPE_CHECKING:
    import pyarrow as pa

Tables = Iterator[tuple["pa.Table | list[dict[str, Any]]", Sequence[int]]]
"""Tables (rows, where a column has values of two types), each with the lines that its rows begin on: of a sheet or a
Parquet file, the rows."""

Rows = Iterator[tuple[int, Mapping[str, Any], int]]
"""Rows, each with the line it begins on and about how many bytes it takes."""


def row_tables(rows: Rows, reading: Reading) -> Tables:
    """Give rows as tables; a value that does not fit is an error that names its line."""
    options = reading.options
    kept: list[Mapping[str, Any]] = []
    lines, size = array("q"), 0
    for line, row, length in rows:
        kept.append(row)
        lines.append(line)
        size += length
        if len(kept) >= options.batch_rows or size >= options.batch_bytes:
            yield _table(kept, lines, reading), lines
            kept, lines, size = [], array("q"), 0
    if kept:
        yield _table(kept, lines, reading), lines


def _table(rows: Sequence[Mapping[str, Any]], lines: Sequence[int], reading: Reading) -> "pa.Table":
    declared = declared_schema(reading.stream)
    try:
        return rows_to_arrow(rows, declared, stream=reading.stream.name)
    except DataError:
        for line, row in zip(lines, rows, strict=True):
            try:
                rows_to_arrow([row], declared, stream=reading.stream.name)
            except DataError as error:
                reason = error.message.partition(": ")[2]
                raise reading.error(reason, line) from error
        raise
