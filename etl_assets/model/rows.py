"""Arrow's columns as the values that Python has for them, all of a column at once."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from etl_assets.model.json.lines import (
    decoded_exactly,
    exact_decoder,
    exact_json,
    plain_decoder,
    without_collection,
)
from etl_assets.model.json.repeated_keys import (
    at_most_keys,
    is_spelled_otherwise,
    refuse_repeats,
)
from etl_assets.model.schema.types import is_json
from etl_assets.model.values.arrays import is_utc

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the zone is that of the column


def python_columns(table: "pa.Table", stream: str) -> dict[str, list[Any]]:
    """Return the values of columns by name, as `pa.Table.to_pydict` does, and JSON as it reads.

    Numbers in it are as in the rows of a source: exact as `float`, or `Decimal`.

    Raises:
        DataError: A JSON text has a key twice in one object.
    """
    with without_collection():
        return {
            field.name: _column(column, stream, field.name)
            for field, column in zip(table.schema, table.columns, strict=True)
        }


def python_rows(table: "pa.Table", stream: str) -> list[dict[str, Any]]:
    """Return rows as `pa.Table.to_pylist` does, and JSON as it reads.

    Raises:
        DataError: A JSON text has a key twice in one object.
    """
    columns = python_columns(table, stream)
    if not columns:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(column: "pa.ChunkedArray", stream: str, field: str) -> list[Any]:
    values = _values(column)
    return _json_values(values, stream, field) if is_json(column.type) else values


def _values(column: "pa.ChunkedArray") -> list[Any]:
    import pyarrow as pa

    if is_json(column.type):
        return [text for chunk in column.chunks for text in chunk.storage.to_pylist()]
    is_moments = is_utc(column.type) or column.type == pa.timestamp("us")
    if is_moments and len(column) > column.null_count:
        counts = column.cast(pa.int64()).to_pylist()
        try:
            return _instants(counts, column)
        except OverflowError:
            pass  # for Arrow to tell
    if pa.types.is_date32(column.type):
        days = _days(column)
        if days is not None:
            return days
    values: list[Any] = column.to_pylist()
    return values


def _instants(counts: list[int | None], column: "pa.ChunkedArray") -> list[datetime | None]:
    """Return instants by their microseconds since 1970, in the zone that Arrow gives them."""
    import pyarrow as pa

    zone = column.type.tz
    # To ask a value for it would import pandas.
    epoch = _EPOCH if zone is None else _EPOCH.replace(tzinfo=pa.lib.string_to_tzinfo(zone))
    if column.null_count:
        return [
            None if count is None else epoch + timedelta(microseconds=count) for count in counts
        ]
    return [epoch + timedelta(0, 0, count) for count in counts if count is not None]


def _days(column: "pa.ChunkedArray") -> list[Any] | None:
    """Return dates, or None where numpy has others."""
    import numpy as np

    if column.null_count or not len(column):
        return None
    days: list[Any] = []
    for chunk in column.chunks:
        counts = np.frombuffer(chunk.buffers()[1], np.int32)[chunk.offset :][: len(chunk)]
        days += counts.astype("M8[D]").astype(object).tolist()
    return days if set(map(type, days)) == {date} else None


def _json_values(texts: list[str | None], stream: str, field: str) -> list[Any]:
    joined = ",".join(["null" if text is None else text for text in texts])
    values = _proven_values(f"[{joined}]".encode())
    if values is not None and len(values) == len(texts):
        return values
    return [None if text is None else _json_value(text, stream, field) for text in texts]


def _proven_values(document: bytes) -> list[Any] | None:
    """Return the values of a JSON array, or None where it is not proved that no key came twice."""
    try:
        values: list[Any] = plain_decoder.decode(document)
        if msgspec.json.encode(values) == document:
            return values  # no digit and no key is lost
        values = decoded_exactly(document)
        told = msgspec.json.encode(values)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return None
    if is_spelled_otherwise(document) or at_most_keys(document) != at_most_keys(told):
        return None
    return values


def _json_value(text: str, stream: str, field: str) -> Any:
    try:
        value = exact_decoder.decode(text)
    except (ValueError, RecursionError):
        value = exact_json(text)
    refuse_repeats(text, value, stream, field=field)
    return value
