"""The incremental query: values of a bookmark are typed, compared, shifted and ordered."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any
from uuid import UUID

from etl_assets.exceptions import BookmarkError, ConfigError, SourceError, shorten
from etl_assets.model.batch import json_value
from etl_assets.model.bookmarks.tracker import is_finite, plain
from etl_assets.model.limits import MAX_ZEROS
from etl_assets.model.values.numbers import is_far
from etl_assets.model.values.scalars import FinerError, to_date, to_instant, to_time

if TYPE_CHECKING:
    from etl_assets.model.stored import Bookmark
    from etl_assets.model.stream import Stream
    from etl_assets.sources.sql.connection import Snapshot
    from etl_assets.sources.sql.reflection import SqlColumn, SqlTable
    from etl_assets.sources.sql.types import Condition, Expression

Span = timedelta | int | float | Decimal
"""How far `lookback` and `lag` reach."""

BIGGEST_INT64 = 2**63 - 1

_COMPARABLE = {
    "integer",
    "decimal",
    "number",
    "float",
    "date",
    "timestamp",
    "instant",
    "time",
    "text",
    "uuid",
    "any",
}
BY_CODE_POINT = {
    "postgresql",
    "sqlite",
    "duckdb",
    "snowflake",
    "bigquery",
    "redshift",
    "cockroachdb",
    "oracle",
}
"""The dialects that compare texts by code point, of themselves or as they are asked to here."""
_TEXT_TIMES = {"date": "date", "time": "time", "timestamp": "timestamp", "instant": "timestamp"}


@dataclass(frozen=True)
class Comparable:
    """A column in the form in which the database compares and orders it.

    Args:
        column: The column.
        expression: What to compare and to order by: for texts by code point, whatever the column's
            collation, since that is how the largest key of a batch is found.
        bind: Gives the bound form of a typed value.
    """

    column: "SqlColumn"
    expression: "Expression"
    bind: "Callable[[Any], Expression]"


def typed(value: Any, kind: str, *, zoned: bool | None = None) -> Any:
    """Return a JSON value (of a bookmark or a query) as the Python value of a column's kind.

    Args:
        value: The value.
        kind: The column's.
        zoned: Whether a timestamp of SQLite has a zone; None takes both.

    Raises:
        ValueError: It is none of this kind.
    """
    try:
        return _typed(value, kind, zoned)
    except FinerError:
        raise ValueError("has more digits than microseconds") from None
    except InvalidOperation:
        raise ValueError("is no number") from None  # whose own words are a class of Python's
    except TypeError as error:
        raise ValueError(str(error) or f"is no {kind}") from error


def _typed(value: Any, kind: str, zoned: bool | None) -> Any:  # noqa: C901, FBT001 - one case per kind
    if isinstance(value, bool) and kind != "any":
        raise ValueError(f"is no {kind}")
    match kind:
        case "integer":
            number = Decimal(str(value))
            if is_far(number):
                raise ValueError(f"is out of bounds: more than {MAX_ZEROS:,} zeros")
            if number != number.to_integral_value():
                raise ValueError("is no integer")
            return int(number)
        case "decimal" | "number":
            return Decimal(str(value))
        case "float":
            return float(value)
        case "date":
            return to_date(value)
        case "time":
            return to_time(value)
        case "timestamp" | "instant":
            return _instant(value, kind == "instant" if zoned is None else zoned)
        case "uuid":
            return str(UUID(str(value)))
        case "text" if not isinstance(value, str):
            raise ValueError("is no text")
    return value


def _instant(value: Any, zoned: bool) -> datetime:  # noqa: FBT001
    if type(value) is date or (isinstance(value, str) and len(value.strip()) == len("2026-01-01")):
        return datetime.combine(to_date(value), time(), UTC if zoned else None)
    instant = to_instant(value)
    if zoned:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    if instant.tzinfo is not None:
        raise ValueError("has a zone, and the column has none")
    return instant


def shifted(value: Any, span: Span, *, stream: str, field: str, option: str) -> Any:
    """Return a value less a span, never cut upwards; None where that is before all times.

    Raises:
        ConfigError: The span is no distance between values of this type.
    """
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if isinstance(value, date) and isinstance(span, timedelta):
        moment = value if isinstance(value, datetime) else datetime.combine(value, time())
        try:
            before = moment - span
        except OverflowError:
            return None
        return before if isinstance(value, datetime) else before.date()
    if is_number and not isinstance(span, timedelta):
        exact = Decimal(str(value)) - Decimal(str(span))
        return math.floor(exact) if isinstance(value, int) else type(value)(exact)
    raise ConfigError(
        f"stream {stream!r}: {option}={span!r} does not fit the replication key {field!r}.",
        hint="Give a timedelta for dates and times, a number for numbers; others have no distance.",
        stream=stream,
    )


class Cursor:
    """A stream's replication key over its table, in one snapshot.

    Args:
        snapshot: The open connection.
        table: The stream's table.
        stream: Has a cursor.
        against: JSON values each column is going to be compared with, besides the bookmark.
        bookmark: JSON values by column; None or empty at first.

    Raises:
        ConfigError: A column is of no type that has an order.
        BookmarkError: The bookmark's values are not of the columns' types, or one is missing.
    """

    def __init__(
        self,
        snapshot: "Snapshot",
        table: "SqlTable",
        stream: "Stream",
        bookmark: "Bookmark | None",
        against: Sequence[Any] = (),
    ) -> None:
        self.snapshot = snapshot
        self.table = table
        self.stream = stream
        self.columns = [
            table.column(n, stream=stream.name, role="replication key") for n in stream.cursor
        ]
        given = plain(bookmark)
        self.bookmark: list[Any] | None = None
        compared: list[list[Any]] = [[] for _ in self.columns]
        if given:
            self.bookmark = [self._stored(column, given) for column in self.columns]
            compared = [[value] for value in self.bookmark]
        compared[0] += against
        self.keys = [
            comparable(snapshot, column, stream=stream.name, against=values)
            for column, values in zip(self.columns, compared, strict=True)
        ]

    def _stored(self, column: "SqlColumn", given: "Bookmark") -> Any:
        value = given.get(column.name)
        if value is None:
            raise BookmarkError(
                f"stream {self.stream.name!r}: its bookmark has no value for the replication key "
                f"{column.name!r}, only for {', '.join(map(repr, given))}.",
                hint="After a change of the replication key, run once with full_refresh.",
                stream=self.stream.name,
            )
        try:
            return typed(value, column.type.kind, zoned=self._zoned(column, value))
        except ValueError as error:
            raise BookmarkError(
                f"stream {self.stream.name!r}: the bookmark {column.name!r} = {shorten(value)} "
                f"does not fit its column ({column.declared}): {error}.",
                hint="If the column's type has changed, run once with full_refresh.",
                stream=self.stream.name,
            ) from error

    def _zoned(self, column: "SqlColumn", value: Any) -> bool | None:
        if self.snapshot.dialect != "sqlite" or column.type.kind != "timestamp":
            return None
        return has_zone(value)

    def reaches(self, values: Sequence[Any], *, strictly: bool = False) -> "Condition":
        """Return the condition that a row is at or after a key, column by column.

        With `strictly` it is after the key.
        """
        sa = self.snapshot.core
        bound = [key.bind(value) for key, value in zip(self.keys, values, strict=True)]
        alternatives = []
        for i, key in enumerate(self.keys):
            is_last = i == len(self.keys) - 1
            here = key.expression > bound[i]
            if is_last and not strictly:
                here = key.expression >= bound[i]
            equal = [k.expression == b for k, b in zip(self.keys[:i], bound[:i], strict=True)]
            alternatives.append(sa.and_(*equal, here))
        if len(alternatives) == 1:
            return alternatives[0]
        # The first part says nothing new, but an index can serve it.
        return sa.and_(self.keys[0].expression >= bound[0], sa.or_(*alternatives))

    def from_first(self, value: Any) -> "Condition":
        """Return the condition that the first column stands at or after a value."""
        key = self.keys[0]
        return key.expression >= key.bind(value)

    def before_first(self, value: Any, *, inclusive: bool) -> "Condition":
        """Return the condition that the first column stands before a value, or at it."""
        key = self.keys[0]
        if inclusive:
            return key.expression <= key.bind(value)
        return key.expression < key.bind(value)

    def known(self) -> "Condition":
        """Return the condition that no part of the key is NULL."""
        sa = self.snapshot.core
        return sa.and_(*(column.expression.is_not(None) for column in self.columns))

    def order(self) -> "list[Expression]":
        """Return what to order by."""
        return [key.expression for key in self.keys]

    def maximum(self, where: "Sequence[Condition]" = ()) -> list[Any] | None:
        """Return the largest key as typed values, or None if there is none."""
        sa = self.snapshot.core
        dialect = self.snapshot.dialect
        shown = [column.type.expression(column.expression, dialect) for column in self.columns]
        statement = sa.select(*(one.label(f"k{i}") for i, one in enumerate(shown)))
        statement = (
            statement.select_from(self.table.clause)
            .where(self.known(), *where)
            .order_by(*(one.desc() for one in self.order()))
            .limit(1)
        )
        row = self.snapshot.connection.execute(statement).first()
        if row is None:
            return None
        return [self._read(column, value) for column, value in zip(self.columns, row, strict=True)]

    def any_row(self, *conditions: "Condition") -> bool:
        """Return whether a row meets conditions on its key, which large keys meet if any do.

        Where the column itself is compared, so that an index can serve, the row is looked for from
        the largest key down. A database that may take the rows in any order expects to meet one
        soon where there are many, and reads the whole table if they lie at its end.
        """
        sa = self.snapshot.core
        statement = sa.select(sa.literal_column("1")).select_from(self.table.clause)
        statement = statement.where(*conditions).limit(1)
        first = self.keys[0].expression
        if first is self.columns[0].expression:
            statement = statement.order_by(first.desc())
        return self.snapshot.connection.execute(statement).first() is not None

    def _read(self, column: "SqlColumn", value: Any) -> Any:
        try:
            found = typed(value, column.type.kind, zoned=self._zoned(column, value))
            if not is_finite(found):
                raise ValueError("stands above every number")  # noqa: TRY301 - one way out for all that is wrong
        except ValueError as error:
            raise SourceError(
                f"stream {self.stream.name!r}: its largest replication key {column.name!r} = "
                f"{shorten(value)} {error}, "
                "so no bookmark can be made of it.",
                hint="Correct that row, or choose another replication key.",
                stream=self.stream.name,
            ) from error
        return found

    def refuse_lower_maximum(self) -> None:
        """Raise an error if the source ends before the bookmark.

        It was restored then, or its newest rows were deleted.

        Raises:
            BookmarkError: Names both values.
        """
        if self.bookmark is None or self.any_row(self.reaches(self.bookmark)):
            return
        largest = self.maximum()
        if largest is not None:
            names = ", ".join(repr(name) for name in self.stream.cursor)
            raise BookmarkError(
                f"stream {self.stream.name!r}: the largest {names} of the source is "
                f"{_shown(largest)}, lower than the bookmark {_shown(self.bookmark)}: rows were "
                "deleted, or an older backup was restored.",
                hint="Run once with full_refresh to load what the source has now.",
                stream=self.stream.name,
            )

    def nulls(self, where: "Sequence[Condition]") -> dict[str, int]:
        """Count the rows with a NULL in the key, by column; columns that have none are left out."""
        sa = self.snapshot.core
        columns = [column for column in self.columns if column.nullable]
        if not columns:
            return {}
        counts = [sa.func.count(sa.case((c.expression.is_(None), 1))) for c in columns]
        statement = sa.select(*counts).select_from(self.table.clause)
        anywhere = sa.or_(*(column.expression.is_(None) for column in columns))
        found = self.snapshot.connection.execute(statement.where(anywhere, *where)).one()
        return {column.name: int(n) for column, n in zip(columns, found, strict=True) if n}


def as_bookmark(stream: "Stream", values: Sequence[Any]) -> dict[str, Any]:
    """Return typed values as a JSON bookmark."""
    return {name: json_value(value) for name, value in zip(stream.cursor, values, strict=True)}


def has_zone(value: Any) -> bool | None:
    """Return whether a text or datetime has a zone; None if it is neither, or a date alone."""
    if isinstance(value, str) and len(value.strip()) == len("2026-01-01"):
        return None
    try:
        return to_instant(value).tzinfo is not None
    except (FinerError, ValueError):
        return None


def _shown(values: Sequence[Any]) -> str:
    shown = [json_value(value) for value in values]
    return shorten(shown[0] if len(shown) == 1 else tuple(shown))


def comparable(
    snapshot: "Snapshot", column: "SqlColumn", *, stream: str, against: Sequence[Any] = ()
) -> Comparable:
    """Return a column in the form in which the database is to compare it.

    Raises:
        ConfigError: Its type has no order that both the database and this library follow.
    """
    import pyarrow as pa

    kind = column.type.kind
    as_text = kind == "decimal" and column.type.arrow == pa.string()
    # Of others nobody knows the collation: SQL Server's default one takes `a` for `A`.
    as_text |= kind == "text" and not snapshot.is_mysql and snapshot.dialect not in BY_CODE_POINT
    # MySQL's TIME goes beyond a day, and each database has an order of UUIDs of its own.
    only = {
        "any": {"sqlite"},
        "uuid": {"postgresql", "duckdb"},
        "time": {"postgresql", "sqlite", "duckdb"},
    }
    has_order_here = snapshot.dialect in only.get(kind, {snapshot.dialect})
    if kind not in _COMPARABLE or as_text or not has_order_here:
        raise ConfigError(
            f"stream {stream!r}: {column.name!r} ({column.declared}) has no order that a bookmark "
            "could follow.",
            hint="Use an integer, a date or a timestamp as the replication key.",
            stream=stream,
        )
    if snapshot.dialect == "sqlite":
        return _in_sqlite(snapshot, column, stream, against)
    if kind == "text":
        return _text(snapshot, column)
    return Comparable(column, column.expression, lambda value: _bound(snapshot, kind, value))


def _bound(snapshot: "Snapshot", kind: str, value: Any) -> "Expression":
    """Bind a typed value with the SQL type of its kind."""
    sa = snapshot.core
    if kind == "instant" and snapshot.is_mysql:
        value = value.astimezone(UTC).replace(tzinfo=None)  # the session's zone is UTC
    if kind == "uuid":
        return sa.cast(sa.literal(value, sa.Text()), sa.Uuid(as_uuid=False))
    is_whole = isinstance(value, int | Decimal) and value == int(value)
    if snapshot.dialect == "duckdb" and is_whole:
        # Its integers are of any size, its decimals have 38 digits.
        return sa.literal(int(value), sa.types.NullType())
    wide = kind == "integer" and not -BIGGEST_INT64 <= value <= BIGGEST_INT64
    types: dict[str, Any] = {
        "integer": sa.Numeric() if wide else sa.BigInteger(),
        "decimal": sa.Numeric(),
        "number": sa.Numeric(),
        "float": sa.Double(),
        "date": sa.Date(),
        "timestamp": sa.DateTime(),
        "instant": sa.DateTime(timezone=True),
        "time": sa.Time(),
        "text": sa.Text(),
    }
    return sa.literal(Decimal(value) if wide else value, types[kind])


def _text(snapshot: "Snapshot", column: "SqlColumn") -> Comparable:
    sa = snapshot.core
    if snapshot.is_mysql:
        as_unicode = sa.func.convert(
            column.expression.op("USING")(sa.literal_column("utf8mb4")), type_=sa.Text()
        )

        def as_bytes(value: str) -> "Expression":
            return sa.cast(_bound(snapshot, "text", value), sa.BINARY())

        # The bytes of UTF-8 lie in the order of code points. A collation would fill the shorter
        # text up with spaces, which stand behind a tab.
        return Comparable(column, sa.cast(as_unicode, sa.BINARY()), as_bytes)

    is_padded = snapshot.dialect == "postgresql" and isinstance(column.declared, sa.CHAR)

    def bind(value: str) -> "Expression":
        return _bound(snapshot, "text", value.rstrip(" ") if is_padded else value)

    expression = column.expression
    if snapshot.dialect in {"postgresql", "duckdb"}:
        # A column may have a collation, and an enum has an order of its own. The cast takes the
        # padding off.
        expression = sa.collate(sa.cast(column.expression, sa.Text()), "C")
    return Comparable(column, expression, bind)


def _in_sqlite(
    snapshot: "Snapshot", column: "SqlColumn", stream: str, against: Sequence[Any]
) -> Comparable:
    """Return a column as SQLite compares it.

    Numbers are compared as numbers, dates and times as the texts that they are stored as.
    """
    import sqlalchemy as sa

    from etl_assets.sources.sql.sqlite.times import text_times

    raw = sa.types.NullType()
    kind = column.type.kind
    if kind in _TEXT_TIMES:
        times = text_times(
            snapshot, column.expression, _TEXT_TIMES[kind], stream=stream, against=list(against)
        )
        return Comparable(
            column, times.expression, lambda value: sa.literal(times.write(value), raw)
        )
    if kind == "text":
        # Whatever collation the column declares, the bookmark is found by code point.
        by_code_point = sa.collate(column.expression, "BINARY")
        return Comparable(column, by_code_point, lambda value: sa.literal(value, raw))

    def bind(value: Any) -> "Expression":
        return sa.literal(_stored_number(value), raw)

    return Comparable(column, column.expression, bind)


def _stored_number(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    integral = value == value.to_integral_value() and abs(value) <= BIGGEST_INT64
    return int(value) if integral else float(value)
