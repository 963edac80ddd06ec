"""The options of a `SqlSource`, and the rules by which incremental streams are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from numbers import Real
from typing import Any

from etl_assets.arguments import NAMES, NUMBER, OBJECT, Kind, check, check_number
from etl_assets.exceptions import ArgumentTypeError, ConfigError
from etl_assets.secrets.references import is_reference
from etl_assets.sources.sql.address import Parts
from etl_assets.sources.sql.cursor import Span

ON_NULL = ("error", "include", "exclude")


@dataclass(frozen=True)
class Rules:
    """How incremental streams are read; see `SqlSource`."""

    lookback: Span | None = None
    lag: Span | None = None
    on_null_cursor: str = "error"
    start: Any = None
    end: Any = None
    max_bookmark: Any = None

    @property
    def plain(self) -> bool:
        """Whether a read gives all rows at and after its bookmark, and no others."""
        return self.on_null_cursor != "include" and all(
            bound is None
            for bound in (self.lookback, self.lag or None, self.start, self.end, self.max_bookmark)
        )


_TYPES: Mapping[str, Kind] = {
    **dict.fromkeys(("schema", "include", "exclude"), NAMES),
    **dict.fromkeys(("queries", "connect_args"), OBJECT),
    **dict.fromkeys(("connect_timeout", "statement_timeout"), NUMBER),
    "batch_rows": (int, "a whole number"),
}


def check_types(called: str, given: Mapping[str, Any]) -> None:
    """Refuse options of another type, and numbers that are not above 0.

    Args:
        called: What was called, for the error.
        given: All that was given, by name; None for what was not.

    Raises:
        ArgumentTypeError: There is such an option.
    """
    for name, kind in _TYPES.items():
        if given[name] is None:
            continue
        if name == "batch_rows" or kind is NUMBER:
            check_number(called, name, given[name], kind)
        else:
            check(called, name, given[name], kind)


def check_url(called: str, url: object) -> None:
    """Refuse what is no address of a database; a reference is taken as it is.

    Raises:
        ArgumentTypeError: It is none.
    """
    is_sqlalchemys = callable(getattr(url, "render_as_string", None))
    is_whole = isinstance(url, str | Parts) or is_sqlalchemys
    if not is_whole and not is_reference(url):
        words = "a text, a SQLAlchemy URL, or a reference such as dagster.EnvVar"
        raise ArgumentTypeError(
            f"{called}: url must be {words}, not of the type {type(url).__name__}."
        )


def check_values(
    called: str, on_null_cursor: str, batch_rows: int, spans: Mapping[str, Span | None]
) -> None:
    """Refuse options that say nothing that could be done.

    Raises:
        ConfigError: There is one.
    """
    if on_null_cursor not in ON_NULL:
        raise ConfigError(
            f"on_null_cursor is {on_null_cursor!r}.", hint=f"Use one of {', '.join(ON_NULL)}."
        )
    if batch_rows < 1:
        raise ConfigError(f"batch_rows is {batch_rows}.", hint="A batch has at least one row.")
    for name, span in spans.items():
        if span is None:
            continue
        check(called, name, span, (timedelta | Real | Decimal, "a timedelta, or a number"))
        is_negative = span < timedelta(0) if isinstance(span, timedelta) else span < 0
        if is_negative:
            # One that reaches the other way would leave rows out that no later read brings.
            raise ConfigError(
                f"{name} is {span!r}, less than nothing.", hint="Give how far it reaches, as it is."
            )


def names_in(value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names in what is one of them, or several, or None."""
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
