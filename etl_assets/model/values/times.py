"""The days and moments that can be stored, and the texts of those that no type has.

Arrow keeps any number as a date, a moment or a time of day. The largest and the smallest stand for
infinity in some databases, and make others stop with an error that names no field; a time of day of
25 hours is printed as a character that is no digit. So the numbers are held against bounds before
they go anywhere.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

LAST_YEAR = 9999
"""The last year that Python and most databases have; the first is 1."""
LAST_WRITTEN_YEAR = 32_767
"""The last year that Arrow writes as text."""
DAY_MICROSECONDS = 86_400_000_000
_DAYS_BEFORE_1970 = 719_162
_DAYS = (2 - 2**31, 2**31 - 2)
"""The lowest and the highest count of days that is a date to anybody.

Those beyond stand for infinity, or for nothing.
"""
_MOMENTS = {"us": (-9_223_372_022_400_000_000, 2**63 - 2), "ns": (2 - 2**63, 2**63 - 2)}
_UNITS_OF_A_DAY = {"s": 86_400, "ms": 86_400_000, "us": DAY_MICROSECONDS, "ns": 86_400_000_000_000}


@lru_cache(256)
def bounds(type_: "pa.DataType") -> tuple[int, int] | None:
    """Return the lowest and the highest number of a date, moment or time of day, or None."""
    from pyarrow import types as t

    if t.is_date32(type_):
        return _DAYS
    if t.is_timestamp(type_):
        return _MOMENTS.get(type_.unit)
    if t.is_time(type_):
        return 0, _UNITS_OF_A_DAY[type_.unit]  # 24:00:00 is one to some databases
    return None


def years(type_: "pa.DataType", first: int, last: int) -> tuple[int, int]:
    """Return the lowest and the highest number of a date or a moment that is within some years."""
    import pyarrow as pa

    begin, end = _days_before(first), _days_before(last + 1)
    each = 1 if pa.types.is_date(type_) else _UNITS_OF_A_DAY[type_.unit]
    return begin * each, end * each - 1


def _days_before(year: int) -> int:
    """Count the days from 1970 up to a year."""
    before = year - 1
    return before * 365 + before // 4 - before // 100 + before // 400 - _DAYS_BEFORE_1970


def number_beyond(
    times: "pa.Array | pa.ChunkedArray", low: int, high: int
) -> "pa.Array | pa.ChunkedArray | None":
    """Return the first date, moment or time beyond two numbers, as an array of one, or None."""
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = times.cast(pa.int32() if times.type.bit_width == 32 else pa.int64())  # noqa: PLR2004 - bits
    least, most = pc.min_max(numbers).values()
    if not least.is_valid or (least.as_py() >= low and most.as_py() <= high):
        return None
    beyond = pc.or_(pc.less(numbers, low), pc.greater(numbers, high))
    return times.filter(beyond).slice(0, 1)


def first_refused(
    column: Any, convert: Callable[[Any], object], refusals: tuple[type[Exception], ...]
) -> Any:
    """Return the first value that cannot be converted, as an array of one; it is found by halves.

    Args:
        column: An array that cannot be converted as a whole.
        convert: The conversion of an array.
        refusals: What it raises then.
    """
    start, stop = 0, len(column)
    while stop - start > 1:
        middle = (start + stop) // 2
        try:
            convert(column.slice(start, middle - start))
        except refusals:
            stop = middle
        else:
            start = middle
    return column.slice(start, 1)


def shown(value: "pa.Array | pa.ChunkedArray") -> str | None:
    """Return the text of a value, given as an array of one, for an error.

    A nested value has none: it is as Arrow shows it.
    """
    import pyarrow as pa

    type_ = value.type
    if pa.types.is_date64(type_):
        value = value.cast(pa.timestamp("ms"))  # with the time of day that it should not have
    if pa.types.is_nested(type_):
        return " ".join(str(value.to_string()).split())
    text = value.cast(pa.string())[0].as_py()
    return f"{text} {type_.unit}" if pa.types.is_duration(type_) else text


def clock_text(microseconds: int) -> str:
    """Return a time of day as text, where it may be 24:00:00."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{hour:02}:{minute:02}:{second:02}"
    return f"{text}.{fraction:06}" if fraction else text


def interval_text(months: int, days: int, nanoseconds: int) -> str:
    """Return an interval as ISO 8601 has it; months, days and nanoseconds have no common length."""
    whole, fraction = divmod(abs(nanoseconds), 1_000_000_000)
    sign = "-" if nanoseconds < 0 else ""
    seconds = f"{sign}{whole}"
    if fraction:
        seconds += f".{fraction:09}".rstrip("0")
    return f"P{months}M{days}DT{seconds}S"
