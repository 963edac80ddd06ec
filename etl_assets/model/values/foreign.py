"""Single values of numpy and pandas, and keys that are no text: what they stand for.

Neither library is imported here. numpy's own way out of an array or a scalar (`tolist`, `item`)
gives a number where Python has no such date, and loses the names of a record's fields; of a long
double it gives the long double again.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

_LENGTHS = frozenset({"W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as"})
"""numpy's units of durations that have a length; months and years have none."""


def foreign_value(value: Any) -> Any:
    """Return what a value of numpy's or pandas' stands for in Python; any other as it is.

    Raises:
        TypeError: Python has no such value.
    """
    name = type(value).__name__
    if name == "Period":
        return str(value)
    if name == "Interval":
        return {"left": value.left, "right": value.right, "closed": value.closed}
    if name == "datetime64":
        return _moment(value)
    if name == "timedelta64":
        return _duration(value)
    dtype = getattr(value, "dtype", None)
    if dtype is None or not hasattr(value, "tolist"):
        return value
    if getattr(value, "ndim", 0):
        return list(value) if dtype.kind in "mMVOg" else value.tolist()
    if name == "ndarray":
        return value[()]
    if dtype.names:
        return {field: value[field] for field in dtype.names}
    if dtype.kind == "f" and dtype.itemsize > 8:  # noqa: PLR2004 - bytes of a double
        return _double(value)
    return value.tolist()


def _moment(value: Any) -> date | datetime | str | None:
    text = str(value)
    if text == "NaT":
        return None
    unit = _unit(value)
    if unit in {"Y", "M", "W", "D"}:
        found = value.astype("datetime64[D]").item()
    else:
        micros = value.astype("datetime64[us]")
        if micros != value:
            return text  # with more digits than a datetime has
        found = micros.item()
    if not isinstance(found, date):
        raise TypeError(
            "a date whose year is not between 1 and 9999 is no value that can be stored here."
        )
    return found


def _duration(value: Any) -> timedelta | None:
    if str(value) == "NaT":
        return None
    if _unit(value) not in _LENGTHS:
        raise TypeError("a duration without a unit, or in months or years, has no length.")
    micros = value.astype("timedelta64[us]")
    found = micros.item()
    if micros != value or not isinstance(found, timedelta):
        raise TypeError(
            "a duration has microseconds and at most 999,999,999 days; this one does not fit."
        )
    return found


def _unit(value: Any) -> str:
    """Return the unit of numpy's date or duration: `datetime64[25s]` has seconds."""
    return str(value.dtype).partition("[")[2].rstrip("]").lstrip("0123456789")


def _double(value: Any) -> float:
    found = float(value)
    if found != value and value == value:  # noqa: PLR0124 - NaN
        raise TypeError("a long double that is no double would be rounded.")
    return found


def refuse_equal_keys(value: Any) -> None:
    """Refuse a dict with two keys of one text, such as 1 and "1": JSON would have the key twice.

    Raises:
        ValueError: It has such keys, or one inside of it has; names the key.
    """
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            texts = [key if isinstance(key, str) else _key(key) for key in one]
            if len(set(texts)) < len(texts):
                twice = next(text for at, text in enumerate(texts) if text in texts[:at])
                raise ValueError(
                    f"two keys of one object are {twice!r} as text, and JSON has only texts for "
                    "keys"
                )
            inside: Iterable[Any] = one.values()
        elif isinstance(one, list | tuple):
            inside = one
        else:
            continue
        waiting += [inner for inner in inside if isinstance(inner, Mapping | list | tuple)]


def _key(key: Any) -> str:
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)
