"""The rows of a Parquet file in batches of bounded size, however much a few bytes of the file stand for.

Three things make a small file a large table: pages that were compressed well, values that refer to
a long text of a dictionary, and values that share a long beginning. The headers of the pages bound
all three before anything is unpacked (see `parquet_pages`). A row group that may become too large
is read as references to its dictionaries, its rows are measured by these, and only a few at a time
become values.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from etl_assets.protocol.parquet.int96 import FINER, FarMoments, exact, int96_columns
from etl_assets.protocol.parquet.pages import Pages, pages_of

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

RATIO_COUNTS_FROM = 256 * 1024 * 1024
"""Less than this is no bomb, however small it was packed."""
AT_ONCE = 256 * 1024 * 1024
"""A row group whose batches may become larger than this is read as references first."""
_FEW = 128
"""A row group that so many safe batches hold is read in these: to look into its dictionaries would cost more."""
_NULLS = 10_000
"""So many rows are looked through for the first that is not NULL, with which Arrow reads the dictionary."""
_ELEMENT_BYTES = 4
"""What an element of a list takes at least.

A run of a thousand of them takes a few bytes of the file.
"""


@dataclass(frozen=True)
class Bounds:
    """What may come out of a file.

    Args:
        rows: Of a batch, at most.
        batch_bytes: Of a batch, unless one row is larger.
        row_bytes: Of a row.
        file_bytes: Of all rows.
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
        for batch in (
            part
            for whole in group.batches(bounds, before)
            for part in _cut(whole, bounds.batch_bytes)
        ):
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
        group = parquet.metadata.row_group(at)
        self._rows = group.num_rows
        chunks = [group.column(number) for number in range(group.num_columns)]
        wanted = None if columns is None else set(columns)
        remote = not _is_local(file)
        self._chunks = [
            (number, chunk, pages_of(file, chunk, only_first=remote))
            for number, chunk in enumerate(chunks)
            if wanted is None
            or chunk.path_in_schema.partition(".")[0] in wanted
            or chunk.path_in_schema in wanted
        ]
        sizes = {
            chunk.path_in_schema: self._size(number, pages) for number, chunk, pages in self._chunks
        }
        self._unpacked = sum(pages.unpacked for _, _, pages in self._chunks)
        self.size = sum(sizes.values())
        self.largest = max(sizes, key=sizes.__getitem__).partition(".")[0] if sizes else None

    def _size(self, number: int, pages: Pages) -> int:
        """Return what a column may take: one row of lists may have all its values, and Arrow reads no part of a row."""
        each = max(_ELEMENT_BYTES, self._width(number)) if self._is_repeated(number) else 0
        return pages.unpacked + pages.values * each

    def _width(self, number: int) -> int:
        """Return the bytes of each value of a column of fixed width; 0 for texts."""
        return max(0, int(self._parquet.schema.column(number).length or 0))

    def _is_repeated(self, number: int) -> bool:
        return bool(self._parquet.schema.column(number).max_repetition_level)

    def batches(self, bounds: Bounds, before: int) -> Iterator["pa.RecordBatch"]:
        rows = max(
            1, min(bounds.rows, bounds.batch_bytes // max(1, self._unpacked // max(1, self._rows)))
        )
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
        """Return what a batch may take at most, with the longest text of each column in all places."""
        return sum(
            self._at_once(number, pages, rows) * longest[name]
            for name, (number, pages) in referring.items()
        )

    def _has_texts(self, number: int, chunk: Any) -> bool:
        kind: str = self._parquet.schema.column(number).logical_type.type
        physical: str = chunk.physical_type
        return physical == "BYTE_ARRAY" and kind != "DECIMAL"

    def _at_once(self, number: int, pages: Pages, rows: int) -> int:
        """Return how many values that refer to a dictionary a batch may have.

        One row may have all of a list's.
        """
        return pages.by_reference if self._is_repeated(number) else min(rows, pages.by_reference)

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

        again = pq.ParquetFile(
            self._file, metadata=self._parquet.metadata, **{**self._options, **FINER}
        )
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
        """Return the length of the longest text in the dictionary of a column, where the first rows bring it along."""
        entries = {chunk.path_in_schema: pages.entries for _, chunk, pages in self._chunks}
        missing = list(names)
        lengths: dict[str, int] = {}
        for rows in (1, _NULLS):
            if (
                missing
                and (batch := next(self._read(self._again(missing), rows, missing), None))
                is not None
            ):
                found = [one for column in batch.columns for one in _dictionaries(column)]
                if len(found) == len(missing):
                    for name, one in zip(self._in_order(missing), found, strict=True):
                        if len(one.dictionary) >= entries[name]:  # else the dictionary comes later
                            lengths[name] = _longest_in(one)
                missing = [name for name in missing if name not in lengths]
        return lengths

    def _in_order(self, names: Sequence[str]) -> list[str]:
        """Return names of columns in the order of the file, which Arrow gives them in."""
        return [
            chunk.path_in_schema for _, chunk, _ in self._chunks if chunk.path_in_schema in names
        ]

    def _measured(
        self, names: Sequence[str], rows: int, bounds: Bounds, before: int
    ) -> Iterator["pa.RecordBatch"]:
        import numpy as np

        for batch in self._read(self._again(names), rows):
            schema = _types(self._parquet.schema_arrow, batch.schema)
            sizes = [row_sizes(column) for column in batch.columns]
            most = AT_ONCE // max(
                1, sum(_mean_in(one) for column in batch.columns for one in _dictionaries(column))
            )
            ends = np.cumsum(np.sum(sizes, axis=0))
            start = 0
            while start < len(batch):
                base = int(ends[start - 1]) if start else 0
                end = int(np.searchsorted(ends, base + bounds.batch_bytes, side="right"))
                end = max(start + 1, min(end, start + most))
                if int(ends[end - 1]) - base > bounds.row_bytes and end == start + 1:
                    widest = int(np.argmax([size[start] for size in sizes]))
                    bounds.too_large(
                        before + start + 1, batch.schema.names[widest], int(sizes[widest][start])
                    )
                yield _decoded(batch.slice(start, end - start), schema)
                start = end
            before += len(batch)


def _is_local(file: Any) -> bool:
    try:
        file.fileno()
    except (AttributeError, OSError):
        return False
    return True


def _largest(batch: "pa.RecordBatch") -> str | None:
    sizes = [column.nbytes for column in batch.columns]
    return str(batch.schema.names[sizes.index(max(sizes))]) if sizes else None


def _types(wanted: "pa.Schema", found: "pa.Schema") -> "pa.Schema":
    import pyarrow as pa

    # Moments may have come in nanoseconds.
    return pa.schema(
        [
            field if pa.types.is_timestamp(field.type) else wanted.field(field.name)
            for field in found
        ],
        metadata=found.metadata,
    )


def _decoded(batch: "pa.RecordBatch", schema: "pa.Schema") -> "pa.RecordBatch":
    """Return rows with the values that they refer to."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays(
        [_values(column, field.type) for column, field in zip(batch.columns, schema, strict=True)],
        schema=schema,
    )


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
    """Return the mean length of a dictionary's values: Arrow reserves that much for each row that it decodes."""
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


def _dictionaries(array: Any) -> Iterator[Any]:
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
        elements = row_sizes(array.values)[array.offset * kind.list_size :][
            : len(array) * kind.list_size
        ]
        return np.asarray(elements.reshape(len(array), kind.list_size).sum(axis=1), dtype=np.int64)
    return np.full(
        len(array), -(-getattr(kind, "bit_width", 8) // 8) if _is_fixed(kind) else 8, dtype=np.int64
    )


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
