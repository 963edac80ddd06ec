"""The replication keys of one batch, as rows or as Arrow columns: which is largest, and where."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream
from etl_assets.model.values.arrays import instant_of, is_utc, list_of, scalar_of
from etl_assets.model.values.scalars import FinerError, to_date, to_instant, to_time

if TYPE_CHECKING:
    import pyarrow as pa

Key = tuple[Any, ...]
"""The values of a composite (or single) replication key, in order."""

NANOSECOND_DIGITS = 9
_NANOSECONDS = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{9}Z?")
"""How Arrow writes a timestamp in nanoseconds, which Python's datetime would cut."""
_FRACTION = re.compile(r"[T ]\d\d:\d\d:\d\d\.(\d+)")


class Keys(Protocol):
    """The keys of one batch. A key with a NULL in it stands outside any order."""

    def largest(self) -> tuple[Key, int] | None:
        """Return the largest key, comparable, and the index of a row that has it, or None."""
        ...

    def smallest(self) -> tuple[Key, int] | None:
        """Return the smallest key, comparable, and the index of a row that has it, or None."""
        ...

    def rows_at(self, key: Key) -> list[int]:
        """Return the indexes of the rows that have this comparable key."""
        ...

    def rows_before(self, key: Key) -> list[int]:
        """Return the indexes of the rows whose key is smaller than this comparable one."""
        ...

    def rows_without(self) -> list[int]:
        """Return the indexes of the rows with a NULL in their key."""
        ...

    def disorder(self, last: Key | None) -> tuple[Key, Key] | None:
        """Return the first key that is smaller than the one before it, with that one, or None."""
        ...

    def last(self) -> Key | None:
        """Return the last key that is not NULL, or None."""
        ...


def keys_of(batch: Batch, stream: Stream) -> Keys:
    """Return the keys of a batch, as columns where its Arrow table is at hand."""
    if batch.rows is None or batch.converted:
        table = batch.some(stream, stream.cursor)
        if set(stream.cursor) <= set(table.column_names):
            columns = [table.column(name) for name in stream.cursor]
            if all(orders_like_python(column.type) for column in columns):
                return ArrowKeys(columns)
            return RowKeys(list(zip(*(_pylist(column) for column in columns), strict=True)))
        return RowKeys([])
    instants = [_is_instant(stream, name) for name in stream.cursor]
    return RowKeys([_row_key(row, stream.cursor, instants) for row in batch.rows])


def comparable(stored: Any, like: Any) -> Any:
    """Return a value of a stored bookmark (JSON) in the form of the keys it is compared with."""
    if isinstance(like, float) and isinstance(stored, str | int | Decimal):
        # It is stored as the shortest decimal, which is not the double itself: 0.1 is a little
        # less than the double that it stands for.
        return float(stored)
    if isinstance(like, str) and isinstance(stored, str) and _NANOSECONDS.fullmatch(like):
        return _in_nanoseconds(stored, zoned=like.endswith("Z"))
    if type(stored) is type(like) or not isinstance(stored, str):
        return stored
    if isinstance(like, datetime):
        instant = to_instant(stored)
        if like.utcoffset() is None and _is_date_alone(stored):
            return instant.replace(tzinfo=None)
        return instant.astimezone(UTC) if instant.utcoffset() is not None else instant
    if isinstance(like, date):
        return to_date(stored)
    if isinstance(like, time):
        return to_time(stored)
    if isinstance(like, int | float | Decimal):
        return Decimal(stored)
    return stored


def _is_date_alone(stored: str) -> bool:
    """Return whether a time is a date: the midnight of the clock that it is compared with."""
    return len(stored.strip()) == len("2026-01-01")


def _in_nanoseconds(stored: str, *, zoned: bool) -> str:
    """Return a stored time as Arrow writes those in nanoseconds; anything else as it is.

    Raises:
        ValueError: One has a zone and the other has none.
    """
    found = _FRACTION.search(stored)
    digits = found.group(1) if found else ""
    try:
        time = to_instant(stored if found is None else stored.replace(f".{digits}", "", 1))
    except (FinerError, ValueError):
        return stored
    has_zone = time.utcoffset() is not None
    if has_zone != zoned and not _is_date_alone(stored):
        raise ValueError("one time has a zone, and another one has none")
    utc = time.astimezone(UTC) if has_zone else time
    zone = "Z" if zoned else ""
    return f"{utc:%Y-%m-%d %H:%M:%S}.{digits.ljust(NANOSECOND_DIGITS, '0')}{zone}"


def source_value(batch: Batch, stream: Stream, index: int) -> Key:
    """Return the key of one row as the source gave it: a bookmark keeps the source's own text."""
    if batch.rows is not None:
        return tuple(batch.rows[index].get(name) for name in stream.cursor)
    row = batch.some(stream, stream.cursor, [index])
    return tuple(_pylist(row.column(name))[0] for name in stream.cursor)


class RowKeys(Keys):
    """Keys as Python tuples."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys: list[Key | None] = [None if None in key else key for key in keys]

    @override
    def largest(self) -> tuple[Key, int] | None:
        present = [key for key in self._keys if key is not None]
        if not present:
            return None
        if any(value != value for key in present for value in key):  # noqa: PLR0124 - NaN alone is not itself
            raise ValueError("NaN has no order")
        key = max(present)
        return key, self._keys.index(key)

    @override
    def smallest(self) -> tuple[Key, int] | None:
        key = min((key for key in self._keys if key is not None), default=None)
        return None if key is None else (key, self._keys.index(key))

    @override
    def rows_at(self, key: Key) -> list[int]:
        return [index for index, each in enumerate(self._keys) if each == key]

    @override
    def rows_before(self, key: Key) -> list[int]:
        return [index for index, each in enumerate(self._keys) if each is not None and each < key]

    @override
    def rows_without(self) -> list[int]:
        return [index for index, each in enumerate(self._keys) if each is None]

    @override
    def disorder(self, last: Key | None) -> tuple[Key, Key] | None:
        for key in self._keys:
            if key is None:
                continue
            if last is not None and key < last:
                return key, last
            last = key
        return None

    @override
    def last(self) -> Key | None:
        return next((key for key in reversed(self._keys) if key is not None), None)


class ArrowKeys(Keys):
    """Keys as Arrow columns of types that Arrow orders as Python does."""

    def __init__(self, columns: "Sequence[pa.ChunkedArray]") -> None:
        self._columns = columns

    @override
    def largest(self) -> tuple[Key, int] | None:
        import pyarrow.compute as pc

        return self._extreme(pc.max)

    @override
    def smallest(self) -> tuple[Key, int] | None:
        import pyarrow.compute as pc

        return self._extreme(pc.min)

    def _extreme(self, choose: Callable[[Any], Any]) -> tuple[Key, int] | None:
        import pyarrow.compute as pc

        if len(self._columns[0]) == 1:
            return self._of_one_row()
        found: list[Any] = []
        mask = self._whole()
        for column in self._columns:
            _refuse_nan(column)
            best = choose(column if mask is None else column.filter(mask))
            if not best.is_valid:
                return None
            found.append(best)
            same = pc.equal(column, best)
            mask = same if mask is None else pc.and_kleene(mask, same)
        # Where the mask is NULL it is no match. (A Python value beside an array would have pyarrow
        # import pandas.)
        return tuple(_python(best) for best in found), int(pc.indices_nonzero(mask)[0].as_py())

    def _of_one_row(self) -> tuple[Key, int] | None:
        """Return the key of a single row, which many sources give one at a time."""
        for column in self._columns:
            _refuse_nan(column)
        key = tuple(_python(column[0]) for column in self._columns)
        return None if None in key else (key, 0)

    def _whole(self) -> Any:
        """Return a mask of the rows without a NULL in their key.

        For a single column, whose NULLs never match, it is None.
        """
        import pyarrow.compute as pc

        if len(self._columns) == 1:
            return None
        mask = pc.is_valid(self._columns[0])
        for column in self._columns[1:]:
            mask = pc.and_(mask, pc.is_valid(column))
        return mask

    @override
    def rows_at(self, key: Key) -> list[int]:
        import pyarrow as pa
        import pyarrow.compute as pc

        mask: Any = None
        for column, value in zip(self._columns, key, strict=True):
            try:
                same = pc.equal(column, scalar_of(value, column.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
                return []  # no value of this column can be equal to it
            mask = same if mask is None else pc.and_kleene(mask, same)
        rows: list[int] = pc.indices_nonzero(mask).to_pylist()
        return rows

    @override
    def rows_before(self, key: Key) -> list[int]:
        import pyarrow as pa
        import pyarrow.compute as pc

        smallest = pc.min(self._columns[0])
        if not smallest.is_valid or _python(smallest) > key[0]:
            return []  # the usual case, told by one number
        if len(self._columns) > 1:
            return self._as_rows().rows_before(key)
        try:
            before = pc.less(self._columns[0], scalar_of(key[0], self._columns[0].type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            return self._as_rows().rows_before(key)  # no value of this column's type
        rows: list[int] = pc.indices_nonzero(before).to_pylist()
        return rows

    @override
    def rows_without(self) -> list[int]:
        if not any(column.null_count for column in self._columns):
            return []
        return self._as_rows().rows_without()

    @override
    def disorder(self, last: Key | None) -> tuple[Key, Key] | None:
        import pyarrow.compute as pc

        if len(self._columns) == 1:
            column = self._columns[0].drop_null()
            if len(column) == 0:
                return None
            follows_last = last is None or last <= (_python(column[0]),)
            is_single = len(column) == 1
            is_ordered = is_single or pc.all(pc.less_equal(column[:-1], column[1:])).as_py()
            if is_ordered and follows_last:
                return None
        return self._as_rows().disorder(last)

    @override
    def last(self) -> Key | None:
        if len(self._columns) > 1:
            return self._as_rows().last()
        known = self._columns[0].drop_null()
        return (_python(known[-1]),) if len(known) else None

    def _as_rows(self) -> RowKeys:
        return RowKeys(list(zip(*(_pylist(column) for column in self._columns), strict=True)))


def _refuse_nan(column: "pa.ChunkedArray") -> None:
    """Refuse what Arrow leaves out of a maximum, and PostgreSQL puts above every number.

    Raises:
        ValueError: There is a NaN.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
        raise ValueError("NaN has no order")


def orders_like_python(type_: "pa.DataType") -> bool:
    """Return whether Arrow orders the values of a type as Python does."""
    from pyarrow import types as t

    if t.is_timestamp(type_) or t.is_time64(type_):
        return bool(type_.unit == "us")
    is_number = t.is_integer(type_) or t.is_floating(type_) or t.is_decimal128(type_)
    return bool(is_number or t.is_date32(type_) or t.is_string(type_))


def _python(scalar: Any) -> Any:
    """Return a scalar as Python's value."""
    if is_utc(scalar.type):
        return instant_of(scalar.value)  # pyarrow's own way imports pandas
    return scalar.as_py()


def _pylist(column: "pa.ChunkedArray") -> list[Any]:
    import pyarrow as pa

    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        if column.type.tz is not None:
            column = column.cast(pa.timestamp("ns", "UTC"))  # texts of other zones are in no order
        column = column.cast(pa.string())  # Python's datetime would cut the nanoseconds
    return list_of(column)


def _is_instant(stream: Stream, name: str) -> bool:
    prop = ((stream.schema or {}).get("properties") or {}).get(name)
    return isinstance(prop, Mapping) and prop.get("format") == "date-time"


def _row_key(row: Mapping[str, Any], cursor: Sequence[str], instants: Sequence[bool]) -> Key:
    return tuple(
        _row_value(row.get(name), instant=instant)
        for name, instant in zip(cursor, instants, strict=True)
    )


def _row_value(value: Any, *, instant: bool) -> Any:
    if instant and isinstance(value, str):
        try:
            value = to_instant(value)
        except (FinerError, ValueError):
            return value
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC)
    return value
