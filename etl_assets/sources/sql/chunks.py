"""Chunks of a result, decoded column by column, and put together to batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from etl_assets.exceptions import DataError
from etl_assets.model.refused import Refusals
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.rows import BATCH_BYTES, field_metadata
from etl_assets.sources.sql.slices import Buffer, Positions

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class RowChunk:
    """Some rows that were read together, as they came.

    Args:
        buffer: Their bytes.
        begin: Where each row begins.
        last: There are no more.
    """

    buffer: Buffer
    begin: Positions
    last: bool


@dataclass(frozen=True)
class Assembly:
    """How chunks become batches.

    Args:
        columns: What is read.
        receive: Gives the next chunk, of at most so many rows.
        decode: Decodes a chunk.
        finish: Gives a column of a batch its type, by the column's index.
        empty_type: Gives the type of a column without values.
        refusals: Takes values that are none of their column's type.
    """

    columns: Sequence[SqlColumn]
    receive: Callable[[int], RowChunk]
    decode: "Callable[[Buffer, Positions], list[pa.Array]]"
    finish: "Callable[[int, pa.Array], pa.Array]"
    empty_type: "Callable[[int], pa.DataType]"
    refusals: Refusals

    def tables(self, batch_rows: int) -> "Iterator[pa.Table]":
        """Yield tables of at most so many rows, of large rows fewer.

        At least one, which says the types.
        """
        decoded: list[list[pa.Array]] = []
        rows = size = 0
        empty, last = True, False
        while not last:
            chunk = self.receive(batch_rows - rows)
            last = chunk.last
            if len(chunk.begin):
                decoded.append(self.decode(chunk.buffer, chunk.begin))
                rows += len(chunk.begin)
                size += chunk.buffer.end
            is_full = rows >= batch_rows or size >= BATCH_BYTES
            if rows and (last or is_full):
                yield self._table(decoded)
                empty, decoded, rows, size = False, [], 0, 0
        if empty:
            yield self._schema(
                [self.empty_type(index) for index in range(len(self.columns))]
            ).empty_table()

    def _table(self, decoded: "list[list[pa.Array]]") -> "pa.Table":
        import pyarrow as pa

        arrays = []
        for index in range(len(self.columns)):
            slices = [chunk[index] for chunk in decoded]
            whole = slices[0] if len(slices) == 1 else pa.concat_arrays(slices)
            arrays.append(self.refusals.read(partial(self.finish, index), whole))
        return pa.Table.from_arrays(arrays, schema=self._schema([array.type for array in arrays]))

    def _schema(self, types: "Sequence[pa.DataType]") -> "pa.Schema":
        import pyarrow as pa

        pairs = zip(self.columns, types, strict=True)
        return pa.schema(
            [pa.field(c.name, type_, metadata=field_metadata(c)) for c, type_ in pairs]
        )


def checked(texts: "pa.Array", *, stream: str, field: str) -> "pa.Array":
    """Refuse bytes that are no text.

    Raises:
        DataError: Names stream, field and value.
    """
    import pyarrow as pa

    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        large = pa.types.is_large_string(texts.type)
        found = _first_undecodable(
            texts.cast(pa.large_binary() if large else pa.binary()).to_pylist()
        )
        raise DataError(
            "is not UTF-8 text.",
            stream=stream,
            field=field,
            value=found,
            hint="Correct it in the database, or read the table by a query that says how the text "
            "is encoded.",
        ) from error
    return texts


def _first_undecodable(values: Sequence[bytes | None]) -> bytes | None:
    for value in values:
        try:
            (value or b"").decode()
        except UnicodeDecodeError:
            return value
    return None
