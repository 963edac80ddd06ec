"""The checks of a load, evaluated in its transaction after its rows are written.

The database counts, and says the keys of some rows that fail; no row comes to Python. A check that
cannot be evaluated (there is no such column, the query of a check is wrong) has failed as an error.
In most databases a query that fails ends the transaction: the load is then published once more
without that check (`UnansweredError`), unless it is a gate.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from statistics import mean, stdev
from typing import Any

from etl_assets import checks as known
from etl_assets.destinations.database.errors import kind_of, without_values
from etl_assets.destinations.database.ledger import Ledger
from etl_assets.destinations.database.sql_transaction import respelled
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.exceptions import CheckFailedError, EtlAssetsError, did_you_mean
from etl_assets.lost_connections import is_lost, sqlstate
from etl_assets.model.checks import CheckResult, LoadCheck
from etl_assets.model.load import Committed, Load
from etl_assets.model.stored import Column, StreamState, TableName
from etl_assets.naming import quote
from etl_assets.redaction import redact

SHOWN_KEYS = 10
"""The keys of so many failing rows are shown."""
SHOWN_CHARACTERS = 80
"""A value of a key is cut to so many characters."""
LARGEST_EXACT = 2**53 - 1
"""A larger integer is shown as text: the UI would round it."""
LEAST_LOADS = 5
"""So many loads make a history."""
MOST_LOADS = 20
"""The history is that of the last so many loads."""
_QUOTED = re.compile(r"'.*'")
_ROWS = quote("_etl_assets_rows")


class UnansweredError(Exception):
    """The query of a check failed, and the transaction with it."""

    def __init__(self, load_id: str, result: CheckResult) -> None:
        super().__init__(result.description)
        self.load_id = load_id
        self.result = result


class _CannotTellError(Exception):
    """A check cannot be evaluated, for a reason that was found without asking the database."""


class _QueryFailedError(Exception):
    """The database has refused the query of a check."""


@dataclass
class Checking:
    """What is known of a load's checks over all of its commits.

    Args:
        before: The type of each column when the load began; None for a stream's first load.
        began: Its first commit has come so far.
        rejected: How many records were rejected.
        set_aside: The results of checks whose query fails, by name.
    """

    before: Mapping[str, str] | None = None
    began: bool = False
    rejected: int = 0
    set_aside: dict[str, CheckResult] = field(default_factory=dict)

    def begin(self, columns: Sequence[Column] | None) -> None:
        """Note the columns of the table before the load's first commit."""
        if not self.began:
            self.began = True
            self.before = None if columns is None else _types(columns)


@dataclass(frozen=True)
class Loaded:
    """A load whose rows are written, and not committed.

    Args:
        tx: Its transaction.
        ledger: Where the loads before it stand, and it itself.
        load: The load.
        table: Its table.
        columns: The table's columns.
        rows_in_table: How many rows it has.
        checking: What is known of the load's commits.
    """

    tx: Transaction
    ledger: Ledger
    load: Load
    table: TableName
    columns: Sequence[Column]
    rows_in_table: int
    checking: Checking

    def column(self, name: str) -> str:
        """Return the column of a field, quoted; one that is named as the table has it is taken too.

        Raises:
            _CannotTellError: There is none.
        """
        of_fields = {one.name: one.physical for one in self.columns}
        in_table = {one.physical: one.physical for one in self.columns}
        found = of_fields.get(name) or in_table.get(name)
        if found is None:
            hint = did_you_mean(name, of_fields)
            raise _CannotTellError(f"there is no column {name!r}. {hint}")
        return quote(found)

    @property
    def key(self) -> Sequence[str]:
        """The fields that tell the stream's rows apart."""
        stream = self.load.stream
        return tuple(stream.primary_key or stream.unique_constraints or ())

    def ask(self, query: Callable[[str], str]) -> list[tuple[Any, ...]]:
        """Run a query on the table.

        Raises:
            _QueryFailedError: The database has refused it.
        """
        try:
            return self.tx.ask(self.table, query)
        except Exception as error:
            if _may_pass(error):
                raise
            raise _QueryFailedError(_told(error)) from error

    def shown(self, query: Callable[[str], str]) -> str:
        """Return a query as people may run it after the COMMIT."""
        text, mark = query(self.tx.quoted(self.table)), self.tx.name_mark
        if mark != '"':
            text = respelled(text, lambda name: quote(name, mark))
        return redact(text)

    def first(self, query: Callable[[str], str], names: Sequence[str]) -> list[dict[str, Any]]:
        """Return the first values of the first rows of a query, by these names."""
        if not self.tx.first_row or not names:
            return []
        first = self.tx.first_row.replace("1", str(SHOWN_KEYS))
        rows = self.ask(lambda place: f"{query(place)} {first}")
        return [dict(zip(names, map(shown_value, row), strict=False)) for row in rows[:SHOWN_KEYS]]


@dataclass(frozen=True)
class _Finding:
    description: str
    passed: bool = field(kw_only=True)
    failing_rows: int | None = field(default=None, kw_only=True)
    failing_keys: Sequence[Mapping[str, Any]] = field(default=(), kw_only=True)
    query: str = field(default="", kw_only=True)
    figures: Mapping[str, Any] = field(default_factory=dict, kw_only=True)


class LoadChecks:
    """The checks of the loads of a session."""

    def __init__(self) -> None:
        self._known: dict[str, Checking] = {}

    def begin(self, load: Load, current: StreamState | None) -> None:
        """Note what a load finds before it writes, if it has checks."""
        if load.checks:
            checking = self._known.setdefault(load.load_id, Checking())
            checking.begin(None if current is None else current.columns)

    def judged(
        self, tx: Transaction, ledger: Ledger, load: Load, table: TableName, one: Committed
    ) -> Committed:
        """Return what is about to be committed of a load that has ended, with what checks find.

        Raises:
            CheckFailedError: One of them is a gate, and has failed.
            UnansweredError: The query of one failed, and the transaction with it.
        """
        checking = self._known[load.load_id]
        seen = replace(checking, rejected=checking.rejected + one.rejected)
        rows = one.rows_in_table or 0
        loaded = Loaded(tx, ledger, load, table, one.columns, rows, seen)
        return replace(one, checks=evaluate(loaded))

    def published(self, publish: Callable[[], list[Committed]]) -> list[Committed]:
        """Publish in a transaction; in another one, if the query of a check ends the first.

        Each time one more check is set aside, so this comes to an end.
        """
        try:
            committed = publish()
        except UnansweredError as error:
            self._known[error.load_id].set_aside[error.result.name] = error.result
            return self.published(publish)
        for one in committed:
            if one.load_id in self._known:
                self._known[one.load_id].rejected += one.rejected
        return committed


def evaluate(loaded: Loaded) -> list[CheckResult]:
    """Return what the checks of a load have found.

    Raises:
        CheckFailedError: One of them is a gate, and has failed.
        UnansweredError: The query of one failed, and the transaction with it.
    """
    results: list[CheckResult] = []
    for check in loaded.load.checks:
        aside = loaded.checking.set_aside.get(check.name)
        results.append(_result(check, loaded) if aside is None else aside)
        is_lost = not results[-1].evaluated and check.gate and not loaded.tx.survives_errors
        if is_lost:
            break  # The transaction may have failed with it, and is rolled back anyway.
    gates = {check.name for check in loaded.load.checks if check.gate}
    failed = [one for one in results if one.name in gates and not one.passed]
    if failed:
        raise _rolled_back(loaded.load, failed, results)
    return results


def _rolled_back(
    load: Load, failed: Sequence[CheckResult], results: Sequence[CheckResult]
) -> CheckFailedError:
    told = "; ".join(f"{one.name}: {one.description}" for one in failed)
    return CheckFailedError(
        f"stream {load.stream.name!r}: the load was rolled back, because a gate did not let it "
        f"pass: {told}",
        hint="The table and the bookmark are as they were. Correct the rows at the source, or "
        "change the check.",
        stream=load.stream.name,
        results=results,
    )


def _result(check: LoadCheck, loaded: Loaded) -> CheckResult:
    find = _FINDERS.get(type(check))
    if find is None:
        why = f"a database knows no check of the kind {type(check).__name__}."
        return unevaluated(check, loaded.load, why)
    try:
        found = find(check, loaded)
    except _CannotTellError as error:
        return unevaluated(check, loaded.load, str(error))
    except _QueryFailedError as error:
        result = unevaluated(check, loaded.load, str(error))
        if loaded.tx.survives_errors or check.gate:
            return result
        raise UnansweredError(loaded.load.load_id, result) from error
    return CheckResult(
        name=check.name,
        passed=found.passed,
        description=found.description,
        severity=check.severity,
        failing_rows=found.failing_rows,
        failing_keys=found.failing_keys,
        query=found.query,
        figures=found.figures,
    )


def unevaluated(check: LoadCheck, load: Load, why: str) -> CheckResult:
    """Return the result of a check that cannot be evaluated: an error, however severe it is."""
    told = f"stream {load.stream.name!r}: the check {check.name!r} could not be evaluated: {why}"
    return CheckResult(name=check.name, passed=False, description=redact(told), evaluated=False)


def _may_pass(error: Exception) -> bool:
    """Return whether an error is about the connection or a lock, and not about the query."""
    if isinstance(error, EtlAssetsError):
        return error.retryable
    error = getattr(error, "orig", None) or error  # SQLAlchemy's hold the driver's
    has_code = sqlstate(error) or isinstance(next(iter(error.args), None), int)
    # Without a code there are only words, and a column may be called `locked`.
    return kind_of(error) in {"away", "busy"} if has_code else is_lost(error)


def _told(error: Exception) -> str:
    if isinstance(error, EtlAssetsError):
        # The first line says what is wrong; a value of a row is in single quotes.
        return _QUOTED.sub("'…'", error.message.partition("\n")[0])
    return without_values(getattr(error, "orig", None) or error)


def shown_value(value: Any) -> Any:
    """Return a value of a key as an event shows it: short, masked, and of a type that JSON has."""
    is_exact = isinstance(value, bool | int) and abs(value) <= LARGEST_EXACT
    if value is None or is_exact:
        return value
    text = str(value)
    shown = redact(text, end=SHOWN_CHARACTERS)
    return shown if len(text) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 1]}…"


# What each check asks


def _unique_key(check: known.UniqueKey, loaded: Loaded) -> _Finding:
    names = check.columns or loaded.key
    if not names:
        raise _CannotTellError(
            "the stream has no primary key. Declare one, or name the columns: "
            'checks.unique_key("id").'
        )
    columns = ", ".join(loaded.column(name) for name in names)

    def repeated(place: str) -> str:
        counted = f"SELECT {columns}, COUNT(*) AS {_ROWS} FROM {place}"
        return f"{counted} GROUP BY {columns} HAVING COUNT(*) > 1"

    sums = f"SELECT COUNT(*), SUM({_ROWS}) FROM"
    ((keys, rows),) = loaded.ask(lambda place: f"{sums} ({repeated(place)}) d")
    keys, rows = int(keys), int(rows or 0)  # of some drivers a sum is a text
    query = loaded.shown(repeated)
    if not keys:
        return _Finding(
            f"no key comes twice ({', '.join(names)})", passed=True, failing_rows=0, query=query
        )
    told = f"{rows:,} rows share {keys:,} {'key' if keys == 1 else 'keys'} ({', '.join(names)})"
    first = loaded.first(lambda place: f"{repeated(place)} ORDER BY {columns}", names)
    return _Finding(
        told,
        passed=False,
        failing_rows=rows,
        failing_keys=first,
        query=query,
        figures={"repeated_keys": keys},
    )


def _not_null(check: known.NotNull, loaded: Loaded) -> _Finding:
    columns = {name: loaded.column(name) for name in check.columns}
    is_null = " OR ".join(f"{column} IS NULL" for column in columns.values())
    keys = [loaded.column(name) for name in loaded.key]
    order = f" ORDER BY {', '.join(keys)}" if keys else ""

    def failing(place: str) -> str:
        return f"SELECT {', '.join(keys) or '*'} FROM {place} WHERE {is_null}"

    sums = [f"SUM(CASE WHEN {one} IS NULL THEN 1 ELSE 0 END)" for one in columns.values()]
    counted = f"SELECT COUNT(*), {', '.join(sums)} FROM"
    ((rows, *each),) = loaded.ask(lambda place: f"{counted} {place} WHERE {is_null}")
    query = loaded.shown(failing)
    if not rows:
        return _Finding(
            f"no row is NULL in {', '.join(columns)}", passed=True, failing_rows=0, query=query
        )
    by_column = {name: int(n) for name, n in zip(columns, each, strict=True) if int(n)}
    first = loaded.first(lambda place: failing(place) + order, loaded.key)
    told = f"{_rows(rows)} NULL in {', '.join(by_column)}"
    return _Finding(
        told,
        passed=False,
        failing_rows=int(rows),
        failing_keys=first,
        query=query,
        figures={"nulls": by_column},
    )


def _row_count(check: known.RowCount, loaded: Loaded) -> _Finding:
    rows = loaded.rows_in_table
    told: list[str] = []
    figures: dict[str, Any] = {"rows": rows}
    passed = True
    if check.least is not None or check.most is not None:
        is_few = check.least is not None and rows < check.least
        is_many = check.most is not None and rows > check.most
        passed = not (is_few or is_many)
        told.append(f"the table has {_counted(rows)}; {_allowed(check)}")
    if check.anomaly is not None:
        usual = _anomaly(check.anomaly, loaded)
        passed = passed and usual.passed
        told.append(usual.description)
        figures |= usual.figures
    query = loaded.shown(lambda place: f"SELECT COUNT(*) FROM {place}")
    return _Finding("; ".join(told), passed=passed, query=query, figures=figures)


def _allowed(check: known.RowCount) -> str:
    if check.most is None:
        return f"at least {check.least:,} must be there"
    if check.least is None:
        return f"at most {check.most:,} may be there"
    return f"from {check.least:,} to {check.most:,} may be there"


def _anomaly(most: float, loaded: Loaded) -> _Finding:
    """Hold the rows of a load against those of the loads before it, of its own kind.

    Counts differ by chance alone, by about the square root of what is usual. So loads that were all
    alike do not make the first other one an anomaly.
    """
    brought, before = loaded.ledger.rows_of_loads(loaded.load, MOST_LOADS)
    figures: dict[str, Any] = {"rows_of_load": brought, "loads_before": len(before)}
    if len(before) < LEAST_LOADS:
        told = f"not enough history yet: {len(before)} of the {LEAST_LOADS} earlier loads it takes"
        return _Finding(told, passed=True, figures=figures)
    usual = mean(before)
    deviation = max(stdev(before), math.sqrt(usual), 1.0)
    times = abs(brought - usual) / deviation
    figures |= {"mean": round(usual, 2), "deviation": round(deviation, 2)}
    told = (
        f"the load brought {_counted(brought)}, {times:.1f} deviations from the mean of the last "
        f"{len(before)} loads ({usual:,.1f} rows); up to {most:g} are usual"
    )
    return _Finding(told, passed=times <= most, figures=figures)


def _max_lag(check: known.MaxLag, loaded: Loaded) -> _Finding:
    column = loaded.column(check.column)

    def newest(place: str) -> str:
        return f"SELECT MAX({column}) FROM {place}"

    ((found,),) = loaded.ask(newest)
    query = loaded.shown(newest)
    if found is None:
        return _Finding(f"no row has a value in {check.column}", passed=False, query=query)
    moment = _moment(found)
    if moment is None:
        raise _CannotTellError(
            f"the column {check.column!r} holds no dates or moments, but such as "
            f"{shown_value(found)!r}."
        )
    lag = datetime.now(UTC) - moment
    figures = {"newest": moment.isoformat(), "lag_seconds": round(lag.total_seconds(), 3)}
    told = (
        f"the newest {check.column} is {moment.isoformat()}, {_age(lag)} old; "
        f"at most {check.lag} is allowed"
    )
    return _Finding(told, passed=lag <= check.lag, query=query, figures=figures)


def _age(lag: timedelta) -> timedelta:
    """Return a lag in whole seconds; a moment in the future has none."""
    return timedelta(seconds=max(0, round(lag.total_seconds())))


def _moment(value: Any) -> datetime | None:
    """Return a value as a moment; one without a zone is in UTC, a date is its beginning."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        return None
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:  # within hours of the first or the last moment that Python has
        return value.replace(tzinfo=UTC)


def _schema_unchanged(check: known.SchemaUnchanged, loaded: Loaded) -> _Finding:
    del check
    before, after = loaded.checking.before, _types(loaded.columns)
    if before is None:
        return _Finding("the first load has made the table", passed=True)
    changes = [f"{name} {type_} was added" for name, type_ in after.items() if name not in before]
    changes += [f"{name} is gone" for name in before if name not in after]
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            changes.append(f"{name} has become {after[name]}, and was {before[name]}")
    if not changes:
        return _Finding("the columns are as they were", passed=True)
    return _Finding("; ".join(sorted(changes)), passed=False, figures={"changes": len(changes)})


def _no_rejected(check: known.NoRejected, loaded: Loaded) -> _Finding:
    del check
    rejected = loaded.checking.rejected
    if not rejected:
        return _Finding("no record was rejected", passed=True, failing_rows=0)
    told = f"the schema contract has rejected {rejected:,} records"
    return _Finding(told, passed=False, failing_rows=rejected)


def _sql(check: known.Sql, loaded: Loaded) -> _Finding:
    def failing(place: str) -> str:
        return check.query.replace(known.TABLE, place)

    # On lines of their own: the query may end with a comment.
    counted = "SELECT COUNT(*) FROM (\n{}\n) d"
    ((rows,),) = loaded.ask(lambda place: counted.replace("{}", failing(place)))
    query = loaded.shown(failing)
    if not rows:
        return _Finding("the query returns no row", passed=True, failing_rows=0, query=query)
    names = loaded.key or ("first column",)
    selected = "SELECT * FROM (\n{}\n) d"
    first = loaded.first(lambda place: selected.replace("{}", failing(place)), names)
    return _Finding(
        f"the query returns {_counted(int(rows))}",
        passed=False,
        failing_rows=int(rows),
        failing_keys=first,
        query=query,
    )


def _counted(rows: int) -> str:
    return f"{rows:,} {'row' if rows == 1 else 'rows'}"


def _types(columns: Sequence[Column]) -> dict[str, str]:
    return {column.physical: column.type for column in columns}


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


_FINDERS: Mapping[type, Callable[[Any, Loaded], _Finding]] = {
    known.MaxLag: _max_lag,
    known.NoRejected: _no_rejected,
    known.NotNull: _not_null,
    known.RowCount: _row_count,
    known.SchemaUnchanged: _schema_unchanged,
    known.Sql: _sql,
    known.UniqueKey: _unique_key,
}
