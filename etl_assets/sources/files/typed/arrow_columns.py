"""Columns that Arrow has read, as values that can be stored.

What is none is refused with its place in the file.

Arrow does not look at what it reads: bytes that are no text, moments that no database has, days
with a time of day.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.batch import declared_schema
from etl_assets.model.values.arrow_columns import as_declared, normalised
from etl_assets.sources.files.options import Reading

if TYPE_CHECKING:
    import pyarrow as pa


def storable(table: "pa.Table", rows: Sequence[int], reading: Reading) -> "pa.Table":
    """Return a table whose values can be stored, and are what the stream declares.

    The others are NULL, and refused.

    Args:
        table: As Arrow has read it.
        rows: The numbers of its rows in the file.
        reading: What is read.
    """

    def read(convert: Conversion, field: "pa.Field") -> Any:
        def located(row: int, error: DataError) -> DataError:
            return reading.error(error.reason, rows[row], field=field.name, hint=error.hint)

        return reading.refusals.read(convert, table.column(field.name), located)

    return _each(table, reading, read)


def converted(table: "pa.Table", reading: Reading) -> "pa.Table":
    """Return a table whose values can be stored.

    Args:
        table: As Arrow has read it, of any files of the stream.
        reading: One of them.

    Raises:
        DataError: A value cannot be stored.
    """
    return _each(table, reading, lambda convert, field: convert(table.column(field.name)))


Conversion = Callable[[Any], Any]


def _each(
    table: "pa.Table", reading: Reading, read: "Callable[[Conversion, pa.Field], Any]"
) -> "pa.Table":
    import pyarrow as pa

    if len(set(table.column_names)) < len(table.column_names):
        return table  # which is an error of its own
    stream = reading.stream
    declared = None if stream.disable_column_type_check else declared_schema(stream)
    known = {field.name: field for field in declared or ()}
    arrays, fields = [], []
    for field in table.schema:
        convert = partial(
            _converted, field=field, declared=known.get(field.name), stream=stream.name
        )
        array = read(convert, field)
        arrays.append(array)
        fields.append(
            field if array.type == field.type else field.with_type(array.type).remove_metadata()
        )
    if not fields:
        return table
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields, table.schema.metadata))


def _converted(
    values: Any, *, field: "pa.Field", declared: "pa.Field | None", stream: str
) -> "pa.ChunkedArray":
    import pyarrow as pa

    table = normalised(pa.Table.from_arrays([values], schema=pa.schema([field])), stream)
    return as_declared(table, None if declared is None else pa.schema([declared]), stream).column(0)


def validate(batch: "pa.RecordBatch | pa.Table") -> None:
    """Look whether Arrow could be made to read beside its buffers.

    What the values are is looked at later.

    Raises:
        pyarrow.ArrowInvalid: It could.
    """
    import pyarrow as pa

    try:
        batch.validate(full=True)
    except pa.ArrowInvalid:
        for column in batch.columns:
            for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
                _validate(chunk)


def _validate(array: "pa.Array") -> None:
    import pyarrow as pa
    from pyarrow import types as t

    if t.is_primitive(array.type) or t.is_decimal(array.type):
        array.validate()  # any number is one
    elif t.is_string(array.type) or t.is_large_string(array.type):
        array.view(pa.large_binary() if t.is_large_string(array.type) else pa.binary()).validate(
            full=True
        )
    else:
        array.validate(full=True)
