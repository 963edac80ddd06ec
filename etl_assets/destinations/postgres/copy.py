"""Rows into a table by COPY: as CSV, or in the binary form that another PostgreSQL has given."""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from etl_assets.destinations.database.csv_rows import encoded
from etl_assets.destinations.database.encoded_rows import EncodedBatch
from etl_assets.destinations.database.errors import without_values
from etl_assets.destinations.database.sql_transaction import column_list
from etl_assets.engine.casting import RefusedValueError
from etl_assets.model.encoded import Chunk

if TYPE_CHECKING:
    import psycopg
    import pyarrow as pa

HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
END = struct.pack(">h", -1)
_BYTES = re.compile(r"0x[0-9a-f]{2}( 0x[0-9a-f]{2})*")
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class CopyIn:
    """How rows get into one table.

    Args:
        connection: The transaction's connection.
        table: The table's name as SQL.
        names: The columns of the rows.
        binary: Whether the table's columns have the types that the binary form is made for.
        own: Our own columns, each with the value that all rows get.
    """

    connection: "psycopg.Connection"
    table: str
    names: Sequence[str]
    binary: bool
    own: Sequence[tuple[str, Any]] = ()

    def write(self, batches: "Iterable[pa.RecordBatch | EncodedBatch]") -> int:
        """Copy rows in the order they come, and return how many.

        Raises:
            RefusedValueError: PostgreSQL has no such value.
        """

        def binary_columns(batch: "pa.RecordBatch | EncodedBatch") -> tuple[str, ...]:
            """Return the columns of a batch that is copied in its own bytes; none for CSV."""
            return tuple(batch.names) if self.binary and isinstance(batch, EncodedBatch) else ()

        count = 0
        for names, some in groupby(batches, binary_columns):
            if names:
                count += self._copy([*names, *self._own_names], "binary", self._tuples(some))
            else:
                columns = [*self.names, *self._own_names]
                count += self._copy(columns, "csv", encoded(self._decoded(some)))
        return count

    @property
    def _own_names(self) -> list[str]:
        return [name for name, _ in self.own]

    def _copy(self, names: Sequence[str], format_: str, texts: "Iterable[tuple[Any, int]]") -> int:
        sql = f"COPY {self.table} ({column_list(names)}) FROM STDIN (FORMAT {format_})"
        count = 0
        with refused(), self.connection.cursor() as cursor:
            with cursor.copy(sql.encode()) as copy:
                for text, rows in texts:
                    copy.write(text)
                    count += rows
            if cursor.rowcount != count:
                raise AssertionError(f"COPY took {cursor.rowcount} rows of {count}")
        return count

    def _tuples(self, batches: "Iterable[Any]") -> Iterator[tuple[Any, int]]:
        """Yield the bytes of encoded batches with our own columns, and how many rows they are."""
        fields = b"".join(_field(value) for _, value in self.own)
        yield HEADER, 0
        for batch in batches:
            count = len(batch.names) + len(self.own)
            for chunk in batch.chunks():
                data = memoryview(chunk.data)[: chunk.end]
                if self.own:
                    data = with_fields(chunk, count, fields)
                yield data, len(chunk.begin)
        yield END, 0

    def _decoded(
        self, batches: "Iterable[pa.RecordBatch | EncodedBatch]"
    ) -> "Iterator[pa.RecordBatch]":
        """Yield batches as Arrow, with our own columns."""
        import pyarrow as pa

        names = [*self.names, *self._own_names]
        own = [pa.scalar(str(value)) for _, value in self.own]
        for given in batches:
            for batch in given.batches() if isinstance(given, EncodedBatch) else (given,):
                constants = [pa.repeat(value, batch.num_rows) for value in own]
                yield pa.RecordBatch.from_arrays([*batch.columns, *constants], names=names)


def with_fields(chunk: Chunk, count: int, fields: bytes) -> memoryview:
    """Return the tuples of a chunk, each with more fields at its end.

    Args:
        chunk: The tuples.
        count: How many fields each tuple has then.
        fields: The fields to be added, with their lengths.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    bounds = pa.py_buffer(np.append(chunk.begin, np.int32(chunk.end)))
    rows = pa.Array.from_buffers(
        pa.binary(), len(chunk.begin), [None, bounds, pa.py_buffer(chunk.data)]
    )
    joined = pc.binary_join_element_wise(
        rows, pa.scalar(fields, pa.binary()), pa.scalar(b"", pa.binary())
    )
    _, bounds, data = joined.buffers()
    begin = np.frombuffer(bounds, np.int32)[: len(rows) + 1]
    made = np.array(np.frombuffer(data, np.uint8)[: begin[-1]])
    for place, byte in enumerate(struct.pack(">h", count)):
        made[begin[:-1] + place] = byte
    return made.data


def _field(value: Any) -> bytes:
    """Return a value of our own as a field: a text, or a moment in microseconds since 2000."""
    if isinstance(value, datetime):
        return struct.pack(">iq", 8, (value - EPOCH) // timedelta(microseconds=1))
    text = str(value).encode()
    return struct.pack(">i", len(text)) + text


@contextmanager
def refused() -> Iterator[None]:
    """Turn what PostgreSQL says of a value into an error that names the column, if it is known."""
    import psycopg

    try:
        yield
    except psycopg.DataError as error:
        context = error.diag.context or ""
        column = ""
        if context.startswith("COPY "):
            column = context.partition(", column ")[2].partition(": ")[0]
        character = _without_equivalent(error.diag.message_primary or "")
        message = f"PostgreSQL refused a value: {without_values(error)}."
        raise RefusedValueError(column or None, message, character=character) from error


def _without_equivalent(message: str) -> str | None:
    """Return the character that the database's encoding lacks: PostgreSQL only tells its bytes."""
    found = _BYTES.search(message)
    if found is None:
        return None
    try:
        return bytes.fromhex(found[0].replace("0x", "")).decode()
    except UnicodeDecodeError:
        return None
