"""Numbers and dates as people and offices write them: decimal commas, groups, dates by a format.

What is read here is turned into the one form that `file_cells` reads, so that it is as exact:
`1.234,50` becomes `1234.50`, `24.12.2026` becomes `2026-12-24`. What does not fit stays as it is
and is refused there, or stays text.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from time import strptime
from typing import TYPE_CHECKING, Any, Protocol

from etl_assets.exceptions import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa


class Notation(Protocol):
    """How numbers and dates are written, as the options of a file source say it."""

    @property
    def decimal(self) -> str:
        """The character before a fraction."""
        ...

    @property
    def thousands(self) -> str | None:
        """The character between groups of digits, if there is one."""
        ...

    @property
    def date_format(self) -> Any:
        """One format, several, or formats by field; None for ISO 8601."""
        ...


Rewrite = Callable[[str], str]
"""Gives a text in the form that is read.

It raises ValueError where the text is none of those that it knows.
"""

_ALIKE = {  # what one key types and another program writes
    " ": " \u00a0\u202f\u2009",
    "\u00a0": " \u00a0\u202f\u2009",
    "\u202f": " \u00a0\u202f\u2009",
    "'": "'\u2019",
    "\u2019": "'\u2019",
}
_DATE_WORDS = frozenset("aAbBdjmyY")
_TIME_WORDS = frozenset("HIpMSfz")
_YEARS = frozenset("yY")
_DAYS_OF_MONTHS = frozenset("bBdm")
_CHECKED = re.compile(r"%[aAj]")
"""What Python reads and does not hold against the date: a day of the week, the day of a year."""
_DIRECTIVE = re.compile(r"%([A-Za-z%])")
_ADJACENT = re.compile(r"%[A-Za-z]%[A-Za-z]")
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER_LIKE = re.compile(r"[+-]?[0-9.,]+([eE][+-]?[0-9]+)?")


def check_notation(options: "Notation") -> None:
    """Look at the options for numbers and dates.

    Raises:
        ConfigError: One of them is not what it should be.
    """
    decimal, thousands = options.decimal, options.thousands
    given: tuple[tuple[str, object], ...] = (("decimal", decimal), ("thousands", thousands))
    for name, value in given if thousands is not None else given[:1]:
        if not isinstance(value, str) or len(value) != 1 or value.isalnum() or value in "+-":
            raise ConfigError(
                f"{name} is {value!r}.", hint="It is one character, such as ',' or '.'."
            )
    if thousands is not None and decimal in _ALIKE.get(thousands, thousands):
        raise ConfigError(
            f"decimal and thousands are both {decimal!r}.", hint="They are two characters."
        )
    for format_ in _all_formats(options.date_format):
        kinds_of(format_)


def _all_formats(given: object) -> list[str]:
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    if isinstance(given, Mapping):
        return [one for value in given.values() for one in _all_formats(value)]
    if isinstance(given, Sequence):
        return [one for value in given for one in _all_formats(value)]
    raise ConfigError(
        f"date_format is {given!r}.",
        hint='For example "%d.%m.%Y", or {"ordered": "%d.%m.%Y %H:%M"}.',
    )


def kinds_of(format_: str) -> tuple[bool, bool]:
    """Return whether a format has a date, and whether it has a time.

    Raises:
        ConfigError: It has neither, or a date whose year it leaves open.
    """
    words = {word for word in _DIRECTIVE.findall(format_) if word != "%"}
    odd = (
        words - _DATE_WORDS - _TIME_WORDS
    )  # of them %Z, which loses the zone, and what the locale decides
    if odd:
        raise ConfigError(
            f"date_format {format_!r}: %{min(odd)} is not read.",
            hint="Use %d %m %b %Y %y %H %M %S %f %z and the like.",
        )
    has_date, has_time = bool(words & _DATE_WORDS), bool(words & _TIME_WORDS)
    if not has_date and not has_time:
        raise ConfigError(f"date_format {format_!r} has no date.", hint='For example "%d.%m.%Y".')
    if has_date and not words & _YEARS:
        raise ConfigError(
            f"date_format {format_!r} has no year.", hint="Add %Y, or %y for two digits."
        )
    _refuse_ignored(format_, words)
    return has_date, has_time


def _refuse_ignored(format_: str, words: set[str]) -> None:
    """Refuse a directive beside which Python would ignore another: `%p` is ignored beside `%H`."""
    if "p" in words and "I" not in words:
        raise ConfigError(
            f"date_format {format_!r}: %p goes with hours to 12.", hint="Write %I in place of %H."
        )
    if "I" in words and "p" not in words:
        raise ConfigError(
            f"date_format {format_!r}: hours to 12 do not tell morning from evening.",
            hint="Add %p where the texts say AM or PM, or write %H in place of %I.",
        )
    if "j" in words and words & _DAYS_OF_MONTHS:
        raise ConfigError(
            f"date_format {format_!r} has the day of the year and that of a month.",
            hint="Leave %j out, or %d and %m.",
        )


def formats_of(options: "Notation", field: str) -> tuple[str, ...]:
    """Return the date formats of a field."""
    given = options.date_format
    return tuple(_all_formats(given.get(field) if isinstance(given, Mapping) else given))


def types_by_format(options: "Notation") -> dict[str, "pa.DataType"]:
    """Return the types of the fields that have a date format of their own: dates, by that."""
    import pyarrow as pa

    if not isinstance(options.date_format, Mapping):
        return {}
    types: dict[str, pa.DataType] = {}
    for field in options.date_format:
        formats = formats_of(options, field)
        dated, timed = (any(one) for one in zip(*map(kinds_of, formats), strict=True))
        aware = all("%z" in one for one in formats)
        moment = pa.timestamp("us", "UTC" if aware else None)
        if not dated:
            types[field] = pa.time64("us")
        else:
            types[field] = moment if timed else pa.date32()
    return types


def rewrite_for(options: "Notation", type_: "pa.DataType", field: str) -> Rewrite | None:
    """Return what rewrites the texts of a column of a type.

    None where they are read as they are.
    """
    from pyarrow import types as t

    if t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_):
        return number_rewrite(options)
    if t.is_temporal(type_) and (formats := formats_of(options, field)):
        return lambda text: by_format(text, formats)
    return None


def inferred_rewrite(
    options: "Notation", field: str
) -> Callable[[Sequence[str | None]], Sequence[str | None]] | None:
    """Return what gives the texts of a field in the forms that types are inferred of.

    What is not written as the options say is a text. None where they say nothing.
    """
    number = number_rewrite(options)
    formats = formats_of(options, field)
    if number is None and not formats:
        return None
    return lambda texts: [_inferred(text, number, formats) if text else text for text in texts]


_TEXT = "text"
"""Stands for a text of no other kind."""


def _inferred(text: str, number: Rewrite | None, formats: Sequence[str]) -> str:
    if formats:
        try:
            return by_format(text, formats)
        except ValueError:
            if _ISO_DATE.match(text):
                return _TEXT
    if number is not None:
        try:
            return number(text)
        except ValueError:
            # A number with a point, where commas are for fractions, is none; `true` is what it is.
            return _TEXT if _NUMBER_LIKE.fullmatch(text) else text
    return text


def number_rewrite(options: "Notation") -> Rewrite | None:
    """Return what turns numbers with a decimal comma, or groups of thousands, into plain ones."""
    if options.decimal == "." and options.thousands is None:
        return None
    pattern = _number_pattern(options.decimal, options.thousands)
    groups = "" if options.thousands is None else _ALIKE.get(options.thousands, options.thousands)

    def rewrite(text: str) -> str:
        found = pattern.fullmatch(text)
        if found is None:
            if any(character.isdigit() for character in text):
                raise ValueError(_told(options))
            return text  # NaN, or no number at all
        whole = found["whole"]
        for group in groups:
            whole = whole.replace(group, "")
        point = "." if found["fraction"] is not None else ""
        return f"{found['sign']}{whole}{point}{found['fraction'] or ''}{found['exponent'] or ''}"

    return rewrite


def _told(options: "Notation") -> str:
    groups = "" if options.thousands is None else f" and {options.thousands!r} between thousands"
    return f"not a number with {options.decimal!r} before its fraction{groups}"


@lru_cache
def _number_pattern(decimal: str, thousands: str | None) -> re.Pattern[str]:
    whole = "[0-9]*"
    if thousands is not None:
        group = f"[{re.escape(_ALIKE.get(thousands, thousands))}]"
        # By three; or by two before the last three, as in India. 1.5 is no number where the point
        # is for thousands.
        by_three = f"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+"
        by_two = f"[0-9]{{1,2}}(?:{group}[0-9]{{2}})+{group}[0-9]{{3}}"
        whole = f"{by_three}|{by_two}|[0-9]*"
    return re.compile(
        rf"(?P<sign>[+-]?)(?P<whole>{whole})({re.escape(decimal)}(?P<fraction>[0-9]*))?"
        r"(?P<exponent>[eE][+-]?[0-9]+)?"
    )


def by_format(text: str, formats: Sequence[str]) -> str:
    """Return a date, a time or both, by one of some formats, as ISO 8601 text.

    Raises:
        ValueError: None of them fits, or two do and give different times.
    """
    found = dict.fromkeys(iso for iso in (_read(text, one) for one in formats) if iso is not None)
    if len(found) == 1:
        return next(iter(found))
    shown = ", ".join(formats)
    if not found:
        raise ValueError(f"not of the form {shown}")
    raise ValueError(f"read differently by the formats {shown}: {', '.join(found)}")


def _read(text: str, format_: str) -> str | None:
    try:
        moment = datetime.strptime(text, format_)  # noqa: DTZ007 - the zone is the format's business
    except ValueError:
        return None
    # Without anything between day and month, 2026111 would be either of two days.
    if _ADJACENT.search(format_) and moment.strftime(format_) != text:
        return None
    if _CHECKED.search(format_) and not _says_its_day(text, format_, moment):
        return None
    has_date, has_time = kinds_of(format_)
    if has_date and has_time:
        return moment.isoformat()
    return moment.date().isoformat() if has_date else moment.timetz().isoformat()


def _says_its_day(text: str, format_: str, moment: datetime) -> bool:
    """Return whether the days of the week and year that a text names are those of its date."""
    told = strptime(text, format_)
    return (told.tm_wday, told.tm_yday) == (moment.weekday(), moment.timetuple().tm_yday)
