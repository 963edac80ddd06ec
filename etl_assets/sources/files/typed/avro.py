"""Avro files: each logical type exactly, record by record, in blocks of bounded size."""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.json.depth import nested_too_deep
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.model.values.columns import to_array
from etl_assets.packages import require
from etl_assets.sources.files.content import RATIO_COUNTS_FROM, content
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.rows import Tables
from etl_assets.sources.files.typed.avro_blocks import DAMAGE, Container, TooLargeError
from etl_assets.sources.files.typed.avro_schema import Column, Sizes, UnreadableError, columns_of

if TYPE_CHECKING:
    import pyarrow as pa

_DAY = 86_400 * 10**6
_WRONG = (
    EOFError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    OSError,
    MemoryError,
    struct.error,
)
"""What fastavro raises at bytes that are none of the schema's."""


@dataclass(frozen=True)
class _Schema:
    parsed: Any
    columns: Sequence[Column]
    least: int


def avro_tables(reading: Reading) -> Tables:
    """Return a file as tables, with the numbers of its records.

    Raises:
        DataError: The file is damaged, was cut, or unpacks to more than the limits allow; names
            file and record.
    """
    with content(reading) as binary:
        container, schema = _opened(binary, reading)
        rows: list[dict[str, Any]] = []
        size, number = 0, 0
        for row, length in _records(container, schema, reading):
            rows.append(row)
            size += length
            if len(rows) >= reading.options.batch_rows or size >= reading.options.batch_bytes:
                yield _table(rows, number, schema, reading), _numbers(number, rows)
                number += len(rows)
                rows, size = [], 0
        if rows:
            yield _table(rows, number, schema, reading), _numbers(number, rows)


def _numbers(before: int, rows: Sequence[Any]) -> range:
    """Return the numbers of records that stand behind so many others."""
    return range(before + 1, before + 1 + len(rows))


def avro_properties(reading: Reading) -> dict[str, Any]:
    """Return the columns of a file, as properties of a JSON Schema."""
    import pyarrow as pa

    with content(reading) as binary:
        _, schema = _opened(binary, reading)
    known = pa.schema([(one.name, one.type) for one in schema.columns if one.type is not None])
    properties = from_arrow(known)["properties"]
    other: dict[bool, dict[str, Any]] = {True: {}, False: {"x-arrow": "values"}}
    return {one.name: properties.get(one.name, other[one.is_nested]) for one in schema.columns}


def _fastavro() -> Any:
    return require("fastavro", "An Avro file")


def _opened(binary: Any, reading: Reading) -> tuple[Container, _Schema]:
    fastavro = _fastavro()
    try:
        container = Container(binary)
        plain, columns = columns_of(_json(container.metadata.get("avro.schema", b"").decode()))
        named: dict[str, Any] = {}
        parsed = fastavro.parse_schema(plain, named_schemas=named)
        return container, _Schema(parsed, columns, Sizes(named).of(parsed)[0])
    except UnreadableError as error:
        raise reading.error(f"is an Avro file that is not read: {error}.") from error
    except (*DAMAGE, KeyError, TypeError, fastavro.schema.SchemaParseException) as error:
        raise reading.error(f"is no whole Avro file: {str(error).rstrip('.')}.") from error


def _json(text: str) -> Any:
    if nested_too_deep(text):
        raise UnreadableError("its schema is nested too deep")
    return json.loads(text)


def _records(
    container: Container, schema: _Schema, reading: Reading
) -> Iterator[tuple[dict[str, Any], int]]:
    read, number = _fastavro().schemaless_reader, 0
    try:
        budget = _Budget(reading)
        for block in container.blocks(lambda: budget.left):
            budget.left -= len(block.data)
            if block.count * max(1, schema.least) > max(len(block.data), 1):
                raise ValueError(
                    f"a block of {len(block.data)} bytes says to have {block.count} records"
                )
            data, before = BytesIO(block.data), 0
            for _ in range(block.count):
                row = read(data, schema.parsed, None)
                number += 1
                length = data.tell() - before
                before += length
                if length > reading.options.max_row_bytes:
                    raise reading.error(
                        f"a record of more than {reading.options.max_row_bytes} bytes.",
                        number,
                        hint="Raise max_row_bytes.",
                    )
                yield row, length
            if before != len(block.data):
                raise ValueError("a block has more bytes than its records")
    except TooLargeError as error:
        raise reading.error(
            "unpacks to more than max_file_bytes, or max_ratio times its size: it may be a bomb.",
            number + 1,
            hint="Raise max_ratio or max_file_bytes if the file is what it should be.",
        ) from error
    except _WRONG as error:
        raise reading.error(
            f"cannot be read on: {str(error) or 'it ends too early'}.", number + 1
        ) from error


class _Budget:
    """How much the blocks of a file may unpack to."""

    def __init__(self, reading: Reading) -> None:
        options = reading.options
        self.left = options.max_file_bytes
        if reading.size is not None:
            by_ratio = max(RATIO_COUNTS_FROM, reading.size * options.max_ratio)
            self.left = min(self.left, by_ratio)


def _table(
    rows: Sequence[dict[str, Any]], before: int, schema: _Schema, reading: Reading
) -> "pa.Table":
    import pyarrow as pa

    names, arrays = [], []
    for column in schema.columns:
        if not reading.reads(column.name):
            continue

        def located(row: int, error: DataError, name: str = column.name) -> DataError:
            return reading.error(error.reason, before + row + 1, field=name, hint=error.hint)

        names.append(column.name)
        values = [row[column.name] for row in rows]
        convert = partial(_exactly, column=column, reading=reading)
        arrays.append(reading.refusals.read(convert, values, located))
    return pa.table(arrays, names=names)


def _exactly(values: list[Any], *, column: Column, reading: Reading) -> Any:
    """Return a column, or raise an error that names it."""
    import pyarrow as pa

    try:
        return _array(values, column, reading)
    except (pa.ArrowException, ValueError, OverflowError) as error:
        first = next((value for value in values if value is not None), None)
        told = f"{str(error).rstrip('.')}."
        raise DataError(told, stream=reading.stream.name, field=column.name, value=first) from error


def _array(values: list[Any], column: Column, reading: Reading) -> Any:
    import pyarrow as pa
    from pyarrow import compute
    from pyarrow import types as t

    if column.stored is not None and column.type is not None:
        stored = pa.array(values, column.stored)
        if t.is_time(column.type):
            day = _DAY if column.type == pa.time64("us") else _DAY // 1000
            bounds = compute.min_max(stored).as_py()
            if bounds["min"] is not None and not 0 <= bounds["min"] <= bounds["max"] < day:
                raise ValueError("a time beyond the day")
        return stored.view(column.type)
    if column.is_duration:
        values = [_duration(value) if isinstance(value, bytes) else value for value in values]
    if column.type is None or t.is_decimal(column.type):
        return to_array(values, column.type, stream=reading.stream.name, field=column.name)
    if t.is_string(column.type):
        return pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.array(values, column.type)


def _duration(value: bytes) -> dict[str, int]:
    """Return a duration as JSON has it: months and days have no length of their own."""
    return dict(zip(("months", "days", "milliseconds"), struct.unpack("<III", value), strict=True))
