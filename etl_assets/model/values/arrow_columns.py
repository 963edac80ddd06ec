"""A table as it came in Arrow, with types that say what its values are.

Values that Arrow would change are refused.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.exceptions import DataError
from etl_assets.model.schema.types import is_json, is_nested, logical
from etl_assets.model.values.arrays import cast_exactly
from etl_assets.model.values.arrow_texts import refuse_no_texts
from etl_assets.model.values.arrow_values import INTERVAL, Place, is_plain, json_array, plain
from etl_assets.model.values.columns import to_array
from etl_assets.model.values.times import bounds, clock_text, first_refused, shown

if TYPE_CHECKING:
    import pyarrow as pa

_FINER_HINTS = {
    "duration": "A duration has microseconds, and about 292,000 years: send finer or longer ones "
    "as text, or a number.",
    "date32": "Send it as a timestamp, or cut the time of day off at the source.",
    "timestamp": "The years that a timestamp can have end at 294247: send NULL where there is "
    "none.",
}


def normalised(table: "pa.Table", stream: str, *, texts_are_known: bool = False) -> "pa.Table":
    """Return a table with logical types.

    Texts, bytes and their dictionaries stay as they are encoded.

    Args:
        table: As it came.
        stream: The stream's name.
        texts_are_known: Whoever made the table has seen that its texts are UTF-8, and its JSON is
            JSON.

    Raises:
        DataError: A value cannot be stored exactly; names stream, field and value.
    """
    refuse_equal_names(table, stream)
    for index, field in enumerate(table.schema):
        place = Place(stream, field.name, field.metadata)
        column = _normalised(table.column(index), place, texts_are_known=texts_are_known)
        if column is not table.column(index):
            table = table.set_column(index, field.with_type(column.type).remove_metadata(), column)
    return table


def refuse_wide_cursor(table: "pa.Table", cursor: Sequence[str], stream: str) -> None:
    """Refuse a replication key of decimals with more than 38 digits.

    They are kept as texts, whose order is another.

    Raises:
        DataError: There is such a key; names it.
    """
    import pyarrow as pa

    for name in cursor:
        at = table.schema.get_field_index(name)
        if at >= 0 and pa.types.is_decimal256(table.schema.field(at).type):
            raise DataError(
                "a replication key of more than 38 digits is kept as a text, whose order is "
                "another.",
                stream=stream,
                field=name,
                value=str(table.schema.field(at).type),
                hint="Send it as decimal128 if its values fit, or choose another replication key.",
            )


def refuse_equal_names(table: "pa.Table", stream: str) -> None:
    """Refuse a table with two columns of one name, of which a row could have one only.

    Raises:
        DataError: There are such columns; names them.
    """
    names = table.schema.names
    if len(set(names)) < len(names):
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise DataError(
            "two columns have this name.",
            stream=stream,
            field=twice,
            value=names,
            hint="Rename one of them at the source.",
        )


def _normalised(
    column: "pa.ChunkedArray", place: Place, *, texts_are_known: bool
) -> "pa.ChunkedArray":
    import pyarrow as pa

    if not texts_are_known:
        refuse_no_texts(column, place.error)
    if str(column.type) == INTERVAL:
        return _intervals(column, place)
    if not is_plain(column.type) or place.extension:
        chunks = column.chunks or [pa.nulls(0, column.type)]
        known = [plain(chunk, place) for chunk in chunks]
        if {one.type for one in known} != {column.type}:
            column = pa.chunked_array(_of_one_type(known, place))
    wanted = logical(column.type)
    if wanted != column.type and not _keeps_encoding(column.type, wanted):
        column = _cast(column, wanted, place)
    return _with_whole_days(column) if pa.types.is_time(column.type) else column


def _keeps_encoding(type_: "pa.DataType", wanted: "pa.DataType") -> bool:
    """Return whether values of a type stay as they are encoded: texts, bytes, what has others."""
    from pyarrow import types as t

    if t.is_dictionary(type_) or is_nested(type_):
        return True
    return bool(t.is_string(wanted) or t.is_binary(wanted))


def _intervals(column: "pa.ChunkedArray", place: Place) -> "pa.ChunkedArray":
    """Return intervals as durations if none has months or days, else as texts.

    DuckDB gives durations so.
    """
    import pyarrow as pa

    values = column.to_pylist()
    if not any(one and (one.months or one.days or one.nanoseconds % 1_000) for one in values):
        counts = [None if one is None else one.nanoseconds // 1_000 for one in values]
        return pa.chunked_array([pa.array(counts, pa.int64()).cast(pa.duration("us"))])
    return pa.chunked_array([plain(chunk, place) for chunk in column.chunks], pa.string())


def _of_one_type(arrays: "list[pa.Array]", place: Place) -> "list[pa.Array]":
    """Return the chunks of one column as one type: if any of them is JSON, all are."""
    if len({one.type for one in arrays}) == 1:
        return arrays
    return [one if is_json(one.type) else json_array(one, place) for one in arrays]


def _cast(column: "pa.ChunkedArray", wanted: "pa.DataType", place: Place) -> "pa.ChunkedArray":
    import pyarrow as pa

    try:
        return cast_exactly(column, wanted)
    except pa.ArrowInvalid as error:
        refused = first_refused(column, partial(cast_exactly, type_=wanted), (pa.ArrowInvalid,))
        hint = _FINER_HINTS.get(str(wanted).partition("[")[0])
        raise place.error(f"does not fit {wanted}.", shown(refused), hint=hint) from error


def _with_whole_days(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Return times of day as texts if one is 24:00:00, which neither Arrow nor Python has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    limits = bounds(column.type)
    numbers = column.cast(pa.int64())
    if limits is None or (pc.max(numbers).as_py() or 0) < limits[1]:
        return column
    per_microsecond = 1_000 if column.type.unit == "ns" else 1
    counts = [None if one is None else divmod(one, per_microsecond) for one in numbers.to_pylist()]
    texts = [None if one is None else _clock(*one) for one in counts]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _clock(microseconds: int, nanoseconds: int) -> str:
    text = clock_text(microseconds)
    if not nanoseconds:
        return text
    if "." not in text:
        text += ".000000"
    return f"{text}{nanoseconds:03}"


# What a stream declares


def as_declared(table: "pa.Table", declared: "pa.Schema | None", stream: str) -> "pa.Table":
    """Read columns of text and numbers as what the stream declares.

    Arrow's other types speak for themselves.
    """
    import pyarrow as pa

    for field in declared or ():
        index = table.schema.get_field_index(field.name)
        found = logical(table.schema.field(index).type) if index >= 0 else field.type
        if found == field.type or is_json(found) or pa.types.is_null(field.type):
            continue
        if pa.types.is_string(found) or _is_number(found) or is_json(field.type):
            array = _cast_number(table.column(index), found, field.type)
            if array is None:
                values = table.column(index).to_pylist()
                array = to_array(values, field.type, stream=stream, field=field.name)
            table = table.set_column(index, field.with_type(array.type), array)
    return table


def _cast_number(
    column: "pa.ChunkedArray", found: "pa.DataType", wanted: "pa.DataType"
) -> "pa.ChunkedArray | None":
    """Cast integers and decimals in columns where Arrow checks that each value stays exact.

    Where it does not, or a value would not, the outcome is None.
    """
    import pyarrow as pa
    from pyarrow import types as t

    from_integers = t.is_integer(found) and _is_number(wanted)
    between_decimals = t.is_decimal(found) and t.is_decimal(wanted)
    if not from_integers and not between_decimals:
        return None
    try:
        return cast_exactly(column, wanted)
    except pa.ArrowInvalid:
        return None


def _is_number(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    return bool(t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_))
