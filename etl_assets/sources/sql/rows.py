"""Rows as a driver gives them, as Arrow tables."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from etl_assets.model.refused import Refusals
from etl_assets.sources.sql.connection import Rows, Snapshot
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.types import ColumnReader

if TYPE_CHECKING:
    import pyarrow as pa


FIRST_ROWS = 1_000
"""The first fetch is small: the size of its rows tells how many to fetch at once."""

BATCH_BYTES = 64 * 2**20
"""A batch ends at about this size, however many rows were asked for."""


def batches(
    snapshot: Snapshot,
    result: Rows,
    columns: Sequence[SqlColumn],
    *,
    stream: str,
    batch_rows: int,
    refusals: Refusals,
) -> "Iterator[pa.Table]":
    """Yield a result's rows as Arrow tables.

    Where there are no rows, it is one empty table, which tells the types.
    """
    import pyarrow as pa

    readers = [
        ColumnReader(one.type, dialect=snapshot.dialect, stream=stream, field=one.name)
        for one in columns
    ]
    fields = [
        pa.field(column.name, reader.empty_type(), metadata=field_metadata(column))
        for column, reader in zip(columns, readers, strict=True)
    ]
    rows = min(batch_rows, FIRST_ROWS)
    empty = True
    while True:
        snapshot.restart_clock()
        fetched = result.fetchmany(rows)
        if not fetched:
            break
        empty = False
        values = zip(*fetched, strict=True)
        arrays = [
            refusals.read(reader.read, list(its))
            for reader, its in zip(readers, values, strict=True)
        ]
        got = [field.with_type(array.type) for field, array in zip(fields, arrays, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=pa.schema(got))
        rows = max(1, min(batch_rows, BATCH_BYTES * len(fetched) // max(table.nbytes, 1)))
        del fetched, arrays
        yield table
    if empty:
        yield pa.schema(fields).empty_table()


def field_metadata(column: SqlColumn) -> dict[str, str] | None:
    """Return what is said of a column beside its type."""
    return {"description": column.comment} if column.comment else None
