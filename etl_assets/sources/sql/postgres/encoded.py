"""Rows of PostgreSQL's binary COPY that are kept as they came, for another PostgreSQL.

Nothing of them is decoded but what tells whether the decoder would take them: numbers that are
none, dates beyond the years 1 to 9999. A batch with one such value is decoded, which refuses it or
finds another type for it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from etl_assets.model.encoded import Chunk, Encoded
from etl_assets.model.refused import Refusals
from etl_assets.sources.sql.chunks import RowChunk
from etl_assets.sources.sql.postgres.binary import COUNT_BYTES, Field, decode
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.rows import BATCH_BYTES, field_metadata
from etl_assets.sources.sql.slices import Buffer

if TYPE_CHECKING:
    import pyarrow as pa


def can_encode(columns: Sequence[SqlColumn]) -> bool:
    """Return whether all columns come as the type that PostgreSQL has for their Arrow type."""
    import pyarrow as pa

    def own(column: SqlColumn) -> bool:
        type_ = column.type.arrow
        if type_ is None or pa.types.is_uint32(type_):
            return (
                False  # known by the values alone; PostgreSQL has no column for an OID's Arrow type
            )
        return not pa.types.is_decimal(type_) or not Field(column, "").is_text

    return all(own(column) for column in columns)


def in_order(columns: Sequence[SqlColumn], keys: Collection[str]) -> list[SqlColumn]:
    """Return the order in which columns are asked for.

    Those that are looked at come first, so that no other has to be.
    """
    return sorted(columns, key=lambda column: not _is_looked_at(column, keys))


def _is_looked_at(column: SqlColumn, keys: Collection[str]) -> bool:
    return column.name in keys or Field(column, "").has_limits


@dataclass(frozen=True)
class Encoding:
    """How chunks of rows become batches of bytes.

    Args:
        columns: What is read, in the order of the table.
        fields: The same, in the order of the bytes.
        keys: Names of key columns, whose NULLs are counted.
        receive: Gives the next chunk, of at most so many rows.
        finish: Gives a column that was decoded its type, by the field's index.
        refusals: Takes values that are none of their column's type.
    """

    columns: Sequence[SqlColumn]
    fields: Sequence[Field]
    keys: Collection[str]
    receive: Callable[[int], RowChunk]
    finish: "Callable[[int, pa.Array], pa.Array]"
    refusals: Refusals

    def batches(self, batch_rows: int, *, decoded: bool = False) -> "Iterator[Encoded | pa.Table]":
        """Yield batches of at most so many rows, of large rows fewer.

        At least one, which says the types.

        Args:
            batch_rows: The most rows.
            decoded: Decode all of them.
        """
        schema, names = self._schema(self.columns), [field.column.name for field in self.fields]
        chunks: list[Chunk] = []
        nulls: dict[str, bool] = {}
        rows = size = 0
        empty, plain, last = True, not decoded, False
        while not last:
            received = self.receive(batch_rows - rows)
            last = received.last
            if len(received.begin):
                plain &= self._looked_at(received, nulls)
                begin = received.begin.astype("int32")
                chunks.append(Chunk(received.buffer.data, begin, received.buffer.end))
                rows += len(begin)
                size += received.buffer.end
            is_full = rows >= batch_rows or size >= BATCH_BYTES
            if rows and (last or is_full):
                if plain:
                    yield Encoded("pgcopy", schema, names, nulls, chunks, self._decode)
                else:
                    yield self._table(chunks)
                chunks, nulls, rows, size = [], {}, 0, 0
                empty, plain = False, not decoded
        if empty:
            yield schema.empty_table()

    def _looked_at(self, received: RowChunk, nulls: dict[str, bool]) -> bool:
        """Return whether a chunk can stay as it is, and note which fields have a NULL."""
        at = received.begin + COUNT_BYTES
        for field in self.fields:
            if not _is_looked_at(field.column, self.keys):
                break  # and none behind it
            plain, has_nulls, at = field.look(received.buffer, at)
            if not plain:
                return False
            nulls[field.column.name] = nulls.get(field.column.name, False) or has_nulls
        return True

    def _table(self, chunks: Sequence[Chunk]) -> "pa.Table":
        """Decode a batch whose values are not all such as their columns have."""
        import pyarrow as pa

        decoded = [
            decode(self.fields, Buffer(one.data, one.end), one.begin.astype("int64"))
            for one in chunks
        ]
        arrays = {}
        for index, field in enumerate(self.fields):
            whole = pa.concat_arrays([one[index] for one in decoded])
            arrays[field.column.name] = self.refusals.read(partial(self.finish, index), whole)
        given = [arrays[column.name] for column in self.columns]
        return pa.Table.from_arrays(
            given, schema=self._schema(self.columns, [array.type for array in given])
        )

    def _decode(self, chunk: Chunk, begin: Any, names: Collection[str] | None) -> "pa.Table":
        import pyarrow as pa

        wanted = {c.name for c in self.columns} if names is None else set(names)
        found = decode(self.fields, Buffer(chunk.data, chunk.end), begin.astype("int64"), wanted)
        arrays = {
            field.column.name: self.finish(index, array)
            for index, (field, array) in enumerate(zip(self.fields, found, strict=False))
            if array is not None
        }
        columns = [column for column in self.columns if column.name in arrays]
        given = [arrays[column.name] for column in columns]
        return pa.Table.from_arrays(
            given, schema=self._schema(columns, [array.type for array in given])
        )

    @staticmethod
    def _schema(
        columns: Sequence[SqlColumn], types: "Sequence[pa.DataType] | None" = None
    ) -> "pa.Schema":
        import pyarrow as pa

        types = types or [column.type.arrow for column in columns]
        pairs = zip(columns, types, strict=True)
        return pa.schema(
            [pa.field(c.name, type_, metadata=field_metadata(c)) for c, type_ in pairs]
        )
