"""Single values: what they stand for, their JSON and text forms, and times read strictly."""

import base64
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import simplejson

from etl_assets.model.values.foreign import foreign_value, refuse_equal_keys
from etl_assets.model.values.numbers import integer_text, plain_text
from etl_assets.model.values.plain_json import plain_json

MICROSECOND_DIGITS = 6

_TIME = re.compile(
    r"(?P<h>\d\d):(?P<m>\d\d)(:(?P<s>\d\d)([.,](?P<f>\d+))?)?(?P<zone>Z|z|[+-]\d\d(:?\d\d(:?\d\d)?)?)?",
)
_INSTANT = re.compile(r"(?P<date>\d{4}-\d\d-\d\d)[Tt ](?P<time>\S+(?: ?[+-]\d\d:?\d\d)?)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class NotFiniteError(ValueError):
    """NaN or an infinity is inside of a value that is stored as JSON, which has none.

    Args:
        reason: Which.
        hint: What the reader can do.
    """

    def __init__(self, reason: str, *, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


class FinerError(Exception):
    """A date or time has digits or an offset that its text keeps and its column does not."""


def plain_value(value: Any) -> Any:
    """Return the plain Python value that a subclass or another library's scalar stands for.

    Raises:
        TypeError: It stands for none.
    """
    if value is None or _is_missing(value):
        return None
    if isinstance(value, Enum):
        return plain_value(value.value)
    if isinstance(value, bool | int | float | Decimal):
        return _plain_number(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, datetime):
        return _plain_datetime(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if isinstance(value, date | time | timedelta | dict | list | tuple):
        return _plain_duration(value) if isinstance(value, timedelta) else value
    found = foreign_value(value)
    if found is not value:
        return plain_value(found)
    raise TypeError(
        f"a {type(value).__module__}.{type(value).__qualname__} is no value that can be stored."
    )


def _is_missing(value: Any) -> bool:
    # pandas' NaT and NA, told by name: pandas may not even be installed for what we know here.
    return type(value).__name__ in {"NaTType", "NAType"}


def _plain_number(value: Any) -> Any:
    for kind in (bool, int, float, Decimal):
        if isinstance(value, kind):
            return kind(value)
    raise AssertionError  # pragma: no cover - the caller has checked


def _plain_datetime(value: datetime) -> datetime | str:
    nanosecond = getattr(value, "nanosecond", 0)  # pandas.Timestamp
    if nanosecond:
        return value.isoformat()
    return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value


def _plain_duration(value: timedelta) -> timedelta:
    if not hasattr(value, "to_pytimedelta"):
        return value
    if getattr(value, "nanoseconds", 0):
        raise TypeError("a duration has microseconds, this one has nanoseconds.")
    plain: timedelta = value.to_pytimedelta()
    return plain


def to_text(value: Any) -> str:
    """Return a value's exact text: what it becomes in a column of text.

    Raises:
        ValueError: A number is too long to be written.
        TypeError: Bytes, or something else that has no text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return plain_text(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        raise TypeError("bytes are no text")
    if isinstance(value, int):
        return integer_text(value)
    if isinstance(value, timedelta):
        return str(value)
    return to_json(value)


def _not_finite(value: Any) -> Iterator[float]:
    """Yield the numbers inside of a value that are NaN or an infinity."""
    if isinstance(value, float):
        if not math.isfinite(value):
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _not_finite(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _not_finite(one)


def to_json(value: Any) -> str:
    """Return a value's JSON text: numbers keep every digit, texts only the escapes that they need.

    Raises:
        ValueError: NaN or Infinity, which JSON does not have; nested too deep.
        TypeError: Something inside has no JSON form.
    """
    plain = plain_json(value) if type(value) in {dict, list} else None
    if plain is not None:
        return plain
    refuse_equal_keys(value)
    try:
        text: str = simplejson.dumps(
            value,
            use_decimal=True,
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            encoding=None,
            default=_json_default,
        )
    except RecursionError as error:
        raise ValueError("nested too deep to be written as JSON") from error
    except ValueError as error:
        told = re.search(r"not JSON compliant: (\S+)", str(error))  # by later versions alone
        number = told[1] if told else next(_not_finite(value), None)
        if number is None:
            raise
        reason = f"{number} is inside of it, and JSON has no such number"
        hint = (
            "Send None in its place; or the whole column as Arrow to DuckDB, which keeps it: "
            "pa.array(values, pa.list_(pa.float64())) of lists of numbers."
        )
        raise NotFiniteError(reason, hint=hint) from error
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError(f"JSON has no {value}")
    return text


def _json_default(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    plain = plain_value(value)
    if plain is not value and type(plain) is not type(value):
        return plain
    if isinstance(plain, datetime):
        return plain.isoformat()
    if isinstance(plain, date | time):
        return plain.isoformat()
    if isinstance(plain, timedelta):
        return str(plain)
    raise TypeError(f"a {type(value).__name__} inside it has no JSON form")


def to_date(value: Any) -> date:
    """Read a date, strictly: text must be `YYYY-MM-DD`."""
    if isinstance(value, datetime):
        if value.time() != time():
            raise ValueError("a time of day in a column declared date")
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        return date.fromisoformat(value.strip())
    if isinstance(value, str) and _INSTANT.fullmatch(value.strip()):
        try:
            instant = to_instant(value)
        except FinerError:
            raise ValueError("a time of day in a column declared date") from None
        if instant.time() == time() and not instant.utcoffset():
            return instant.date()
    raise ValueError("not a date (YYYY-MM-DD)")


def to_time(value: Any) -> time:
    """Read a time of day, strictly.

    Raises:
        FinerError: It has an offset, more than six digits, or is 24:00.
    """
    if isinstance(value, time):
        if value.tzinfo is not None:
            raise FinerError
        return value
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if not match:
        raise ValueError("not a time of day (HH:MM:SS)")
    if match["zone"] or _is_whole_day(match):
        raise FinerError
    return _time(match)


def _is_whole_day(clock: re.Match[str]) -> bool:
    """Return whether a time of day is 24:00, the end of the day."""
    rest = "".join(clock[part] or "" for part in ("m", "s", "f"))
    return clock["h"] == "24" and not rest.strip("0")


def to_instant(value: Any) -> datetime:
    """Read a date and time, strictly; without an offset it stays naive.

    A date alone is its midnight in UTC.

    Raises:
        FinerError: It has digits beyond microseconds that are not zero.
        ValueError: Anything else; a number is never guessed to be seconds or milliseconds.
    """
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC)
    text = value.strip() if isinstance(value, str) else ""
    if _DATE.fullmatch(text):
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    match = _INSTANT.fullmatch(text)
    clock = _TIME.fullmatch(match["time"].replace(" ", "")) if match else None
    if match is None or clock is None:
        raise ValueError("not a date and time (ISO 8601)")
    day = date.fromisoformat(match["date"])
    zone = clock["zone"]
    moment = datetime.combine(day, _time(clock))
    if not zone:
        return moment
    offset = datetime.fromisoformat(f"2000-01-01T00:00:00{_spelled(zone)}").utcoffset()
    return (moment - (offset or timedelta())).replace(tzinfo=UTC)


def _spelled(zone: str) -> str:
    return "+00:00" if zone in {"Z", "z"} else zone


def _time(match: re.Match[str]) -> time:
    fraction = match["f"] or ""
    if fraction[MICROSECOND_DIGITS:].strip("0"):
        raise FinerError
    microseconds = 0
    if fraction:
        microseconds = int(fraction[:MICROSECOND_DIGITS].ljust(MICROSECOND_DIGITS, "0"))
    return time(int(match["h"]), int(match["m"]), int(match["s"] or 0), microseconds)
