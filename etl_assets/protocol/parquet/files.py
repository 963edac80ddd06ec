"""The rows of a Parquet file in batches of bounded size, however much a few bytes stand for.

Three things make a small file a large table: pages that were compressed well, values that refer to
a long text of a dictionary, and values that share a long beginning. The headers of the pages bound
all three before anything is unpacked (see `pages.py`). A row group that may become too large
is read as references to its dictionaries, its rows are measured by these, and only a few at a time
become values.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from etl_assets.protocol.parquet.int96 import FINER, FarMoments, exact, int96_columns
from etl_assets.protocol.parquet.pages import Pages, pages_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

RATIO_COUNTS_FROM = 256 * 1024 * 1024
"""A file that unpacks to less than this is no bomb, however small it was packed."""
AT_ONCE = 256 * 1024 * 1024
"""A row group whose batches may become larger than this is read as references first."""
_FEW = 128
"""A row group of at most so many safe batches is read in these.

To look into its dictionaries would cost more.
"""
_NULLS = 10_000
"""How many rows are looked through for the first that is not NULL.

Arrow reads the dictionary with it.
"""
_ELEMENT_BYTES = 4
"""What an element of a list takes at least.

A run of a thousand of them takes a few bytes of the file.
"""


@dataclass(frozen=True)
class Bounds:
    """What may come out of a file.

    Args:
        rows: The most rows of a batch.
        batch_bytes: The most bytes of a batch, unless one row is larger.
        row_bytes: The most bytes of a row.
        file_bytes: The most bytes of all rows.
        too_large: Raises the error of a row that is too large, with its number, largest field, and
            its bytes.
        too_many: Raises the error of a file that holds more than `file_bytes`, with the field.
        far: Takes the moments that stand beside others which no type holds together with them.
    """

    rows: int
    batch_bytes: int
    row_bytes: int
    file_bytes: int
    too_large: Callable[[int, str, int], NoReturn]
    too_many: Callable[[str | None], NoReturn]
    far: FarMoments


def batches_of(
    parquet: Any,
    file: BinaryIO,
    bounds: Bounds,
    *,
    columns: Sequence[str] | None = None,
    **options: Any,
) -> Iterator["pa.RecordBatch"]:
    """Yield the rows of an open Parquet file.

    The types are those that Arrow reads, whichever way a row group is read.

    Args:
        parquet: The open `pyarrow.parquet.ParquetFile`.
        file: The same file.
        bounds: What may come out of it.
        columns: The columns to read; None for all.
        options: Of a `ParquetFile`, for opening it once more.

    Raises:
        ValueError: It is damaged; Arrow's errors, too.
    """
    before = given = unpacked = 0
    for at in range(parquet.num_row_groups):
        if not parquet.metadata.row_group(at).num_rows:
            continue  # which has no page either
        group = _Group(parquet, file, at, columns, options, partial(_far_from, bounds.far, before))
        unpacked += group.size
        if unpacked > bounds.file_bytes:
            bounds.too_many(group.largest)
        whole = group.batches(bounds, before)
        cut = partial(_cut, size=bounds.batch_bytes)
        for batch in chain.from_iterable(map(cut, whole)):
            given += batch.nbytes
            if given > bounds.file_bytes:
                bounds.too_many(_largest(batch))
            yield batch
            before += len(batch)


def _far_from(far: FarMoments, before: int, row: int, field: str, value: str) -> None:
    """Note a far moment of a row group that begins behind so many rows."""
    far.add(before + row, field, value)


class _Group:
    """A row group: what its pages say, and how it is read."""

    def __init__(
        self,
        parquet: Any,
        file: BinaryIO,
        at: int,
        columns: Sequence[str] | None,
        options: dict[str, Any],
        far: Callable[[int, str, str], None],
    ) -> None:
        self._parquet, self._file, self._at = parquet, file, at
        self._columns, self._options, self._far = columns, options, far
        group, self._schema = parquet.metadata.row_group(at), parquet.schema
        self._rows = group.num_rows
        remote = not _is_local(file)
        self._chunks = []
        sizes: dict[str, int] = {}
        for number in range(group.num_columns):
            chunk = group.column(number)
            if not _is_wanted(chunk.path_in_schema, columns):
                continue
            pages = pages_of(file, chunk, only_first=remote)
            self._chunks.append((number, chunk, pages))
            sizes[chunk.path_in_schema] = self._size(number, pages)
        self._unpacked = sum(pages.unpacked for _, _, pages in self._chunks)
        self.size = sum(sizes.values())
        self.largest: str | None = None
        if sizes:
            self.largest = max(sizes, key=sizes.__getitem__).partition(".")[0]

    def _size(self, number: int, pages: Pages) -> int:
        """Return what a column may take.

        One row of lists may have all its values, and Arrow reads no part of a row.
        """
        if not self._is_repeated(number):
            return pages.unpacked
        return pages.unpacked + pages.values * max(_ELEMENT_BYTES, self._width(number))

    def _width(self, number: int) -> int:
        """Return the bytes of each value of a column of fixed width, and 0 for texts."""
        return max(0, int(self._schema.column(number).length or 0))

    def _is_repeated(self, number: int) -> bool:
        return bool(self._schema.column(number).max_repetition_level)

    def batches(self, bounds: Bounds, before: int) -> Iterator["pa.RecordBatch"]:
        row_bytes = max(1, self._unpacked // max(1, self._rows))
        rows = max(1, min(bounds.rows, bounds.batch_bytes // row_bytes))
        # Neither of these can be read as references.
        each = sum(pages.prefixed + self._width(number) for number, _, pages in self._chunks)
        if each * rows > AT_ONCE:
            rows = max(1, AT_ONCE // each)
        referring = {
            chunk.path_in_schema: (number, pages)
            for number, chunk, pages in self._chunks
            if self._has_texts(number, chunk) and pages.by_reference
        }
        longest = {name: pages.dictionary for name, (_, pages) in referring.items()}
        if self._worst(referring, longest, rows) > AT_ONCE:
            fewer = max(1, AT_ONCE // sum(longest.values()))
            if self._rows <= fewer * _FEW and self._worst(referring, longest, fewer) <= AT_ONCE:
                yield from _joined(self._read(self._parquet, fewer), rows, bounds.batch_bytes)
                return
            longest.update(self._longest(list(referring)))
        if self._worst(referring, longest, rows) <= AT_ONCE:
            yield from self._read(self._parquet, rows)
        else:
            yield from self._measured(list(referring), rows, bounds, before)

    def _worst(
        self, referring: Mapping[str, tuple[int, Pages]], longest: Mapping[str, int], rows: int
    ) -> int:
        """Return what a batch may take at most: each column's longest text in all places."""
        return sum(
            self._at_once(number, pages, rows) * longest[name]
            for name, (number, pages) in referring.items()
        )

    def _has_texts(self, number: int, chunk: Any) -> bool:
        kind: str = self._schema.column(number).logical_type.type
        physical: str = chunk.physical_type
        return physical == "BYTE_ARRAY" and kind != "DECIMAL"

    def _at_once(self, number: int, pages: Pages, rows: int) -> int:
        """Return how many values that refer to a dictionary a batch may have."""
        if self._is_repeated(number):
            return pages.by_reference  # one row may have them all in its list
        return min(rows, pages.by_reference)

    def _read(
        self, parquet: Any, rows: int, columns: Sequence[str] | None = None
    ) -> Iterator["pa.RecordBatch"]:
        found: Iterator[pa.RecordBatch] = parquet.iter_batches(
            rows, row_groups=[self._at], columns=columns or self._columns, use_threads=False
        )
        names = int96_columns(parquet, self._columns) if columns is None else []
        if not names:
            return found
        from pyarrow import parquet as pq

        options = {**self._options, **FINER}
        again = pq.ParquetFile(self._file, metadata=self._parquet.metadata, **options)
        finer = again.iter_batches(rows, row_groups=[self._at], columns=names, use_threads=False)
        return exact(found, finer, names, self._far)

    def _again(self, names: Sequence[str]) -> Any:
        """Open the file once more, with columns as references to their dictionaries."""
        from pyarrow import parquet

        return parquet.ParquetFile(
            self._file,
            metadata=self._parquet.metadata,
            read_dictionary=list(names),
            **self._options,
        )

    def _longest(self, names: Sequence[str]) -> dict[str, int]:
        """Return the length of the longest text in the dictionaries that the first rows bring."""
        entries = {chunk.path_in_schema: pages.entries for _, chunk, pages in self._chunks}
        missing = list(names)
        lengths: dict[str, int] = {}
        for rows in (1, _NULLS):
            if not missing:
                break
            batch = next(self._read(self._again(missing), rows, missing), None)
            if batch is None:
                continue
            found = _dictionaries_in(batch)
            if len(found) == len(missing):
                for name, one in zip(self._in_order(missing), found, strict=True):
                    if len(one.dictionary) >= entries[name]:  # else the dictionary comes later
                        lengths[name] = _longest_in(one)
            missing = [name for name in missing if name not in lengths]
        return lengths

    def _in_order(self, names: Sequence[str]) -> list[str]:
        """Return names of columns in the order of the file, which is Arrow's, too."""
        in_file = [chunk.path_in_schema for _, chunk, _ in self._chunks]
        return [name for name in in_file if name in names]

    def _measured(
        self, names: Sequence[str], rows: int, bounds: Bounds, before: int
    ) -> Iterator["pa.RecordBatch"]:
        import numpy as np

        for batch in self._read(self._again(names), rows):
            schema = _types(self._parquet.schema_arrow, batch.schema)
            sizes = [row_sizes(column) for column in batch.columns]
            reserved = sum(map(_mean_in, _dictionaries_in(batch)))
            most = AT_ONCE // max(1, reserved)
            ends = np.cumsum(np.sum(sizes, axis=0))
            start = 0
            while start < len(batch):
                base = int(ends[start - 1]) if start else 0
                end = int(np.searchsorted(ends, base + bounds.batch_bytes, side="right"))
                end = max(start + 1, min(end, start + most))
                if int(ends[end - 1]) - base > bounds.row_bytes and end == start + 1:
                    widest = int(np.argmax([size[start] for size in sizes]))
                    name, size = batch.schema.names[widest], int(sizes[widest][start])
                    bounds.too_large(before + start + 1, name, size)
                yield _decoded(batch.slice(start, end - start), schema)
                start = end
            before += len(batch)


def _is_wanted(path: str, columns: Sequence[str] | None) -> bool:
    """Return whether a column, or the one that it is inside of, is read."""
    if columns is None:
        return True
    return path in columns or path.partition(".")[0] in columns


def _is_local(file: Any) -> bool:
    if isinstance(file, io.BytesIO):
        return True
    try:
        file.fileno()
    except (AttributeError, OSError):
        return False
    return True


def _largest(batch: "pa.RecordBatch") -> str | None:
    sizes = [column.nbytes for column in batch.columns]
    if not sizes:
        return None
    return str(batch.schema.names[sizes.index(max(sizes))])


def _types(wanted: "pa.Schema", found: "pa.Schema") -> "pa.Schema":
    import pyarrow as pa

    fields = []
    for field in found:
        # Moments may have come in nanoseconds.
        is_moment = pa.types.is_timestamp(field.type)
        fields.append(field if is_moment else wanted.field(field.name))
    return pa.schema(fields, metadata=found.metadata)


def _decoded(batch: "pa.RecordBatch", schema: "pa.Schema") -> "pa.RecordBatch":
    """Return rows with the values that they refer to."""
    import pyarrow as pa

    pairs = zip(batch.columns, schema, strict=True)
    columns = [_values(column, field.type) for column, field in pairs]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _values(array: Any, type_: "pa.DataType") -> Any:
    import pyarrow as pa

    if array.type == type_:
        return array
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode().cast(type_)
    # A copy first, so that a cast looks at no value of the other rows.
    return array.take(pa.array(range(len(array)), pa.int64())).cast(type_)


def _longest_in(array: Any) -> int:
    import pyarrow.compute as pc

    return int(pc.max(pc.binary_length(array.dictionary)).as_py() or 0)


def _mean_in(array: Any) -> int:
    """Return the mean length of a dictionary's values, which Arrow reserves for each row."""
    return int(array.dictionary.nbytes) // max(1, len(array.dictionary))


def _joined(
    batches: Iterator["pa.RecordBatch"], rows: int, size: int
) -> Iterator["pa.RecordBatch"]:
    """Join small batches to such as are asked for."""
    import pyarrow as pa

    kept: list[pa.RecordBatch] = []
    held_rows = held = 0
    for batch in batches:
        more = batch.nbytes
        if kept and (held_rows + len(batch) > rows or held + more > size):
            yield pa.concat_batches(kept)
            kept, held_rows, held = [], 0, 0
        kept.append(batch)
        held_rows += len(batch)
        held += more
    if kept:
        yield pa.concat_batches(kept)


def _cut(batch: "pa.RecordBatch", size: int) -> Iterator["pa.RecordBatch"]:
    """Cut a batch that is larger than it may be."""
    if len(batch) > 1 and batch.nbytes > size:
        half = len(batch) // 2
        yield from _cut(batch.slice(0, half), size)
        yield from _cut(batch.slice(half), size)
    else:
        yield batch


def _dictionaries_in(batch: "pa.RecordBatch") -> list[Any]:
    return list(chain.from_iterable(map(_dictionaries, batch.columns)))


def _dictionaries(array: Any) -> Iterator[Any]:
    """Yield the arrays that refer to dictionaries of texts or bytes, wherever they are."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_dictionary(kind):
        if _has_length(kind.value_type):
            yield array
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _dictionaries(array.field(number))
    elif _is_list(kind):
        yield from _dictionaries(array.values)


def row_sizes(array: Any) -> "np.ndarray[Any, Any]":
    """Return the bytes of each row of an array, those that it refers to among them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_dictionary(kind) and _has_length(kind.value_type):
        return _numbers(pc.binary_length(array.dictionary).take(array.indices))
    if _has_length(kind):
        return _numbers(pc.binary_length(array))
    if pa.types.is_struct(kind):
        fields = [row_sizes(array.field(number)) for number in range(kind.num_fields)]
        return np.asarray(np.sum(fields, axis=0, dtype=np.int64))
    if _is_list(kind) and not pa.types.is_fixed_size_list(kind):
        ends = np.concatenate([[0], np.cumsum(row_sizes(array.values))])
        offsets = array.offsets.to_numpy()
        return np.asarray(ends[offsets[1:]] - ends[offsets[:-1]], dtype=np.int64)
    if pa.types.is_fixed_size_list(kind):
        first, count = array.offset * kind.list_size, len(array) * kind.list_size
        elements = row_sizes(array.values)[first : first + count]
        return np.asarray(elements.reshape(len(array), kind.list_size).sum(axis=1), dtype=np.int64)
    bits = getattr(kind, "bit_width", 8) if _is_fixed(kind) else 64
    return np.full(len(array), -(-bits // 8), dtype=np.int64)  # whole bytes


def _numbers(lengths: Any) -> "np.ndarray[Any, Any]":
    import numpy as np

    return np.asarray(lengths.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _has_length(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())


def _is_list(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return isinstance(kind, pa.ListType | pa.LargeListType | pa.MapType | pa.FixedSizeListType)


def _is_fixed(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_primitive(kind) or pa.types.is_fixed_size_binary(kind))
