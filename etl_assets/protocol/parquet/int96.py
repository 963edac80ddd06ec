"""Parquet's old INT96 moments: as nanoseconds, those before 1677 or after 2262 become others.

An INT96 is a day and the nanoseconds of that day. Arrow can make microseconds of it, which have all
years but cut off what is finer, or nanoseconds, whose number overflows without a word. Read both
ways, the two differ by the digits that were cut off, also where a number has overflowed: so it is
known which of them is right.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
"""The lowest and the highest number of microseconds that a number of nanoseconds has room for."""


FAR = "nanoseconds stand beside a moment before 1677 or after 2262, and no type holds both."
FAR_HINT = "Cut the nanoseconds off, or send NULL for the moment, when the file is written."


@dataclass(frozen=True)
class FarMoment:
    """A moment that only microseconds hold, in a column with others that only nanoseconds do.

    Args:
        row: From 0.
        field: The column.
        value: Its text.
    """

    row: int
    field: str
    value: str


class FarMoments:
    """The far moments of a file, until somebody takes note of them; NULL stands in their places."""

    def __init__(self) -> None:
        self._found: list[FarMoment] = []

    def add(self, row: int, field: str, value: str) -> None:
        """Note one, of a row of the file."""
        self._found.append(FarMoment(row, field, value))

    def taken(self, start: int, stop: int) -> list[FarMoment]:
        """Return those of some rows of the file, counted from `start`, and forget them."""
        if not self._found:
            return []
        here = [replace(one, row=one.row - start) for one in self._found if start <= one.row < stop]
        self._found = [one for one in self._found if not start <= one.row < stop]
        return here


def int96_columns(parquet: Any, columns: Sequence[str] | None) -> list[str]:
    """Return the names of those columns of an open `ParquetFile` that have INT96 in them."""
    schema = parquet.schema
    found = [schema.column(at) for at in range(len(schema.names))]
    int96 = [one for one in found if one.physical_type == "INT96"]
    names = dict.fromkeys(one.path.partition(".")[0] for one in int96)
    return [name for name in names if columns is None or name in columns]


def exact(
    batches: Iterator["pa.RecordBatch"],
    finer: Iterator["pa.RecordBatch"],
    names: Sequence[str],
    refuse: Callable[[int, str, str], None],
) -> Iterator["pa.RecordBatch"]:
    """Yield the rows of a row group with nanoseconds where they are needed.

    Args:
        batches: The rows, with microseconds.
        finer: The same rows with nanoseconds, of at least these columns.
        names: The columns that `int96_columns` gave.
        refuse: Takes row, column and text of a moment that nanoseconds do not hold where others
            need them; it is NULL.
    """
    waiting = _Rows(finer)
    before = 0
    for batch in batches:
        other = waiting.take(len(batch))
        for name in names:
            at = batch.schema.get_field_index(name)
            column = _exact(
                batch.column(at),
                other.column(name),
                lambda row, value: refuse(before + row, name, value),  # noqa: B023
            )
            batch = batch.set_column(at, batch.schema.field(at).with_type(column.type), column)  # noqa: PLW2901
        yield batch
        before += len(batch)


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


def _exact(micros: Any, nanos: Any, refuse: Callable[[int, str], None]) -> Any:
    import pyarrow as pa

    nanos = nanos.combine_chunks() if isinstance(nanos, pa.ChunkedArray) else nanos
    pairs = zip(_moments(micros), _moments(nanos), strict=True)
    if not any(_has_more(coarse, fine) for coarse, fine in pairs):
        return micros
    far = _far_rows(micros)
    if not far:
        return nanos
    for row, value in sorted(far.items()):
        refuse(row, value)
    kept = [None if row in far else row for row in range(len(nanos))]
    return nanos.take(pa.array(kept, pa.int64()))


def _far_rows(micros: Any) -> dict[int, str]:
    """Return the first far moment of each row that has one, as text; they are found by halves."""
    import pyarrow as pa

    found: dict[int, str] = {}
    spans = [(0, len(micros))]
    while spans:
        start, stop = spans.pop()
        # No slice: what is inside of that would still be that of all rows.
        part = micros.take(pa.array(range(start, stop), pa.int64()))
        value = next((text for text in map(_far, _moments(part)) if text is not None), None)
        if value is None:
            continue
        if stop - start == 1:
            found[start] = value
        else:
            middle = (start + stop) // 2
            spans += [(start, middle), (middle, stop)]
    return found


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

    # The product overflows just as the number of nanoseconds has.
    back = pc.multiply(micros.cast(pa.int64()), _PER_MICROSECOND)
    return bool(pc.any(pc.not_equal(back, nanos.cast(pa.int64()))).as_py())


def _far(micros: Any) -> str | None:
    beyond = number_beyond(micros, *_NANOSECONDS)
    return None if beyond is None else shown(beyond)
