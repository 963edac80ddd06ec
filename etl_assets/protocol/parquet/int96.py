"""Parquet's old INT96 moments, which Arrow reads as nanoseconds: those before 1677 and after 2262 become others.

An INT96 is a day and the nanoseconds of that day. Arrow can make microseconds of it, which have all years but cut off
what is finer, or nanoseconds, whose number overflows without a word. Read both ways, the two differ by the digits that
were cut off, also where a number has overflowed: so it is known which of them is right.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.model.values.times import number_beyond, shown

if TYPE_CHECKING:
    import pyarrow as pa

OPTIONS = {"coerce_int96_timestamp_unit": "us"}
"""How a file is opened."""
FINER = {"coerce_int96_timestamp_unit": "ns"}
"""How it is opened once more."""
_PER_MICROSECOND = 1_000
_NANOSECONDS = (-(2**63) // _PER_MICROSECOND + 1, (2**63 - 1) // _PER_MICROSECOND)
"""Between which numbers of microseconds a moment has one of nanoseconds."""


class FarMomentError(ValueError):
    """A column has moments that only microseconds hold, and others that only nanoseconds do.

    Args:
        field: The column.
        value: The first that nanoseconds do not hold, as text.
    """

    def __init__(self, field: str, value: str) -> None:
        self.field = field
        self.value = value
        super().__init__(f"the column {field!r} has nanoseconds, and a moment before 1677 or after 2262: {value}")


def int96_columns(parquet: Any, columns: Sequence[str] | None) -> list[str]:
    """Return the names of those columns of an open `ParquetFile` that have INT96 in them."""
    schema = parquet.schema
    found = [schema.column(at) for at in range(len(schema.names))]
    names = dict.fromkeys(one.path.partition(".")[0] for one in found if one.physical_type == "INT96")
    return [name for name in names if columns is None or name in columns]


def exact(
    batches: Iterator["pa.RecordBatch"], finer: Iterator["pa.RecordBatch"], names: Sequence[str]
) -> Iterator["pa.RecordBatch"]:
    """Yield the rows of a row group with nanoseconds where they are needed.

    Args:
        batches: The rows, with microseconds.
        finer: The same rows with nanoseconds, of at least these columns.
        names: The columns that `int96_columns` gave.

    Raises:
        FarMomentError: Neither unit holds all moments of a column.
    """
    waiting = _Rows(finer)
    for batch in batches:
        other = waiting.take(len(batch))
        for name in names:
            at = batch.schema.get_field_index(name)
            column = _exact(batch.column(at), other.column(name), name)
            batch = batch.set_column(at, batch.schema.field(at).with_type(column.type), column)  # noqa: PLW2901
        yield batch


class _Rows:
    """Rows that are taken as many at a time as somebody else reads them."""

    def __init__(self, batches: Iterator["pa.RecordBatch"]) -> None:
        self._batches = batches
        self._left: pa.Table | None = None

    def take(self, rows: int) -> "pa.Table":
        import pyarrow as pa

        parts = [] if self._left is None else [self._left]
        while sum(map(len, parts)) < rows:
            parts.append(pa.Table.from_batches([next(self._batches)]))
        table = pa.concat_tables(parts).combine_chunks()
        self._left = table.slice(rows)
        return table.slice(0, rows)


def _exact(micros: Any, nanos: Any, name: str) -> Any:
    import pyarrow as pa

    nanos = nanos.combine_chunks() if isinstance(nanos, pa.ChunkedArray) else nanos
    pairs = list(zip(_moments(micros), _moments(nanos), strict=True))
    if not any(_has_more(coarse, fine) for coarse, fine in pairs):
        return micros
    for coarse, _ in pairs:
        far = _far(coarse)
        if far is not None:
            raise FarMomentError(name, far)
    return nanos


def _moments(array: Any) -> Iterator[Any]:
    """Yield the moments in an array, wherever in it they are."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_timestamp(kind):
        yield array
    elif pa.types.is_struct(kind):
        for at in range(kind.num_fields):
            yield from _moments(array.field(at))
    elif pa.types.is_map(kind):
        yield from _moments(array.keys)
        yield from _moments(array.items)
    elif pa.types.is_nested(kind):
        yield from _moments(array.values)


def _has_more(micros: Any, nanos: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    back = pc.multiply(micros.cast(pa.int64()), _PER_MICROSECOND)  # which overflows as the other number has
    return bool(pc.any(pc.not_equal(back, nanos.cast(pa.int64()))).as_py())


def _far(micros: Any) -> str | None:
    beyond = number_beyond(micros, *_NANOSECONDS)
    return None if beyond is None else shown(beyond)
