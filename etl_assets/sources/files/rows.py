"""Rows that a reader gives one by one, as tables of bounded size."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.batch import declared_schema
from etl_assets.model.refused import refused_by, without
from etl_assets.model.values.columns import columns_of, columns_to_arrow, rows_to_arrow, to_array
from etl_assets.sources.files.options import Reading

if TYPE_CHECKING:
    import pyarrow as pa

Tables = Iterator[tuple["pa.Table | list[dict[str, Any]]", Sequence[int]]]
"""Tables (rows, where a column has several types), each with the lines that its rows begin on.

In a sheet or a Parquet file the rows are counted as lines.
"""

Rows = Iterator[tuple[int, Mapping[str, Any], int]]
"""Rows, each with the line it begins on and about how many bytes it takes."""


def row_tables(rows: Rows, reading: Reading) -> Tables:
    """Return rows as tables; a value that does not fit is an error that names its line."""
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
    declared, stream = declared_schema(reading.stream), reading.stream.name
    try:
        return rows_to_arrow(rows, declared, stream=stream)
    except DataError:
        columns = _readable(rows, lines, declared, reading)
    return columns_to_arrow(columns, declared, stream=stream, length=len(rows))


def _readable(
    rows: Sequence[Mapping[str, Any]],
    lines: Sequence[int],
    declared: "pa.Schema | None",
    reading: Reading,
) -> dict[str, list[Any]]:
    """Return the columns of rows; values that are not of their types are refused and left out."""
    stream = reading.stream.name
    types = {field.name: field.type for field in declared or ()}
    columns = {}
    for name, values in columns_of(rows, declared, stream=stream).items():
        bad = refused_by(
            partial(to_array, declared=types.get(name), stream=stream, field=name), values
        )
        for row, error in bad.items():
            told = reading.error(
                error.reason, lines[row], field=name, value=values[row], hint=error.hint
            )
            reading.refusals.add(row, told, values[row])
        columns[name] = without(values, bad)
    return columns
