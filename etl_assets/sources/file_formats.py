"""A file as Arrow tables: which reader reads it, JSON lines and Parquet, and where each row came from."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import simplejson

from etl_assets.exceptions import DataError, shorten
from etl_assets.protocol.batch import declared_schema
from etl_assets.protocol.columns import rows_to_arrow
from etl_assets.protocol.messages import nested_too_deep
from etl_assets.protocol.numbers import unreadable_number
from etl_assets.protocol.parquet_files import RATIO_COUNTS_FROM, Bounds, batches_of
from etl_assets.protocol.repeated_keys import HINT, REASON, repeats
from etl_assets.protocol.schema import from_arrow
from etl_assets.sources.file_content import Lines, content, unpacked
from etl_assets.sources.file_csv import Rows, csv_header, csv_tables
from etl_assets.sources.file_excel import excel_rows
from etl_assets.sources.file_options import Reading

if TYPE_CHECKING:
    import pyarrow as pa

Tables = Iterator[tuple["pa.Table | Rows", Sequence[int]]]
"""Tables (rows, where a column has values of two types), each with the lines that its rows begin on: of a sheet or a
Parquet file, the rows."""

ORIGIN = ("_file", "_line")


def tables(reading: Reading) -> Iterator["pa.Table | Rows"]:
    """Give a file as tables of bounded size; as rows, where a column has values of more than one type.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    readers = {"csv": csv_tables, "jsonl": _json_tables, "parquet": _parquet_tables, "xlsx": _excel_tables}
    for table, lines in readers[reading.format](reading):
        yield _with_origin(table, lines, reading) if reading.options.with_origin else table


def schema_of(reading: Reading) -> dict[str, Any] | None:
    """Give the JSON Schema of a file, as far as its head tells; None where only the rows would."""
    properties: dict[str, Any]
    match reading.format:
        case "parquet":
            with reading.open() as file:
                properties = from_arrow(_parquet(file, reading).schema_arrow)["properties"]
        case "csv":
            infer = reading.options.types == "infer"
            properties = {
                name: {"x-arrow": "values"} if infer else {"type": ["null", "string"]} for name in csv_header(reading)
            }
        case _:
            return None
    if reading.options.with_origin:
        properties.update({"_file": {"type": ["null", "string"]}, "_line": {"type": ["null", "integer"]}})
    return {"type": "object", "properties": properties}


def count_of(reading: Reading) -> int | None:
    """Give the number of rows of a Parquet file; None for the others, which do not know it."""
    if reading.format != "parquet":
        return None
    with reading.open() as file:
        return int(_parquet(file, reading).metadata.num_rows)


def _with_origin(table: "pa.Table | Rows", lines: Sequence[int], reading: Reading) -> "pa.Table | Rows":
    import pyarrow as pa

    for name, column in zip(ORIGIN, ([reading.file] * len(table), lines), strict=True):
        if name in (table[0] if isinstance(table, list) else table.column_names):
            raise reading.error(f"has a column {name!r} of its own.", hint="Leave with_origin out.")
        if not reading.reads(name):
            continue
        if isinstance(table, list):
            for row, value in zip(table, column, strict=True):
                row[name] = value
        else:
            table = table.append_column(name, pa.array(column, pa.string() if name == "_file" else pa.int64()))
    return table


# JSON lines, and what else comes in rows


def _json_tables(reading: Reading) -> Tables:
    with content(reading) as binary:
        lines = Lines(binary, reading)
        yield from _row_tables(_objects(lines, reading), reading)


def _excel_tables(reading: Reading) -> Tables:
    yield from _row_tables(excel_rows(reading), reading)


def _objects(lines: Lines, reading: Reading) -> Iterator[tuple[int, Mapping[str, Any], int]]:
    for text in lines:
        size, lines.used = len(text), 0
        if not text.strip(" \t\r\n"):
            lines.number -= lines.ends_the_one_before()
            continue
        line = lines.number
        if nested_too_deep(text):
            raise reading.error("JSON nested too deep.", line)
        try:
            value = simplejson.loads(text, use_decimal=True, allow_nan=True, object_pairs_hook=_object)
        except simplejson.JSONDecodeError as error:
            hint = None if text.endswith(("\n", "\r")) else "It is the last line, without its end: was the file cut?"
            raise reading.error(f"not JSON: {error.msg}: {shorten(text)}.", line, hint=hint) from error
        except _TwiceError as error:
            repeat = next(repeats(text))
            if repeat is None:  # pragma: no cover - the same text
                raise
            raise reading.error(REASON, line, field=repeat.field, value=repeat, hint=HINT) from error
        except (ValueError, ArithmeticError, RecursionError) as error:
            told = unreadable_number(text) or str(error)
            raise reading.error(f"a number that is too long: {told}.", line) from error
        if not isinstance(value, dict):
            raise reading.error(f"a {type(value).__name__}, where each line is to be an object.", line)
        yield line, value, size


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _TwiceError
    return made


class _TwiceError(Exception):
    """A key comes twice in one object."""


def _row_tables(rows: Iterator[tuple[int, Mapping[str, Any], int]], reading: Reading) -> Tables:
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


# Parquet


_PARQUET: dict[str, Any] = {"buffer_size": 1024 * 1024, "pre_buffer": False}
"""Read buffered, not ahead: a row group may be larger than the memory."""


def _parquet(file: Any, reading: Reading) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    unpacked(reading, "Parquet files")
    try:
        return parquet.ParquetFile(file, **_PARQUET)
    except (pa.ArrowInvalid, OSError) as error:
        raise reading.error(f"is no whole Parquet file: {error}.") from error


def _parquet_tables(reading: Reading) -> Tables:
    import pyarrow as pa

    with reading.open() as file:
        parquet = _parquet(file, reading)
        names = list(dict.fromkeys(parquet.schema_arrow.names))
        columns = [name for name in names if reading.reads(name)]
        before = 0
        try:
            for batch in batches_of(parquet, file, _parquet_bounds(reading), columns=columns, **_PARQUET):
                for part in _parts(pa.Table.from_batches([batch]), before, reading):
                    yield part, range(before + 1, before + 1 + len(part))
                    before += len(part)
        except (ValueError, pa.ArrowNotImplementedError, OSError, MemoryError) as error:
            raise reading.error(f"its rows after {before} cannot be read: {error}.") from error


def _parquet_bounds(reading: Reading) -> Bounds:
    options = reading.options
    by_ratio = None if reading.size is None else max(RATIO_COUNTS_FROM, reading.size * options.max_ratio)

    def too_large(row: int, field: str, size: int) -> NoReturn:
        raise _row_too_large(reading, row, field=field, size=size)

    def too_many(field: str | None) -> NoReturn:
        if by_ratio is None or options.max_file_bytes <= by_ratio:
            raise reading.error(
                f"holds more than {options.max_file_bytes} bytes.",
                field=field,
                hint="Raise max_file_bytes if that is right.",
            )
        raise reading.error(
            f"stands for more than {by_ratio} bytes, with a size of {reading.size}: it may be a bomb.",
            field=field,
            hint=f"Raise max_ratio (it is {options.max_ratio}) if the file is what it should be.",
        )

    return Bounds(
        options.batch_rows,
        options.batch_bytes,
        options.max_row_bytes,
        options.max_file_bytes if by_ratio is None else min(options.max_file_bytes, by_ratio),
        too_large,
        too_many,
    )


def _parts(table: "pa.Table", before: int, reading: Reading) -> Iterator["pa.Table"]:
    """Cut a table that is larger than its metadata said; one row that is too large is an error."""
    if len(table) > 1 and table.nbytes > reading.options.batch_bytes:
        half = len(table) // 2
        yield from _parts(table.slice(0, half), before, reading)
        yield from _parts(table.slice(half), before + half, reading)
        return
    if len(table) == 1 and table.nbytes > reading.options.max_row_bytes:
        raise _row_too_large(reading, before + 1)
    yield table


def _row_too_large(reading: Reading, row: int, *, field: str | None = None, size: int | None = None) -> DataError:
    told = "" if size is None else f", {size} of them in this field"
    return reading.error(
        f"a row of more than {reading.options.max_row_bytes} bytes{told}.",
        row,
        field=field,
        hint="Raise max_row_bytes.",
    )
