"""Files of Arrow's own format (IPC): streams, and files, of which Feather is a name.

A file is read as the stream that it begins with. Each message is looked at before Arrow unpacks it:
a buffer that is packed says itself how much it unpacks to, and Arrow would take its word for it.
"""

import io
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.protocol.parquet.files import RATIO_COUNTS_FROM, row_sizes
from etl_assets.sources.files.content import content
from etl_assets.sources.files.options import MEBIBYTE, Reading
from etl_assets.sources.files.rows import Tables
from etl_assets.sources.files.typed.arrow_columns import validate

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from _typeshed import WriteableBuffer

FILE, FEATHER_1 = b"ARROW1", b"FEA1"
_FILE_HEAD = 8
_CONTINUES = b"\xff\xff\xff\xff"
_DICTIONARIES, _ROWS = 2, 3
"""The kinds of messages that have buffers."""
_NOT_PACKED = -1
_CHUNK_BYTES = MEBIBYTE


def arrow_tables(reading: Reading) -> Tables:
    """Return a file as tables, with the numbers of their rows.

    Raises:
        DataError: It is damaged, was cut, or stands for more than the limits allow; names file and
            row.
    """
    import pyarrow as pa

    before = 0
    with content(reading) as binary:
        messages = _Messages(binary, reading)
        try:
            for batch in _opened(messages, reading):
                validate(batch)
                for part in _slices(batch, before, reading):
                    yield pa.Table.from_batches([part]), range(before + 1, before + 1 + len(part))
                    before += len(part)
        except (pa.ArrowException, OSError, MemoryError, ValueError, struct.error) as error:
            raise reading.error(f"its rows after {before} cannot be read: {error}.") from error
        messages.finish()


def arrow_properties(reading: Reading) -> dict[str, Any]:
    """Return the columns of a file, as properties of a JSON Schema."""
    import pyarrow as pa

    with content(reading) as binary:
        try:
            properties: dict[str, Any] = from_arrow(
                _opened(_Messages(binary, reading), reading).schema
            )["properties"]
        except (pa.ArrowException, OSError, MemoryError, ValueError, struct.error) as error:
            raise reading.error(f"is no whole Arrow file: {error}.") from error
        return properties


def _opened(messages: "_Messages", reading: Reading) -> "pa.RecordBatchStreamReader":
    import pyarrow as pa
    from pyarrow import types as t

    reader = pa.ipc.open_stream(
        pa.PythonFile(messages, mode="r"), options=pa.ipc.IpcReadOptions(use_threads=False)
    )
    for field in reader.schema:
        if t.is_list_view(field.type) or t.is_large_list_view(field.type):
            raise reading.error(
                f"has a column of the type {field.type}, which is not read.", field=field.name
            )
    return reader


class _Messages(io.RawIOBase):
    """The messages of a stream, as bytes: each is read whole and checked before it is given.

    Args:
        binary: The file, at its start.
        reading: What is read.
    """

    def __init__(self, binary: io.BufferedReader, reading: Reading) -> None:
        super().__init__()
        self._binary = binary
        self._reading = reading
        self._left = memoryview(b"")
        self._unpacked = 0
        self._is_over = False
        head = binary.peek(_FILE_HEAD)
        if head.startswith(FEATHER_1):
            raise reading.error(
                "is a Feather file of version 1.", hint="Write it anew as version 2, or as Parquet."
            )
        self._is_file = head.startswith(FILE)
        if self._is_file:
            self._exactly(_FILE_HEAD)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        if not self._left and not self._is_over:
            self._left = memoryview(self._message())
        given = min(len(view), len(self._left))
        view[:given] = self._left[:given]
        self._left = self._left[given:]
        return given

    def finish(self) -> None:
        """Look at what stands behind the messages.

        Raises:
            DataError: The end of the file is missing.
        """
        last = b""
        while chunk := self._binary.read(_CHUNK_BYTES):
            last = (last + chunk)[-len(FILE) :]
        if not self._is_over or (self._is_file and last != FILE):
            raise self._cut()

    def _message(self) -> bytes:
        prefix = self._exactly(4)
        length = prefix
        if prefix == _CONTINUES:
            length = self._exactly(4)
            prefix += length
        (size,) = struct.unpack("<i", length)
        if size == 0:
            self._is_over = True
            return prefix
        metadata = self._exactly(size)
        body_length, buffers = _described(metadata)
        body = self._exactly(body_length)
        for start, held in buffers:
            self._count(body, start, held)
        return prefix + metadata + body

    def _count(self, body: bytes, start: int, held: int) -> None:
        """Count what a packed buffer says to unpack to."""
        if held == 0:
            return
        (says,) = struct.unpack_from("<q", body, start)
        self._unpacked += held if says == _NOT_PACKED else says
        options, size = self._reading.options, self._reading.size
        limit = options.max_file_bytes
        if size is not None:
            limit = min(limit, max(RATIO_COUNTS_FROM, size * options.max_ratio))
        if not 0 <= self._unpacked <= limit:
            raise self._reading.error(
                f"unpacks to more than {limit} bytes: it may be a bomb.",
                hint="Raise max_ratio or max_file_bytes if the file is what it should be.",
            )

    def _exactly(self, size: int) -> bytes:
        chunks, left = [], size
        while left > 0:
            chunk = self._binary.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise self._cut()
            chunks.append(chunk)
            left -= len(chunk)
        if size < 0:
            raise self._reading.error("is no whole Arrow file: a length below zero.")
        return b"".join(chunks)

    def _cut(self) -> Exception:
        return self._reading.error(
            "is no whole Arrow file: its end is missing.", hint="Was it cut?"
        )


def _described(metadata: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Return the length of a message's body, and the places of its buffers there if packed.

    The metadata are a FlatBuffer: `Message {version, header type, header, body length}`. For rows
    the header is `RecordBatch {length, nodes, buffers, compression}`, for a dictionary
    `DictionaryBatch {id, RecordBatch, is delta}`.
    """
    message = _follow(metadata, 0)
    at = _field(metadata, message, 3)
    (body_length,) = struct.unpack_from("<q", metadata, at) if at else (0,)
    kind_at, header_at = _field(metadata, message, 1), _field(metadata, message, 2)
    kind = metadata[kind_at] if kind_at else 0
    if kind not in {_DICTIONARIES, _ROWS} or not header_at:
        return body_length, []
    rows = _follow(metadata, header_at)
    if kind == _DICTIONARIES:
        rows = _follow(metadata, _field(metadata, rows, 1))
    buffers_at = _field(metadata, rows, 2)
    if not _field(metadata, rows, 3) or not buffers_at:
        return body_length, []
    vector = _follow(metadata, buffers_at)
    (count,) = struct.unpack_from("<I", metadata, vector)
    if count * 16 > len(metadata):
        raise ValueError("more buffers than their description holds")
    return body_length, [
        struct.unpack_from("<qq", metadata, vector + 4 + 16 * number) for number in range(count)
    ]


def _follow(buffer: bytes, at: int) -> int:
    (offset,) = struct.unpack_from("<I", buffer, at)
    return int(at + offset)


def _field(buffer: bytes, table: int, number: int) -> int:
    """Return where a field of a FlatBuffer's table is; 0 if it is left out."""
    (back,) = struct.unpack_from("<i", buffer, table)
    (size,) = struct.unpack_from("<H", buffer, table - back)
    if 4 + 2 * number >= size:
        return 0
    (offset,) = struct.unpack_from("<H", buffer, table - back + 4 + 2 * number)
    return table + int(offset) if offset else 0


def _slices(batch: "pa.RecordBatch", before: int, reading: Reading) -> Iterator["pa.RecordBatch"]:
    """Cut a batch into slices of bounded size.

    A value that several rows refer to counts in each of them.
    """
    import numpy as np

    options = reading.options
    chosen = batch.select(
        [number for number, name in enumerate(batch.schema.names) if reading.reads(name)]
    )
    for start in range(0, len(chosen), options.batch_rows):
        rows = chosen.slice(start, options.batch_rows)
        sizes = np.sum(
            [_sizes(column) for column in rows.columns] or [np.ones(len(rows))],
            axis=0,
            dtype=np.int64,
        )
        too_large = np.flatnonzero(sizes > options.max_row_bytes)
        if len(too_large):
            raise reading.error(
                f"a row of more than {options.max_row_bytes} bytes.",
                before + start + int(too_large[0]) + 1,
                hint="Raise max_row_bytes.",
            )
        ends = np.cumsum(sizes)
        at = 0
        while at < len(rows):
            base = int(ends[at - 1]) if at else 0
            end = max(at + 1, int(np.searchsorted(ends, base + options.batch_bytes, side="right")))
            yield _without_views(rows.slice(at, end - at))
            at = end


def _without_views(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Copy texts that are views into others: not every part of Arrow takes them."""
    import pyarrow as pa

    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    arrays = [
        column.cast(plain[column.type]) if column.type in plain else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


def _sizes(column: Any) -> "np.ndarray[Any, Any]":
    import numpy as np
    import pyarrow as pa

    if not (pa.types.is_string_view(column.type) or pa.types.is_binary_view(column.type)):
        return row_sizes(column)
    views = np.frombuffer(column.buffers()[1], np.int32)[
        column.offset * 4 : (column.offset + len(column)) * 4 : 4
    ]
    missing = column.is_null().to_numpy(zero_copy_only=False)
    return np.where(missing, 0, views).astype(np.int64)
