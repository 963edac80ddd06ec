"""Checks of what a load has made of its table, as options of a stream.

```python
from etl_assets import StreamOptions, checks

StreamOptions(checks=[checks.unique_key(), checks.not_null("email", gate=True)])
```

They are evaluated by the database, in the transaction of the load and before its COMMIT. Each has

- `name`: what it is called, of letters, digits and `_`; by default its kind and its columns.
- `severity`: `error`, or `warn` where a failure is only worth a look.
- `blocking`: nothing downstream runs in the same run when it fails.
- `gate`: the load is rolled back when it fails, so that the table stays as it was.

In YAML, or in a dict, a check is its kind with its arguments: `{"unique_key": {}, "not_null":
"email"}`. `docs/checks.md` says what each means.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from etl_assets.arguments import FLAG, NUMBER, TEXT, checked
from etl_assets.exceptions import ConfigError, did_you_mean, shorten
from etl_assets.model.checks import Severity

__all__ = [
    "Check",
    "matches_source",
    "max_lag",
    "no_rejected",
    "not_null",
    "of",
    "row_count",
    "schema_unchanged",
    "sql",
    "unique_key",
]

SeverityWord = Literal["error", "warn"]
TABLE = "{table}"
"""What stands for the table in the query of a check."""

_IN_QUOTES = re.compile(r"'[^']*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
"""Texts, names and comments: what stands in them is no part of a statement."""
_NAME = re.compile(r"[A-Za-z0-9_]+")
_SEVERITIES: Mapping[str, Severity] = {"ERROR": "ERROR", "WARN": "WARN"}


@dataclass(frozen=True, kw_only=True)
class Check:
    """What all checks have; the functions of this module make them.

    Args:
        name: What it is called, unique among those of a stream.
        severity: How much a failure means.
        blocking: Nothing downstream runs in the same run when it fails.
        gate: The load is rolled back when it fails.
    """

    name: str
    severity: Severity = "ERROR"
    blocking: bool = False
    gate: bool = False

    def __post_init__(self) -> None:
        """Refuse what Dagster would refuse later, and what contradicts itself."""
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"A check cannot be called {self.name!r}.",
                hint="Its name has letters, digits and _ only; give it one with name=...",
            )
        if self.severity == "WARN" and (self.gate or self.blocking):
            word = "gate" if self.gate else "blocking"
            raise ConfigError(
                f"The check {self.name!r} is a warning, so it cannot be {word}.",
                hint=f'Leave out {word}, or severity="warn".',
            )

    @property
    def meaning(self) -> str:
        """What is checked, in a sentence."""
        return (type(self).__doc__ or "").strip()

    @property
    def holds_back(self) -> bool:
        """Whether nothing downstream runs when it fails."""
        return self.blocking or self.gate


@dataclass(frozen=True, kw_only=True)
class UniqueKey(Check):
    """No two rows have the same key."""

    columns: Sequence[str]

    @property
    def meaning(self) -> str:
        """What is checked, with the columns."""
        key = ", ".join(self.columns) or "the stream's primary key"
        return f"No two rows have the same key ({key})."


@dataclass(frozen=True, kw_only=True)
class NotNull(Check):
    """No row is NULL in any of these columns."""

    columns: Sequence[str]

    @property
    def meaning(self) -> str:
        """What is checked, with the columns."""
        return f"No row is NULL in {' or '.join(self.columns)}."


@dataclass(frozen=True, kw_only=True)
class MatchesSource(Check):
    """The table has as many rows as the source, up to a part of them."""

    tolerance: float

    @property
    def meaning(self) -> str:
        """What is checked, with the difference that is allowed."""
        allowed = f"; a difference of {self.tolerance:.2%} is allowed" if self.tolerance else ""
        return f"The table has as many rows as the source{allowed}."


@dataclass(frozen=True, kw_only=True)
class RowCount(Check):
    """The table has so many rows, and the load has brought about as many as those before it."""

    least: int | None
    most: int | None
    anomaly: float | None

    @property
    def meaning(self) -> str:
        """What is checked, with the bounds."""
        told = []
        if self.least is not None:
            told.append(f"The table has at least {_rows(self.least)}.")
        if self.most is not None:
            told.append(f"The table has at most {_rows(self.most)}.")
        if self.anomaly is not None:
            told.append(
                "The number of rows that a load brings is at most "
                f"{self.anomaly:g} standard deviations from the mean of the last loads."
            )
        return " ".join(told)


@dataclass(frozen=True, kw_only=True)
class MaxLag(Check):
    """The newest moment of a column is not older than this."""

    column: str
    lag: timedelta

    @property
    def meaning(self) -> str:
        """What is checked, with the column and the time."""
        return f"The newest {self.column} is at most {self.lag} old."


@dataclass(frozen=True, kw_only=True)
class SchemaUnchanged(Check):
    """The load has added, changed and dropped no column."""


@dataclass(frozen=True, kw_only=True)
class NoRejected(Check):
    """The schema contract has left out no record, and has taken a value from none."""


@dataclass(frozen=True, kw_only=True)
class Sql(Check):
    """A query that gives the rows that are wrong gives none."""

    query: str

    @property
    def meaning(self) -> str:
        """The query."""
        return self.query


def _rows(number: int) -> str:
    return f"{number:,} {'row' if number == 1 else 'rows'}"


_SHARED = {"name": TEXT, "blocking": FLAG, "gate": FLAG}


@checked(**_SHARED)
def unique_key(
    *columns: str,
    name: str | None = None,
    severity: SeverityWord = "error",
    blocking: bool = False,
    gate: bool = False,
) -> UniqueKey:
    """Return a check that no two rows have one key; two NULLs are alike.

    Args:
        columns: The columns of the key; none for the stream's primary key.
        name: By default `unique_key`, with the columns.
        severity: `error` or `warn`.
        blocking: Hold back what is downstream.
        gate: Roll the load back.
    """
    return UniqueKey(
        columns=_texts("unique_key", columns),
        name=name or _named("unique_key", columns),
        severity=_severity(severity),
        blocking=blocking,
        gate=gate,
    )


@checked(**_SHARED)
def not_null(
    *columns: str,
    name: str | None = None,
    severity: SeverityWord = "error",
    blocking: bool = False,
    gate: bool = False,
) -> NotNull:
    """Return a check that no row is NULL in any of these columns; NaN is not NULL.

    Args:
        columns: One or more columns.
        name: By default `not_null`, with the columns.
        severity: `error` or `warn`.
        blocking: Hold back what is downstream.
        gate: Roll the load back.
    """
    if not columns:
        raise ConfigError(
            "not_null names no column.", hint='Name one or more, as in checks.not_null("email").'
        )
    return NotNull(
        columns=_texts("not_null", columns),
        name=name or _named("not_null", columns),
        severity=_severity(severity),
        blocking=blocking,
        gate=gate,
    )


@checked(tolerance=NUMBER, **_SHARED)
def matches_source(
    tolerance: float | None = 0.0,
    *,
    name: str | None = None,
    severity: SeverityWord = "error",
    blocking: bool = False,
    gate: bool = False,
) -> MatchesSource:
    """Return a check that the table has as many rows as the source has after the load.

    Args:
        tolerance: Which part of the source's rows may be missing, or too many: 0.01 for one in a
            hundred.
        name: By default `matches_source`.
        severity: `error` or `warn`.
        blocking: Hold back what is downstream.
        gate: Not to be had: the source is asked after the COMMIT.
    """
    if gate:
        raise ConfigError(
            "matches_source cannot be a gate: the source is asked after the COMMIT.",
            hint="Use blocking=True, which holds back what is downstream.",
        )
    if tolerance is None or not 0 <= tolerance < 1:
        raise ConfigError(
            f"matches_source: tolerance is {tolerance}.",
            hint="It is a part of the source's rows: 0.01 for one in a hundred.",
        )
    return MatchesSource(
        tolerance=float(tolerance),
        name=name or "matches_source",
        severity=_severity(severity),
        blocking=blocking,
    )


@checked(min=NUMBER, max=NUMBER, anomaly=NUMBER, **_SHARED)
def row_count(
    *,
    min: int | None = None,  # noqa: A002 - the words that a reader expects
    max: int | None = None,  # noqa: A002
    anomaly: float | None = None,
    name: str | None = None,
    severity: SeverityWord = "error",
    blocking: bool = False,
    gate: bool = False,
) -> RowCount:
    """Return a check of how many rows there are.

    Args:
        min: The table has at least so many.
        max: And at most so many.
        anomaly: The rows that the load has brought differ from those of the last loads by at most
            so many standard deviations.
        name: By default `row_count`.
        severity: `error` or `warn`.
        blocking: Hold back what is downstream.
        gate: Roll the load back.
    """
    if min is None and max is None and anomaly is None:
        raise ConfigError("row_count checks nothing.", hint="Give it min, max or anomaly.")
    if min is not None and max is not None and min > max:
        raise ConfigError(
            f"row_count: min is {min} and max is {max}, so no table could pass.",
            hint="Give it a max that is not less than its min.",
        )
    if anomaly is not None and not 0 < anomaly < math.inf:
        raise ConfigError(
            f"row_count: anomaly is {anomaly}.",
            hint="It is a number of standard deviations, such as 3.",
        )
    return RowCount(
        least=min,
        most=max,
        anomaly=anomaly,
        name=name or "row_count",
        severity=_severity(severity),
        blocking=blocking,
        gate=gate,
    )


@checked(column=TEXT, **_SHARED)
def max_lag(
    column: str,
    lag: timedelta | Mapping[str, float],
    *,
    name: str | None = None,
    severity: SeverityWord = "error",
    blocking: bool = False,
    gate: bool = False,
) -> MaxLag:
    """Return a check that the newest moment of a column is not older than this.

    Args:
        column: A date, or a moment. One without a zone is taken for UTC.
        lag: How old it may be: a `timedelta`, or its arguments, such as `{"hours": 2}`.
        name: By default `max_lag`, with the column.
        severity: `error` or `warn`.
        blocking: Hold back what is downstream.
        gate: Roll the load back.
    """
    return MaxLag(
        column=column,
        lag=_timedelta(lag),
        name=name or _named("max_lag", [column]),
        severity=_severity(severity),
        blocking=blocking,
        gate=gate,
    )


@checked(**_SHARED)
def schema_unchanged(
    *,
    name: str | None = None,
    severity: SeverityWord = "error",
    blocking: bool = False,
    gate: bool = False,
) -> SchemaUnchanged:
    """Return a check that the load has added, changed and dropped no column.

    Args:
        name: By default `schema_unchanged`.
        severity: `error` or `warn`.
        blocking: Hold back what is downstream.
        gate: Roll the load back.
    """
    return SchemaUnchanged(
        name=name or "schema_unchanged",
        severity=_severity(severity),
        blocking=blocking,
        gate=gate,
    )


@checked(**_SHARED)
def no_rejected(
    *,
    name: str | None = None,
    severity: SeverityWord = "error",
    blocking: bool = False,
    gate: bool = False,
) -> NoRejected:
    """Return a check that the schema contract has rejected no record.

    Args:
        name: By default `no_rejected`.
        severity: `error` or `warn`.
        blocking: Hold back what is downstream.
        gate: Roll the load back.
    """
    return NoRejected(
        name=name or "no_rejected",
        severity=_severity(severity),
        blocking=blocking,
        gate=gate,
    )


@checked(query=TEXT, **_SHARED)
def sql(
    query: str,
    *,
    name: str,
    severity: SeverityWord = "error",
    blocking: bool = False,
    gate: bool = False,
) -> Sql:
    """Return a check that a query gives no row: it selects what is wrong.

    Args:
        query: In the database's SQL; `{table}` in it stands for the table. The first columns of
            what it gives, as many as the key has, are shown as the keys of the failing rows.
        name: What the check is called.
        severity: `error` or `warn`.
        blocking: Hold back what is downstream.
        gate: Roll the load back.
    """
    if TABLE not in query:
        raise ConfigError(
            f"The query of the check {name!r} does not read the table.",
            hint='Write {table} where its name stands, as in "SELECT id FROM {table} WHERE ...".',
        )
    statement = query.strip().rstrip(";")
    if ";" in _IN_QUOTES.sub(" ", statement):
        raise ConfigError(
            f"The query of the check {name!r} is more than one statement.",
            hint="Write one SELECT, which gives the rows that are wrong.",
        )
    return Sql(
        query=statement,
        name=name,
        severity=_severity(severity),
        blocking=blocking,
        gate=gate,
    )


KINDS: Mapping[str, Callable[..., Check]] = {
    "matches_source": matches_source,
    "max_lag": max_lag,
    "no_rejected": no_rejected,
    "not_null": not_null,
    "row_count": row_count,
    "schema_unchanged": schema_unchanged,
    "sql": sql,
    "unique_key": unique_key,
}


def of(given: Any) -> tuple[Check, ...]:
    """Read checks: a list of them, of their kinds and of dicts, or one dict.

    Raises:
        ConfigError: There is no such check, or it does not take these arguments; or two have one
            name.
    """
    found = tuple(_read(given))
    names: set[str] = set()
    for check in found:
        if check.name in names:
            raise ConfigError(
                f"Two checks are called {check.name!r}.", hint="Give one of them another name=..."
            )
        names.add(check.name)
    return found


def joined(own: Sequence[Check] | None, defaults: Sequence[Check] | None) -> Sequence[Check] | None:
    """Return the checks of a stream: the defaults, and its own beside or in place of them.

    Args:
        own: Of the stream; an empty list is to have none at all.
        defaults: Of all streams.
    """
    if own is None or defaults is None:
        return defaults if own is None else own
    if not own:
        return own
    named = {check.name for check in own}
    return (*(check for check in defaults if check.name not in named), *own)


def _read(given: Any) -> Iterator[Check]:
    if isinstance(given, Check):
        yield given
    elif isinstance(given, str):
        yield _made(given, None)
    elif isinstance(given, Mapping):
        for kind, arguments in given.items():
            yield _made(kind, arguments)
    elif isinstance(given, Sequence):
        for one in given:
            yield from _read(one)
    else:
        raise ConfigError(
            f"{shorten(given)} is no check.",
            hint='Use checks.unique_key() and its like, or their names: {"unique_key": {}}.',
        )


def _made(kind: Any, arguments: Any) -> Check:
    """Return the check of a kind with the arguments that YAML has for it."""
    make = KINDS.get(kind)
    if make is None:
        raise ConfigError(f"There is no check {kind!r}.", hint=did_you_mean(str(kind), KINDS))
    if arguments is None:
        return make()
    if isinstance(arguments, Mapping):
        words = {str(word): value for word, value in arguments.items()}
        return make(*_columns(kind, words.pop("columns", ())), **words)
    if isinstance(arguments, list | tuple):
        return make(*arguments)
    return make(arguments)


def _columns(kind: str, given: Any) -> Sequence[Any]:
    """Return the columns that YAML names, one or a list of them."""
    if isinstance(given, str):
        return [given]
    if isinstance(given, list | tuple):
        return given
    raise ConfigError(
        f"{kind}: columns is {shorten(given)}.", hint="Name one, or give a list of names."
    )


def _severity(given: Any) -> Severity:
    # Dagster's own AssetCheckSeverity has these words, too.
    word = str(getattr(given, "value", given)).upper()
    if word not in _SEVERITIES:
        raise ConfigError(f"severity cannot be {given!r}.", hint='It is "error" or "warn".')
    return _SEVERITIES[word]


def _timedelta(given: Any) -> timedelta:
    lag = given
    if isinstance(given, Mapping):
        try:
            lag = timedelta(**given)
        except (TypeError, OverflowError):
            lag = None
    if not isinstance(lag, timedelta) or lag < timedelta():
        raise ConfigError(
            f"max_lag: lag is {shorten(given)}.",
            hint='Give a timedelta(hours=2), or {"hours": 2} in YAML.',
        )
    return lag


def _texts(kind: str, columns: Sequence[Any]) -> tuple[str, ...]:
    for column in columns:
        if not isinstance(column, str) or not column:
            raise ConfigError(
                f"{kind}: {shorten(column)} is not the name of a column.",
                hint=f'Name columns one by one, as in checks.{kind}("first", "second").',
            )
    return tuple(columns)


def _named(kind: str, columns: Sequence[Any]) -> str:
    """Return the name of a check of some columns, as Dagster allows it."""
    words = (re.sub(r"[^A-Za-z0-9_]+", "_", str(column)) for column in columns)
    return "_".join([kind, *words])
