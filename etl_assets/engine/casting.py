"""Which type holds the values of two types, and casts to it that alter no value.

The batches of one load may differ in their schemas, and they go into a table that has types of its
own. `merge_schemas` finds the types that hold them all, and `conform` casts a table to these. A
value that does not fit is a `RefusedValueError`, which names its column.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from etl_assets.exceptions import SchemaConflictError
from etl_assets.model.schema.types import is_json, is_nested, is_uuid, merge_types
from etl_assets.model.values.arrays import cast_exactly
from etl_assets.model.values.arrow_values import json_texts
from etl_assets.model.values.exact_numbers import EXACT_DOUBLE
from etl_assets.model.values.scalars import to_text

if TYPE_CHECKING:
    import pyarrow as pa

Side = Literal["old", "new"]
"""Which of two schemas is meant."""


class RefusedValueError(Exception):
    """A database cannot hold a value; whoever knows the stream raises an error with its name.

    Args:
        column: The column's name in the table, or None if the database does not say.
        message: Why it cannot hold the value.
        value: The value, where it is known.
        character: The character that the database does not have, where it says no more than that:
            whoever has the rows finds the value by it.
    """

    def __init__(
        self,
        column: str | None,
        message: str,
        value: object = None,
        *,
        character: str | None = None,
    ) -> None:
        self.column = column
        self.message = message
        self.value = value
        self.character = character
        super().__init__(message)


class _UnwritableError(ValueError):
    """A value has no JSON text: JSON has no NaN, and Python has no year 10000."""

    def __init__(self, value: object, error: Exception) -> None:
        self.value = value
        super().__init__(str(error))


def merge_schemas(
    old: "pa.Schema", new: "pa.Schema", fit: "Callable[[str, Side, pa.DataType], bool]"
) -> "pa.Schema":
    """Return the schema that holds the rows of two schemas, whose values can be looked at.

    Args:
        old: The first schema. Its fields come first in the result.
        new: The second schema.
        fit: `fit(field, "old", type_)` returns whether all values of a field in the old rows are
            exact in a type: integers as doubles, moments in another unit.

    Raises:
        SchemaConflictError: A field has no common type; the error names the field.
    """
    import pyarrow as pa

    fields = {field.name: field for field in old}
    for field in new:
        known = fields.get(field.name)
        if known is None:
            fields[field.name] = field
            continue
        try:
            type_ = _merged_type(known.type, field.type, partial(fit, field.name))
        except SchemaConflictError as error:
            raise error.named(field=field.name) from None
        fields[field.name] = known.with_type(type_)
    return pa.schema(list(fields.values()))


def _merged_type(
    old: "pa.DataType", new: "pa.DataType", fit: "Callable[[Side, pa.DataType], bool]"
) -> "pa.DataType":
    import pyarrow as pa

    if old == new:
        return old
    unit = _common_unit(old, new, fit)
    if unit is not None:
        return unit
    integers: Side = "old" if pa.types.is_integer(old) else "new"
    return merge_types(old, new, integers_fit=partial(fit, integers, pa.float64()))


def _common_unit(
    old: "pa.DataType", new: "pa.DataType", fit: "Callable[[Side, pa.DataType], bool]"
) -> "pa.DataType | None":
    """Return the one of two timestamp types that holds the moments of both, or None.

    Neither need be the wider one: nanoseconds end in the year 2262.
    """
    import pyarrow as pa

    if not (pa.types.is_timestamp(old) and pa.types.is_timestamp(new)) or old.tz != new.tz:
        return None
    if fit("new", old):
        return old
    if fit("old", new):
        return new
    return None


def fits(column: "pa.ChunkedArray", type_: "pa.DataType") -> bool:
    """Return whether all values of a column are exact in another type."""
    import pyarrow as pa

    if pa.types.is_floating(type_):
        return integers_fit(column)
    try:
        cast_exactly(column, type_)
    except pa.ArrowInvalid:
        return False
    return True


def integers_fit(column: "pa.ChunkedArray | pa.Array") -> bool:
    """Return whether all integers of a column are exact as doubles; a column without any is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_integer(column.type):
        return True
    bounds = pc.min_max(column)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    return low is None or max(-low, high) <= EXACT_DOUBLE


def conform(table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    """Return a table with exactly the fields and types of a schema that holds it."""
    import pyarrow as pa

    if table.schema.equals(schema):
        return table
    columns = []
    places = {name: place for place, name in enumerate(table.column_names)}
    missing: dict[pa.DataType, pa.Array] = {}
    for field in schema:
        place = places.get(field.name)
        if place is not None:
            columns.append(_cast_field(table.column(place), field))
            continue
        if field.type not in missing:
            missing[field.type] = pa.nulls(table.num_rows, field.type)
        columns.append(missing[field.type])
    return pa.Table.from_arrays(columns, schema=schema)


def _cast_field(column: "pa.ChunkedArray", field: "pa.Field") -> "pa.ChunkedArray | pa.Array":
    try:
        return cast(column, field.type)
    # Arrow's own errors are among these: a number that is not exact is a ValueError.
    except (ValueError, TypeError, OverflowError) as error:
        value = error.value if isinstance(error, _UnwritableError) else None
        message = f"does not fit {field.type}: {error}."
        raise RefusedValueError(field.name, message, value) from error


def cast(column: "pa.ChunkedArray", type_: "pa.DataType") -> "pa.ChunkedArray | pa.Array":
    """Cast a column to the type that it was merged to.

    Arrow checks that no value is altered. Text and JSON are made in this library's own forms.
    """
    import pyarrow as pa

    if column.type == type_:
        return column
    if is_json(type_):
        return column if is_json(column.type) else _as_json(column, type_)
    if pa.types.is_string(type_) and not _is_text(column.type):
        return _as_text(column, type_)
    return column.cast(type_)


def _as_json(column: "pa.ChunkedArray", type_: "pa.DataType") -> "pa.Array":
    import pyarrow as pa

    texts = json_texts(column, _UnwritableError)
    return pa.ExtensionArray.from_storage(type_, pa.array(texts, pa.utf8()))


def _as_text(column: "pa.ChunkedArray", type_: "pa.DataType") -> "pa.ChunkedArray | pa.Array":
    import pyarrow as pa

    if is_uuid(column.type):
        return _texts_by(str, column, type_)
    if pa.types.is_time64(column.type) and column.type.unit == "ns":
        return column.cast(pa.string())  # Python's time has no nanoseconds.
    is_number_or_time = pa.types.is_floating(column.type) or pa.types.is_temporal(column.type)
    if is_number_or_time or is_nested(column.type):
        return _texts_by(to_text, column, type_)
    return column.cast(pa.string())


def _texts_by(
    text_of: Callable[[Any], str], column: "pa.ChunkedArray", type_: "pa.DataType"
) -> "pa.Array":
    import pyarrow as pa

    texts = [None if value is None else text_of(value) for value in column.to_pylist()]
    return pa.array(texts, type_)


def texts_of(column: "pa.ChunkedArray") -> "pa.ChunkedArray | pa.Array | None":
    """Return the texts of a column, nested values as JSON, or None if its type has no texts."""
    import pyarrow as pa

    if is_json(column.type):
        stored = [chunk.storage for chunk in column.chunks]
        return pa.chunked_array(stored, column.type.storage_type)
    if is_nested(column.type):
        return cast(column, pa.string())
    return column.cast(pa.string()) if _is_text(column.type) else None


def _is_text(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    kinds = (t.is_string, t.is_large_string, t.is_string_view, t.is_dictionary)
    return any(is_kind(type_) for is_kind in kinds)
