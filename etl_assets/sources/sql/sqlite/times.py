"""Dates and times that SQLite keeps as text, compared as what they mean.

SQLite compares texts. That is the order of the instants only where all rows are written in one way,
and only against a value written in that way. So the way is looked up in the snapshot itself; where
there is more than one, a function of ours brings each value into one form, which is slower (no
index serves it) and just as right.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.values.scalars import (
    MICROSECOND_DIGITS,
    FinerError,
    to_date,
    to_instant,
    to_time,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.sources.sql.connection import Snapshot

MANY_WAYS = 20
"""More ways of writing than this are not looked at one by one."""

_DIGITS = ".0123456789"
_DATE_GLOB = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TIME_GLOB = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
_GLOBS = {"date": _DATE_GLOB, "time": f"{_TIME_GLOB}*", "timestamp": f"{_DATE_GLOB}?{_TIME_GLOB}*"}
_LENGTHS = {"date": 10, "time": 8, "timestamp": 19}
"""Characters of a value without fraction and zone."""

_ZONE = re.compile(r"[Zz]|[+-]\d\d:?\d\d")


@dataclass(frozen=True)
class Writing:
    """The one way in which a column's values are written.

    Args:
        separator: Between date and time.
        zone: What each value ends with: "", `Z`, or an offset.
        digits: Of the fraction.
        optional: A fraction of zero is left out. Never with `Z`, which sorts behind a point.
    """

    separator: str = " "
    zone: str = ""
    digits: int = 0
    optional: bool = False

    def fits(self, value: date | time | datetime) -> bool:
        """Return whether a value can be written this way.

        It has no more digits, and has a zone if the others have one.
        """
        if isinstance(value, datetime):
            is_zoned = value.tzinfo is not None
            if is_zoned != bool(self.zone):
                return False
        if not isinstance(value, datetime | time):
            return True
        fraction = f"{value.microsecond:06d}"
        return not fraction[self.digits :].strip("0")

    def write(self, value: date | time | datetime) -> str:
        """Write a value that fits in this way; digits it has too many are cut."""
        if isinstance(value, time):
            return self._clock(value)
        if not isinstance(value, datetime):
            return value.isoformat()
        if self.zone:
            value = value.astimezone(_offset(self.zone))
        day, clock = value.date().isoformat(), self._clock(value.time())
        return f"{day}{self.separator}{clock}{self.zone}"

    def _clock(self, value: time) -> str:
        fraction = f"{value.microsecond:06d}"[: self.digits]
        text = value.replace(microsecond=0, tzinfo=None).isoformat()
        is_left_out = self.optional and not fraction.strip("0")
        if is_left_out or not fraction:
            return text
        return f"{text}.{fraction}"


@dataclass(frozen=True)
class TextTimes:
    """How the values of one column of dates or times are compared.

    Args:
        expression: What to compare and to order by.
        write: Gives the text to compare with.
    """

    expression: Any
    write: Callable[[Any], str]


def text_times(
    snapshot: "Snapshot", column: Any, kind: str, *, stream: str, against: list[Any]
) -> TextTimes:
    """Look up how a column is written.

    Args:
        snapshot: The open connection.
        column: The column of the table.
        kind: `date`, `time` or `timestamp`.
        stream: For errors.
        against: The values it is going to be compared with.
    """
    import sqlalchemy as sa

    writing = _one_writing(snapshot, column, kind)
    if writing is not None and all(writing.fits(value) for value in against):
        return TextTimes(column, writing.write)
    canonical = _Canonical(kind, stream, str(column.name))
    name = f"etl_assets_{kind}_{len(snapshot.functions)}"
    snapshot.add_function(name, canonical.read)
    return TextTimes(getattr(sa.func, name)(column), canonical.write)


def _one_writing(snapshot: "Snapshot", column: Any, kind: str) -> Writing | None:
    """Return the one way a column is written.

    None if there are several, or its order as text is not that of time.
    """
    found = _shapes(snapshot, column, kind)
    if not found or len(found) > MANY_WAYS:
        return None
    separator, zone = found[0].separator, found[0].zone
    if any((one.separator, one.zone) != (separator, zone) for one in found):
        return None
    digits = {max(one.length - _LENGTHS[kind] - len(zone) - 1, 0) for one in found}
    are_plain = all(one.is_plain for one in found)
    if not are_plain or max(digits) > MICROSECOND_DIGITS or not _is_known(kind, separator, zone):
        return None
    if len(digits) == 1:
        return Writing(separator, zone, digits.pop())
    # Some values have a fraction, always of so many digits, and the others leave out that of zero.
    is_optional = digits == {0, max(digits)} and not any(one.is_of_zeros for one in found)
    if not is_optional or zone in {"Z", "z"}:
        return None
    return Writing(separator, zone, max(digits), optional=True)


@dataclass(frozen=True)
class _Shape:
    """What some values of a column look like.

    Args:
        separator: Between date and time.
        zone: What they end with, behind the digits.
        is_plain: They are texts that look like dates or times.
        length: How many characters they have.
        is_of_zeros: They have a fraction, which is zero.
    """

    separator: str
    zone: str
    is_plain: bool
    length: int
    is_of_zeros: bool


def _shapes(snapshot: "Snapshot", column: Any, kind: str) -> list[_Shape]:
    """Return what the values of a column look like; of very many ways only some."""
    import sqlalchemy as sa

    length = _LENGTHS[kind]
    separator: sa.ColumnElement[str] = sa.literal("")
    if kind == "timestamp":
        separator = sa.func.substr(column, _LENGTHS["date"] + 1, 1)
    zone = sa.func.ltrim(sa.func.substr(column, length + 1), _DIGITS)
    is_plain = sa.and_(sa.func.typeof(column) == "text", column.op("GLOB")(_GLOBS[kind]))
    is_of_zeros = sa.and_(
        sa.func.substr(column, length + 1, 1) == ".",
        sa.func.ltrim(sa.func.substr(column, length + 2), "0") == zone,
    )
    shape = (
        separator,
        zone,
        sa.func.coalesce(is_plain, sa.literal_column("0")),
        sa.func.length(column),
        is_of_zeros,
    )
    statement = sa.select(*shape).where(column.is_not(None)).distinct().limit(MANY_WAYS + 1)
    return [_Shape(*row) for row in snapshot.connection.execute(statement)]


def _is_known(kind: str, separator: str, zone: str) -> bool:
    """Return whether what stands between and behind the numbers is part of a date or time."""
    if kind != "timestamp":
        return not zone
    is_zone = zone == "" or _ZONE.fullmatch(zone) is not None
    return is_zone and separator in {" ", "T", "t"}


def _offset(zone: str) -> timezone:
    if zone in {"Z", "z"}:
        return UTC
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return timezone(-offset if zone[0] == "-" else offset)


class _Canonical:
    """Brings each value into one form whose order as text is that of time."""

    def __init__(self, kind: str, stream: str, field: str) -> None:
        self._kind = kind
        self._stream = stream
        self._field = field
        self._zones: set[bool] = set()

    def read(self, value: Any) -> str | None:
        """Return a stored value in the one form; called by SQLite."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise self._error(f"{type(value).__name__} in a column of dates or times.", value)
        try:
            if self._kind == "date":
                return self.write(to_date(value))
            if self._kind == "time":
                return self.write(to_time(value))
            return self.write(to_instant(value))
        except FinerError:
            raise self._error(
                "has more digits than microseconds, so it cannot be a replication key.", value
            ) from None
        except ValueError as error:
            raise self._error(f"{error}.", value) from error

    def write(self, value: Any) -> str:
        """Return a value in the one form."""
        if isinstance(value, time):
            return value.isoformat(timespec="microseconds")
        if not isinstance(value, datetime):
            return str(value.isoformat())
        is_zoned = value.utcoffset() is not None
        self._zones.add(is_zoned)
        if len(self._zones) > 1:
            raise self._error("values with and without a zone have no order.", value.isoformat())
        plain = value.astimezone(UTC).replace(tzinfo=None) if is_zoned else value
        return plain.isoformat(sep=" ", timespec="microseconds")

    def _error(self, message: str, value: object) -> DataError:
        return DataError(
            message,
            stream=self._stream,
            field=self._field,
            value=value,
            hint="Correct the value, leave its row out by a query of the source (queries={...}), "
            "or choose another replication key.",
        )


def values_have_zone(snapshot: "Snapshot", column: Any, rows: int = 100) -> bool:
    """Return whether the first values of a column of timestamps all end with a zone."""
    import sqlalchemy as sa

    statement = sa.select(column).where(column.is_not(None)).limit(rows)
    values = snapshot.connection.execute(statement).scalars().all()
    return bool(values) and all(isinstance(v, str) and _ends_with_zone(v) for v in values)


def type_of_values(snapshot: "Snapshot", column: Any, rows: int = 10_000) -> "pa.DataType | None":
    """Return the type of the first values of a column whose declared type says nothing.

    None if they are of several.
    """
    import pyarrow as pa
    import sqlalchemy as sa

    first = sa.select(column.label("value")).where(column.is_not(None)).limit(rows).subquery()
    statement = sa.select(sa.func.typeof(first.c.value)).distinct()
    found = set(snapshot.connection.execute(statement).scalars())
    if found == {"integer", "real"}:
        return pa.float64()
    if len(found) != 1:
        return None
    types = {"integer": pa.int64(), "real": pa.float64(), "text": pa.string(), "blob": pa.binary()}
    return types.get(found.pop())


def _ends_with_zone(text: str) -> bool:
    try:
        return to_instant(text).utcoffset() is not None
    except FinerError:
        return bool(re.search(r"([Zz]|[+-]\d\d(:?\d\d)?)$", text))
    except ValueError:
        return False
