"""Batches joined to the size of DuckDB's row groups on their way into it."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from etl_assets.destinations.duckdb.memory import ROW_GROUP_ROWS, InsertMemory

if TYPE_CHECKING:
    import pyarrow as pa

ROW_GROUP_BYTES = 64 * 1024 * 1024
"""Wide rows are not joined beyond this size: they would pile up in memory."""


def in_row_groups(
    rows: "pa.RecordBatchReader", memory: InsertMemory | None = None
) -> "pa.RecordBatchReader":
    """Return the same rows in batches of exactly `ROW_GROUP_ROWS` rows.

    The last batch has fewer, and so have batches of wide rows.

    Args:
        rows: The rows.
        memory: A limit that is told of every batch before DuckDB gets it.
    """
    import pyarrow as pa

    groups = _groups(rows, rows.schema)
    if memory is not None:
        groups = _admitted(groups, memory)
    return pa.RecordBatchReader.from_batches(rows.schema, groups)


def _groups(batches: "Iterable[pa.RecordBatch]", schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    count = size = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        waiting.append(batch)
        count, size = count + batch.num_rows, size + batch.nbytes
        while count >= ROW_GROUP_ROWS:
            table = pa.Table.from_batches(waiting, schema)
            yield from table.slice(0, ROW_GROUP_ROWS).combine_chunks().to_batches()
            waiting = table.slice(ROW_GROUP_ROWS).to_batches()
            count, size = count - ROW_GROUP_ROWS, sum(one.nbytes for one in waiting)
        if size >= ROW_GROUP_BYTES:
            yield from waiting
            waiting, count, size = [], 0, 0
    if waiting:
        yield from pa.Table.from_batches(waiting, schema).combine_chunks().to_batches()


def _admitted(
    batches: "Iterable[pa.RecordBatch]", memory: InsertMemory
) -> "Iterator[pa.RecordBatch]":
    for batch in batches:
        memory.admit(batch)
        yield batch
