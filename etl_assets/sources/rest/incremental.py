"""Asking for what is new: from where, up to where, and what of the answer belongs to it."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from etl_assets.exceptions import BookmarkError, ConfigError, shorten
from etl_assets.model.values.scalars import to_instant
from etl_assets.secrets.references import resolve
from etl_assets.sources.rest.request import Request

TYPES = (None, "date-time", "date", "unix", "unix_ms")
ORDERS = (None, "asc", "desc")
_SPAN = re.compile(r"(?P<number>\d+)\s*(?P<unit>ms|s|m|h|d|w)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FINER = re.compile(r"(?<=\.\d{6})\d+")
_FINEST = (
    (("%S", "%T", "%s", "%c", "%X", "%f"), timedelta(seconds=1)),
    (("%M", "%R"), timedelta(minutes=1)),
    (("%H", "%I"), timedelta(hours=1)),
)
"""What the words of a format of `strftime` say at the finest."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Since:
    """Reads only what is at or after the bookmark, the largest value of a field so far.

    Args:
        field: The field of the rows: the stream's replication key.
        param: The parameter that asks for rows from a value on...
        body: ...or where in a JSON body that value goes. With neither, all rows are read, and those
            before the bookmark are left out here.
        end_param: The parameter of the first value that is no longer asked for...
        end_body: ...or where in a JSON body it goes.
        initial: Where the first read begins; None for the very beginning.
        type: What the field is: `date-time` or `date` (text in ISO 8601), `unix` or `unix_ms`
            (numbers). None takes it as it comes.
        format: How a value is written for the API: `iso`, `date`, `unix`, `unix_ms`, a format of
            `strftime` (in UTC), or a function. By default as the rows have it.
        window: Ask for so much time at once (`timedelta`, or text such as `30d`), one window after
            the other, up to now; the largest value so far is a checkpoint behind each. Needs
            `initial`.
        lookback: Begin so far before the bookmark, for rows that come late. Needs a primary key.
        exclusive: The API gives only rows behind the value it is asked for, not those at it: it is
            asked for a little less.
        order: `asc`: the API gives the rows in the order of the field, so that each page may be a
            checkpoint; `desc`: the newest first, so that the read may end at the first row before
            the bookmark. Both are checked.
        filter: Leave out rows before the bookmark here. By default only where the API is not asked.
        per_parent: Of an endpoint with parents: each of them has a bookmark of its own, so that one
            that is new is read from its very beginning. Needs a primary key.
    """

    field: str
    param: str | None = None
    _: KW_ONLY
    body: str | None = None
    end_param: str | None = None
    end_body: str | None = None
    initial: Any = None
    type: str | None = None
    format: str | Callable[[Any], Any] | None = None
    window: timedelta | str | None = None
    lookback: timedelta | float | str | None = None
    exclusive: bool = False
    order: str | None = None
    filter: bool | None = None
    per_parent: bool = False

    def __post_init__(self) -> None:
        for name in ("window", "lookback"):
            object.__setattr__(self, name, _span(getattr(self, name), name))
        if self.type is None and isinstance(self.window or self.lookback, timedelta):
            object.__setattr__(self, "type", "date-time")
        if self.type not in TYPES:
            raise ConfigError(
                f"Since: type is {self.type!r}.", hint="Use 'date-time', 'date', 'unix', 'unix_ms'."
            )
        if self.order not in ORDERS:
            raise ConfigError(f"Since: order is {self.order!r}.", hint="Use 'asc' or 'desc'.")
        self._check_window()

    def _check_window(self) -> None:
        if self.window is None:
            return
        if not isinstance(self.window, timedelta) or self.window < self._resolution:
            raise ConfigError(
                f"Since: window is {self.window!r}.", hint="It is a time of a second or more."
            )
        if self.initial is None or not self.has_end or not self.asks:
            raise ConfigError(
                "Since: a window needs param, end_param and initial.",
                hint='For example Since("at", "from", end_param="to", initial="2026-01-01", '
                'window="30d").',
            )

    @property
    def asks(self) -> bool:
        """Whether the API is asked for what is new."""
        return self.param is not None or self.body is not None

    @property
    def has_end(self) -> bool:
        """Whether the API can be asked for what is before a value."""
        return self.end_param is not None or self.end_body is not None

    @property
    def filters(self) -> bool:
        """Whether rows before the bookmark are left out here."""
        return not self.asks if self.filter is None else self.filter

    @property
    def declared(self) -> dict[str, Any] | None:
        """The JSON Schema of the field, where its type says one."""
        if self.type not in {"date-time", "date"}:
            return None
        return {"type": ["null", "string"], "format": self.type}

    def start(self, bookmark: Mapping[str, Any] | None) -> Any:
        """Return where a read begins: a moment where the type is one, else as it is stored.

        Raises:
            BookmarkError: It is not of the type, or cannot be gone back from.
        """
        known = bookmark.get(self.field) if bookmark else None
        if known is None:
            value = resolve(self.initial, name="initial")
            return value if self.type is None or value is None else self.moment(value)
        if self.type is None:
            return self._before(known)
        moment = self.moment(known)
        return moment - self.lookback if isinstance(self.lookback, timedelta) else moment

    def _before(self, known: Any) -> Any:
        if self.lookback is None and not self.exclusive:
            return known
        try:
            number = known if isinstance(known, int) else Decimal(str(known))
        except ArithmeticError:
            raise BookmarkError(
                f"Since({self.field!r}): nothing can be taken from {shorten(known)}.",
                hint="Say what the field is, with type='date-time'.",
            ) from None
        back = self.lookback or 0
        assert not isinstance(back, timedelta | str)  # noqa: S101 - those have a type
        return number - (back if isinstance(back, int) else Decimal(repr(back)))

    def moment(self, value: Any) -> datetime:
        """Return a value of the field as a moment.

        Raises:
            BookmarkError: It is none.
        """
        try:
            if self.type in {"unix", "unix_ms"} and not isinstance(value, datetime | date):
                return _EPOCH + self._unit * _exact(value)
            if isinstance(value, str):
                value = _FINER.sub("", value)
            return to_instant(value)
        except (ValueError, TypeError, ArithmeticError) as error:
            raise BookmarkError(
                f"Since({self.field!r}): {shorten(value)} is no {self.type}: {error}.",
                hint="Correct type=, or the value.",
            ) from error

    @property
    def _unit(self) -> timedelta:
        return timedelta(milliseconds=1) if self.type == "unix_ms" else timedelta(seconds=1)

    @property
    def _resolution(self) -> timedelta:
        """How finely the API can be asked; windows begin and end at multiples of it."""
        if "date" in {self.type, self.format}:
            return timedelta(days=1)
        if not isinstance(self.format, str) or "%" not in self.format:
            return timedelta(seconds=1)
        finest = next((span for words, span in _FINEST if any(map(self.format.count, words))), None)
        return finest or timedelta(days=1)

    def until(self, moment: datetime) -> datetime:
        """Return the first moment that the API can be asked for and that is not before another."""
        floored = _floored(moment, self._resolution)
        return floored if floored == moment else floored + self._resolution

    def asked(self, request: Request, span: "Span", *, raw: Any = None) -> Request:
        """Return the request for a span.

        Args:
            request: The request of all rows.
            span: What is asked for.
            raw: The bookmark as it is stored, where the span begins right there.
        """
        if span.start is not None and self.asks:
            value = self._written(self._shifted(span.start), raw)
            request = request.with_value(value, self.param, self.body)
        if span.end is not None and self.has_end:
            value = self._written(span.end, None)
            request = request.with_value(value, self.end_param, self.end_body)
        return request

    def _shifted(self, start: Any) -> Any:
        if not self.exclusive:
            return start
        if isinstance(start, datetime):
            return start - self._resolution
        return start - 1 if isinstance(start, int | float | Decimal) else start

    def _written(self, value: Any, raw: Any) -> Any:
        if callable(self.format):
            return self.format(value)
        if not isinstance(value, datetime):
            return value
        if self.format is None and raw is not None and not self.exclusive and not self.lookback:
            return raw
        kind = self.format or self.type
        if kind == "date":
            return value.date().isoformat()
        if kind == "unix":
            return (_aware(value) - _EPOCH) // timedelta(seconds=1)
        if kind == "unix_ms":
            return (_aware(value) - _EPOCH) // timedelta(milliseconds=1)
        if kind in {"iso", "date-time"}:
            return value.isoformat().replace("+00:00", "Z")
        return (_aware(value) if value.tzinfo else value).strftime(str(kind))

    def spans(self, start: Any, now: datetime) -> Iterator["Span"]:
        """Yield what is asked for, one after the other: the windows, or all at once."""
        if self.window is None or not isinstance(start, datetime):
            yield Span(start, None)
            return
        assert isinstance(self.window, timedelta)  # noqa: S101 - see `__post_init__`
        until = _aware(now) if start.tzinfo is not None else now.replace(tzinfo=None)
        begin, is_first = _floored(start, self._resolution), True
        while begin + self.window < until:
            end = _floored(begin + self.window, self._resolution)
            yield Span(begin, end, drops_before=not is_first, drops_after=True)
            begin, is_first = end, False
        yield Span(begin, None, drops_before=not is_first)

    def stored(self, value: datetime) -> Any:
        """Return a moment as a bookmark has it."""
        if self.type in {"unix", "unix_ms"}:
            return (_aware(value) - _EPOCH) // self._unit
        return value.date().isoformat() if self.type == "date" else value.isoformat()

    def replaced(self, **changes: Any) -> "Since":
        """Return a copy in which some arguments are others."""
        return replace(self, **changes)


@dataclass(frozen=True)
class Span:
    """What one series of pages is asked for.

    Args:
        start: The first value that is asked for; None for the very beginning.
        end: The first one that is not; None for all that there is.
        drops_before: Rows before `start` were in the span before this one.
        drops_after: Rows at or after `end` are in the next one.
        needs_zone: A time without a zone may be one that was not asked for.
    """

    start: Any = None
    end: Any = None
    drops_before: bool = False
    drops_after: bool = False
    needs_zone: bool = False


ALL = Span()


def _span(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    found = _SPAN.fullmatch(value.strip())
    if found is None:
        raise ConfigError(f"Since: {name} is {value!r}.", hint='For example "30d", "12h" or "5m".')
    if found["unit"] == "w":
        return timedelta(weeks=int(found["number"]))
    return timedelta(**{_UNITS[found["unit"]]: int(found["number"])})


def _exact(value: Any) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise TypeError(type(value).__name__)
    number = Decimal(str(value))
    return int(number) if number == int(number) else float(number)


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _floored(moment: datetime, resolution: timedelta) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (moment - midnight) // resolution * resolution
