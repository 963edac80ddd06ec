"""Number formats of spreadsheets: which numbers are dates, times of day or durations.

A sheet holds a date as a number, days since the first one, and only the format of its cell tells
that it is one.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from functools import lru_cache
from typing import Any

DAY_MILLISECONDS = 86_400_000
LAST_DAY = date(9999, 12, 31)
LEAP_DAY_1900 = 60
"""The number of 1900-02-29, which Lotus 1-2-3 took for a day, and all its successors after it."""

_ANY_MIDNIGHT = datetime.combine(LAST_DAY, time())
_BEFORE_LEAP_DAY, _AFTER_LEAP_DAY, _FROM_1904 = (
    date(1899, 12, 31),
    date(1899, 12, 30),
    date(1904, 1, 1),
)


class Shown(Enum):
    """What a number format shows a number as."""

    NUMBER = "number"
    DATE = "date"
    MOMENT = "date and time"
    TIME = "time of day"
    ELAPSED = "duration"
    BY_VALUE = "date or time, by the language of whoever looks at it"


def _shown_by_number() -> dict[int, Shown]:
    """Return the formats that a file names without saying them (ECMA-376, 18.8.30)."""
    numbers = {
        Shown.DATE: [*range(14, 18), *range(27, 32), 36, 50, 51, 57, 58, *range(71, 75), 81],
        Shown.TIME: [*range(18, 22), 32, 33, 45, 47, 75, 76, 78, 80],
        Shown.MOMENT: [22, 77],
        Shown.ELAPSED: [46, 79],
        Shown.BY_VALUE: [34, 35, *range(52, 57)],  # times in Chinese, dates in Japanese and Korean
    }
    return {number: shown for shown, all_ in numbers.items() for number in all_}


SHOWN_BY_NUMBER: Mapping[int, Shown] = _shown_by_number()

_TOKEN = re.compile(
    r"""
    (?P<literal> "[^"]*"? | \\. | _. | \*. | General )
    | \[ (?P<elapsed> h+ | m+ | s+ ) \]
    | (?P<bracket> \[[^\]]*\] )
    | (?P<noon> am/pm | a/p )
    | (?P<exponent> e[+-] )
    | (?P<letters> y+ | m+ | d+ | h+ | s+ | e+ | g+ | b+ )
    | (?P<digit> [0#?] )
    | (?P<end> ; )
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


@lru_cache(4096)
def shown_by_code(code: str) -> Shown:
    """Return what a format code (`yyyy-mm-dd`, `[h]:mm`) shows numbers as, by its first section."""
    letters: list[str] = []
    has_noon = False
    for match in _TOKEN.finditer(code):
        kind = match.lastgroup
        if kind == "end" or (kind in {"digit", "exponent"} and not letters):
            # the first section is over, or it shows a number: `0 "days"`; digits behind letters are
            # of seconds
            break
        if kind == "elapsed":
            return Shown.ELAPSED
        if kind == "letters":
            letters.append(match["letters"].lower())
        has_noon = has_noon or kind == "noon"
    has_time = has_noon or any(one[0] in "hs" for one in letters)
    has_date = any(one[0] in "ydegb" for one in letters) or any(
        _is_month(letters, at) for at in range(len(letters))
    )
    if has_date:
        return Shown.MOMENT if has_time else Shown.DATE
    return Shown.TIME if has_time else Shown.NUMBER


def shown_by_style(formats: Sequence[int], codes: Mapping[int, str]) -> dict[int, Shown]:
    """Return what styles of cells show numbers as, where it is not as plain numbers.

    Args:
        formats: The number of each style's format.
        codes: The codes of the formats that the file says itself.
    """
    found: dict[int, Shown] = {}
    for style, number in enumerate(formats):
        code = codes.get(number)
        shown = SHOWN_BY_NUMBER.get(number, Shown.NUMBER) if code is None else shown_by_code(code)
        if shown is not Shown.NUMBER:
            found[style] = shown
    return found


def _is_month(letters: list[str], at: int) -> bool:
    """Return whether an `m` is a month: it is a minute behind hours and before seconds."""
    one = letters[at]
    if one[0] != "m":
        return False
    before, after = letters[at - 1 : at], letters[at + 1 : at + 2]
    minute = (before and before[0][0] == "h") or (after and after[0][0] == "s")
    return len(one) > len("mm") or not minute


def dated(number: float, shown: Shown, *, from_1904: bool = False) -> Any:
    """Return the date, time or duration that a number stands for, to the millisecond.

    Args:
        number: Days, with the time of day as its fraction.
        shown: What the cell's format shows it as. A date whose number has a time of day is a date
            and time all the same; a time of day whose number has days, too.
        from_1904: Days count from 1904-01-01, as in files from a Macintosh.

    Raises:
        ValueError: It stands for none; says why.
    """
    try:
        days, milliseconds = divmod(round(number * DAY_MILLISECONDS), DAY_MILLISECONDS)
    except (OverflowError, ValueError):
        raise ValueError("beyond any date") from None
    clock = timedelta(milliseconds=milliseconds)
    if shown is Shown.ELAPSED:
        try:
            return timedelta(days=days) + clock
        except OverflowError:
            raise ValueError("longer than any duration") from None
    if days == 0 and (shown is Shown.TIME or (shown is Shown.BY_VALUE and milliseconds)):
        return (_ANY_MIDNIGHT + clock).time()
    day = _day(days, from_1904=from_1904)
    if milliseconds == 0 and shown in {Shown.DATE, Shown.BY_VALUE}:
        return day
    return datetime.combine(day, time()) + clock


def _day(days: int, *, from_1904: bool) -> date:
    first = _FROM_1904
    if not from_1904:
        if days == LEAP_DAY_1900:
            raise ValueError("1900-02-29, a day that there was not")
        first = _BEFORE_LEAP_DAY if days < LEAP_DAY_1900 else _AFTER_LEAP_DAY
    if days < (0 if from_1904 else 1):
        raise ValueError("before the first date that a sheet has")
    if days > (LAST_DAY - first).days:
        raise ValueError("beyond 9999-12-31")
    return first + timedelta(days=days)


_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)?"
    r"((?(date)T)(?P<clock>\d\d:\d\d(:\d\d)?)([.,](?P<fraction>\d+))?(?P<zone>Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)
_MICROSECOND_DIGITS = 6


def iso_dated(text: str) -> date | datetime | time:
    """Read a date, time or both as ISO 8601 writes them.

    More digits than microseconds have, to the millisecond.

    Programs that hold a time as a number write more digits than it has: these are noise.

    Raises:
        ValueError: It is none.
    """
    match = _ISO.fullmatch(text.strip())
    if match is None or not (match["date"] or match["clock"]):
        raise ValueError("not a date or time (ISO 8601)")
    day = date.fromisoformat(match["date"]) if match["date"] else None
    if day is not None and not match["clock"]:
        return day
    moment = datetime.combine(day or date.min, time.fromisoformat(match["clock"])) + _fraction(
        match["fraction"] or ""
    )
    if day is None:
        return moment.time()
    if match["zone"]:
        offset = datetime.fromisoformat(
            f"2000-01-01T00:00:00{match['zone'].replace('Z', '+00:00')}"
        ).utcoffset()
        return (moment - (offset or timedelta())).replace(tzinfo=UTC)
    return moment


_DURATION = re.compile(
    r"(?P<sign>-)?P((?P<days>\d+)D)?(T((?P<hours>\d+)H)?((?P<minutes>\d+)M)?((?P<seconds>\d+)([.,](?P<fraction>\d+))?S)?)?",
    re.ASCII,
)


def iso_duration(text: str) -> timedelta:
    """Read a duration as ISO 8601 writes it (`PT26H00M00S`), to the millisecond or finer.

    Raises:
        ValueError: It is none.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match[part] for part in ("days", "hours", "minutes", "seconds")):
        raise ValueError("not a duration (ISO 8601)")
    fraction = match["fraction"] or ""
    whole = {part: int(match[part] or 0) for part in ("days", "hours", "minutes", "seconds")}
    try:
        length = timedelta(**whole) + _fraction(fraction)
    except OverflowError:
        raise ValueError("longer than any duration") from None
    return -length if match["sign"] else length


def _fraction(digits: str) -> timedelta:
    if len(digits) <= _MICROSECOND_DIGITS:
        return timedelta(microseconds=int(digits.ljust(_MICROSECOND_DIGITS, "0")))
    return timedelta(milliseconds=round(float(f"0.{digits}") * 1000))
