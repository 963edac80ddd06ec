"""Parquet files, row group by row group, within limits."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn

from etl_assets.exceptions import DataError
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.protocol.parquet.files import RATIO_COUNTS_FROM, Bounds, batches_of
from etl_assets.protocol.parquet.int96 import FAR, FAR_HINT, FarMoments
from etl_assets.protocol.parquet.int96 import OPTIONS as INT96
from etl_assets.sources.files.content import unpacked
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.rows import Tables

if TYPE_CHECKING:
    import pyarrow as pa

_PARQUET: dict[str, Any] = {"buffer_size": 1024 * 1024, "pre_buffer": False, **INT96}
"""Read buffered, not ahead: a row group may be larger than the memory."""


_READ_WHOLE = 1024 * 1024
"""A file of at most so many bytes is read at once: it has many parts of a few bytes."""


@contextmanager
def _opened(reading: Reading) -> Iterator[tuple[Any, BinaryIO]]:
    """Open a file: as a `ParquetFile`, and as its bytes."""
    import pyarrow as pa
    from pyarrow import parquet

    unpacked(reading, "Parquet files")
    with ExitStack() as stack:
        file = stack.enter_context(reading.open())
        source: Any = file
        if reading.size is not None and reading.size <= _READ_WHOLE:
            data = b"".join(iter(partial(file.read, _READ_WHOLE), b""))
            file, source = io.BytesIO(data), pa.BufferReader(data)
        try:
            opened = parquet.ParquetFile(source, **_PARQUET)
        except (pa.ArrowInvalid, OSError) as error:
            raise reading.error(f"is no whole Parquet file: {error}.") from error
        yield opened, file


def parquet_properties(reading: Reading) -> dict[str, Any]:
    """Return the columns of a file, as properties of a JSON Schema."""
    with _opened(reading) as (parquet, _):
        return dict(_properties_of(parquet.schema_arrow.serialize().to_pybytes()))


@lru_cache(8)
def _properties_of(schema: bytes) -> dict[str, Any]:
    """Return the columns of a schema as Arrow writes it: most files of a stream have the same."""
    import pyarrow as pa

    properties: dict[str, Any] = from_arrow(pa.ipc.read_schema(pa.py_buffer(schema)))["properties"]
    return properties


def parquet_count(reading: Reading) -> int:
    """Return the number of rows that a file says to have."""
    with _opened(reading) as (parquet, _):
        return int(parquet.metadata.num_rows)


def parquet_tables(reading: Reading) -> Tables:
    """Return a file as tables, with the numbers of their rows.

    Raises:
        DataError: The file is damaged, or a row is too large; names file and row.
    """
    import pyarrow as pa

    with _opened(reading) as (parquet, file):
        names = list(dict.fromkeys(parquet.schema_arrow.names))
        columns = [name for name in names if reading.reads(name)]
        before, far = 0, FarMoments()
        try:
            for batch in batches_of(
                parquet, file, _parquet_bounds(reading, far), columns=columns, **_PARQUET
            ):
                for part in _parts(pa.Table.from_batches([batch]), before, reading):
                    for one in far.taken(before, before + len(part)):
                        place = before + one.row + 1
                        told = reading.error(
                            FAR, place, field=one.field, value=one.value, hint=FAR_HINT
                        )
                        reading.refusals.add(one.row, told, one.value)
                    yield part, range(before + 1, before + 1 + len(part))
                    before += len(part)
        except (ValueError, pa.ArrowNotImplementedError, OSError, MemoryError) as error:
            raise reading.error(f"its rows after {before} cannot be read: {error}.") from error


def _parquet_bounds(reading: Reading, far: FarMoments) -> Bounds:
    options = reading.options
    by_ratio = (
        None if reading.size is None else max(RATIO_COUNTS_FROM, reading.size * options.max_ratio)
    )

    def too_large(row: int, field: str, size: int) -> NoReturn:
        raise _row_too_large(reading, row, field=field, size=size)

    def too_many(field: str | None) -> NoReturn:
        if by_ratio is None or options.max_file_bytes <= by_ratio:
            raise reading.error(
                f"holds more than {options.max_file_bytes} bytes.",
                field=field,
                hint="Raise max_file_bytes if that is right.",
            )
        raise reading.error(
            f"stands for more than {by_ratio} bytes, with a size of {reading.size}: it may be a "
            "bomb.",
            field=field,
            hint=f"Raise max_ratio (it is {options.max_ratio}) if the file is what it should be.",
        )

    return Bounds(
        options.batch_rows,
        options.batch_bytes,
        options.max_row_bytes,
        options.max_file_bytes if by_ratio is None else min(options.max_file_bytes, by_ratio),
        too_large,
        too_many,
        far,
    )


def _parts(table: "pa.Table", before: int, reading: Reading) -> Iterator["pa.Table"]:
    """Cut a table that is larger than its metadata said; one row that is too large is an error."""
    if len(table) > 1 and table.nbytes > reading.options.batch_bytes:
        half = len(table) // 2
        yield from _parts(table.slice(0, half), before, reading)
        yield from _parts(table.slice(half), before + half, reading)
        return
    if len(table) == 1 and table.nbytes > reading.options.max_row_bytes:
        raise _row_too_large(reading, before + 1)
    yield table


def _row_too_large(
    reading: Reading, row: int, *, field: str | None = None, size: int | None = None
) -> DataError:
    told = "" if size is None else f", {size} of them in this field"
    return reading.error(
        f"a row of more than {reading.options.max_row_bytes} bytes{told}.",
        row,
        field=field,
        hint="Raise max_row_bytes.",
    )
