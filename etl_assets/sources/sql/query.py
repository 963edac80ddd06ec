"""What one read of one stream asks the database for, and its rows as Arrow batches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError, SourceError, did_you_mean, shorten
from etl_assets.model.key_ranges import RANGE
from etl_assets.model.partitions import Partitions
from etl_assets.model.refused import Refusals
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.sql.cursor import Cursor, Span, comparable, has_zone, shifted, typed
from etl_assets.sources.sql.partitions import PartitionFilter
from etl_assets.sources.sql.ranges import within
from etl_assets.sources.sql.reflection import SqlColumn, SqlTable
from etl_assets.sources.sql.sqlite.times import values_have_zone
from etl_assets.sources.sql.types import ColumnReader

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

    from etl_assets.sources.sql.connection import Snapshot

LIMIT, OFFSET, START, END = "_limit", "_offset", "_start_date", "_end_date"
EXECUTION, PARTITION = "_execution_date", "_execution_partition"
WORDS = frozenset({LIMIT, OFFSET, START, END, EXECUTION, PARTITION, RANGE})
"""Mage's keys of a query, and ours for a range of the key; every other one is a column."""

NOT_A_FILTER = frozenset({LIMIT, PARTITION})

ON_NULL = ("error", "include", "exclude")

FIRST_ROWS = 1_000
"""The first fetch is small: the size of its rows tells how many to fetch at once."""

ORDERED_ALIKE = frozenset(
    {"integer", "decimal", "number", "float", "date", "timestamp", "instant", "time"}
)
"""Kinds that every database orders as Python does.

The order of texts is a matter of their collation.
"""

BATCH_BYTES = 64 * 2**20
"""A batch ends at about this size, however many rows were asked for."""


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


class Query:
    """One read of one stream in one snapshot: which rows, in which order.

    Args:
        snapshot: The open connection.
        table: The stream's table.
        stream: The stream.
        bookmark: Where to begin.
        query: Column = value, and Mage's words.
        rules: How incremental streams are read.
        partitions: The partitions whose rows alone are read; None for all rows.

    Raises:
        ConfigError: The query or a rule does not fit the stream.
        BookmarkError: The bookmark does not fit the columns.
    """

    def __init__(
        self,
        snapshot: "Snapshot",
        table: SqlTable,
        stream: Stream,
        bookmark: Bookmark | None,
        query: Mapping[str, Any] | None,
        rules: Rules,
        *,
        partitions: Partitions | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.table = table
        self.refusals = Refusals()
        self.stream = stream
        self.rules = rules
        self.query = dict(query or {})
        self.limit = self._whole_number(LIMIT)
        self.offset = self._whole_number(OFFSET)
        self.cursor: Cursor | None = None
        self._filters = [
            self.equals(name, value) for name, value in self.query.items() if name not in WORDS
        ]
        self._ranged = self.query.get(RANGE) is not None
        self._within = within(snapshot, table, stream, self.query[RANGE]) if self._ranged else []
        self._inside = None if partitions is None else PartitionFilter(self, partitions)
        if self._inside is not None:
            self._within = [*self._within, self._inside.condition()]
        self._check()
        if stream.cursor:
            self._bounds_given = self._bounds()
            bounds = [value for _, value in self._bounds_given]
            self.cursor = Cursor(snapshot, table, stream, bookmark, against=bounds)

    def _check(self) -> None:
        stream, rules = self.stream, self.rules
        if not stream.cursor:
            for word in (START, END, EXECUTION):
                if self.query.get(word) is not None:
                    hint = f"Give {stream.name!r} a replication_key."
                    raise self.error(f"{word} needs a replication key.", hint=hint)
            return
        self._operators()
        if self.offset:
            raise self.error(
                f"{OFFSET} does not go with a replication key.",
                hint="The bookmark says where to go on; leave it out.",
            )
        if rules.lookback is not None and not stream.primary_key:
            raise self.error(
                "`lookback` reads rows again, so it needs a primary key.",
                hint="Declare primary_key on the stream.",
            )
        if rules.on_null_cursor == "include" and not stream.primary_key:
            raise self.error(
                'on_null_cursor="include" reads rows again each time, so it needs a primary key.',
                hint='Declare primary_key on the stream, or use "exclude".',
            )

    def error(self, message: str, *, hint: str | None = None) -> ConfigError:
        """Return an error about what is asked for, which names the stream."""
        return ConfigError(
            f"stream {self.stream.name!r}: {message}", hint=hint, stream=self.stream.name
        )

    def _whole_number(self, word: str) -> int | None:
        value = self.query.get(word)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(f"{word} is {shorten(value)}, not a whole number from 0 on.")
        return value

    # What the query says

    def equals(self, name: str, value: Any) -> Any:
        """Return the condition that a column has a value, by the database's own idea of equality.

        Raises:
            ConfigError: There is no such column, or the value does not fit it.
        """
        column = self.table.columns.get(name)
        if column is None:
            known = [
                *self.table.columns,
                *(word for word in WORDS - {RANGE} if name.startswith("_")),
            ]
            hint = did_you_mean(name, known)
            raise self.error(
                f"the query's {name!r} is no column of {self.table.name!r}.", hint=hint
            )
        if value is None:
            return column.expression.is_(None)
        kind = column.type.kind
        if kind == "text" and isinstance(value, str):
            return column.expression == _raw(
                self.snapshot, value
            )  # by the database's own collation
        if kind == "boolean" and isinstance(value, bool):
            return column.expression == _raw(self.snapshot, value)
        return self._equals(column, value)

    def _equals(self, column: SqlColumn, value: Any) -> Any:
        found = self.typed_for(column, value, "the query's")
        key = comparable(self.snapshot, column, stream=self.stream.name, against=[found])
        return key.expression == key.bind(found)

    def typed_for(self, column: SqlColumn, value: Any, whose: str) -> Any:
        """Return a value as Python's of a column's kind.

        `whose` it is, is for the error if it fits none.
        """
        kind, zoned = column.type.kind, None
        if self.snapshot.dialect == "sqlite" and kind == "timestamp":
            zoned = values_have_zone(self.snapshot, column.expression) or bool(has_zone(value))
        elif kind not in {"timestamp", "instant"} and isinstance(value, list | dict | tuple | set):
            raise self.error(f"{whose} {column.name!r} is {shorten(value)}, not one value.")
        try:
            return typed(value, kind, zoned=zoned)
        except ValueError as error:
            raise self.error(
                f"{whose} {column.name!r} = {shorten(value)} does not fit its column ({column.declared}): {error}."
            ) from error

    def _bounds(self) -> list[tuple[str, Any]]:
        """Return the bounds of the first replication key, each START or END: `_execution_date` ends it by default.

        All of them hold. Which of two is the narrower one is the database's to know: texts have
        collations.
        """
        column = self.table.column(
            self.stream.cursor[0], stream=self.stream.name, role="replication key"
        )
        end = self.query.get(END)
        given = {
            START: self.query.get(START),
            END: self.query.get(EXECUTION) if end is None else end,
        }
        bounds = {
            word: self.typed_for(column, value, f"{word} of")
            for word, value in given.items()
            if value is not None
        }
        own = {START: self.rules.start, END: self.rules.end}
        fixed = {
            word: self.typed_for(
                column, value, f"the source's `{word.strip('_').removesuffix('_date')}` of"
            )
            for word, value in own.items()
            if value is not None
        }
        if (
            len(fixed) == len(own)
            and column.type.kind in ORDERED_ALIKE
            and _is_after(fixed[START], fixed[END])
        ):
            raise self.error(
                f"the source's `start` {shorten(own[START])} is after its `end` {shorten(own[END])}, so no "
                f"{column.name!r} lies between them.",
                hint="Rows at or after `start` and before `end` are read.",
            )
        return [*bounds.items(), *fixed.items()]

    # Which rows

    def check(self) -> None:
        """Refuse what would lose rows in silence.

        Raises:
            SourceError: There are rows whose replication key is NULL, or that are in no partition.
            BookmarkError: The source ends before the bookmark.
        """
        if self._inside is not None and self.rules.on_null_cursor == "error":
            self._inside.refuse_nulls(self._filters)
        if self.cursor is None:
            return
        if self.rules.on_null_cursor == "error":
            nulls = self.cursor.nulls([*self._filters, *self._within])
            if nulls:
                told = " and ".join(
                    f"{count} rows whose {name!r} is NULL" for name, count in nulls.items()
                )
                raise SourceError(
                    f"stream {self.stream.name!r}: there are {told}, so an incremental read would never see them.",
                    hint='Use on_null_cursor="exclude" to leave them out, "include" to read them every time (needs a '
                    "primary key), or another replication key.",
                    stream=self.stream.name,
                )
        self.cursor.refuse_lower_maximum()

    def where(self) -> list[Any]:
        """Return the conditions on the rows."""
        if self.cursor is None:
            return [*self._filters, *self._within]
        import sqlalchemy as sa

        condition = sa.and_(self.cursor.known(), *self._between(self.cursor))
        if self.rules.on_null_cursor == "include":
            condition = sa.or_(condition, sa.not_(self.cursor.known()))
        return [*self._filters, *self._within, condition]

    @property
    def is_whole(self) -> bool:
        """Whether it reads the whole table, but for rows whose replication key is NULL."""
        if self._filters or self._within or self.limit is not None or self.offset:
            return False
        if self.cursor is None:
            return True
        return self.cursor.bookmark is None and not self._bounds_given and not self.rules.lag

    def _between(self, cursor: Cursor) -> list[Any]:
        conditions = []
        if cursor.bookmark is not None:
            conditions.append(self._from(cursor, cursor.bookmark))
        for word, value in self._bounds_given:
            bound = (
                cursor.from_first(value)
                if word == START
                else cursor.before_first(value, inclusive=False)
            )
            conditions.append(bound)
        conditions += self.lagging(cursor)
        return [condition for condition in conditions if condition is not None]

    def _from(self, cursor: Cursor, bookmark: Sequence[Any]) -> Any:
        if self.rules.lookback is None:
            return cursor.reaches(bookmark, strictly=self._strictly())
        first = shifted(
            bookmark[0],
            self.rules.lookback,
            stream=self.stream.name,
            field=self.stream.cursor[0],
            option="lookback",
        )
        return None if first is None else cursor.from_first(first)

    def _strictly(self) -> bool:
        """Return whether the stream's operators leave out the rows at the bookmark."""
        said = self._operators()
        return len(said) == len(self.stream.cursor) and set(said.values()) == {">"}

    def _operators(self) -> dict[str, str]:
        """Return the stream's operator of each column that has one."""
        operators = self.stream.bookmark_property_operators or {}
        said = {name: str(one).strip() for name, one in operators.items() if one}
        for name, one in said.items():
            if one not in {">", ">="}:
                raise self.error(
                    f"bookmark_property_operators says {shorten(one)} of {name!r}.",
                    hint="A bookmark is read with > or >=.",
                )
            if name not in self.stream.cursor:
                key = ", ".join(map(repr, self.stream.cursor))
                raise self.error(
                    f"bookmark_property_operators names {name!r}, which is not in its replication key ({key}).",
                    hint=did_you_mean(name, self.stream.cursor),
                )
        return said

    def lagging(self, cursor: Cursor) -> list[Any]:
        """Return the condition that leaves the newest rows to a later run."""
        if not self.rules.lag:
            return []
        largest = cursor.maximum(self._filters)
        if largest is None:
            return []
        last = shifted(
            largest[0],
            self.rules.lag,
            stream=self.stream.name,
            field=self.stream.cursor[0],
            option="lag",
        )
        if last is None:
            import sqlalchemy as sa

            return [sa.false()]
        return [cursor.before_first(last, inclusive=True)]

    def settled(self, upto: Any) -> list[Any]:
        """Return the condition that a row's first replication key is at or before a value, if there is one."""
        return (
            []
            if self.cursor is None or upto is None
            else [self.cursor.before_first(upto, inclusive=True)]
        )

    def order(self) -> list[Any]:
        """Return what to order by: the replication key, then the primary key.

        With a limit what makes it one order.
        """
        if self._ranged:
            return []  # it is published as a whole, so no order is worth a sort
        if self.cursor is not None:
            first = (
                [] if self.rules.on_null_cursor != "include" else [self._nulls_last(self.cursor)]
            )
            rest = [n for n in self.stream.primary_key if n not in self.stream.cursor]
            if not self.stream.primary_key and self.limit is not None:
                rest = [name for name in self.table.columns if name not in self.stream.cursor]
            return [
                *first,
                *self.cursor.order(),
                *(self._sortable(self.table.columns[n]) for n in rest),
            ]
        if self.limit is None and self.offset is None:
            return []
        names = self.stream.primary_key or tuple(self.table.columns)
        return [
            self._sortable(self.table.column(n, stream=self.stream.name, role="primary key"))
            for n in names
        ]

    def _nulls_last(self, cursor: Cursor) -> Any:
        import sqlalchemy as sa

        return sa.case((cursor.known(), 0), else_=1)

    def _sortable(self, column: SqlColumn) -> Any:
        if column.type.kind in {"json", "other", "uuid"}:
            return column.type.expression(
                column.expression, self.snapshot.dialect
            )  # some of these have no order
        return column.expression

    # The statements

    def select(
        self, columns: Sequence[SqlColumn], shown_as: Callable[[SqlColumn], Any] | None = None
    ) -> "sa.Select[Any]":
        """Return the statement that reads these columns.

        Args:
            columns: Which.
            shown_as: Gives what is selected for a column, where it is not what a driver is to give.
        """
        import sqlalchemy as sa

        dialect = self.snapshot.dialect
        give = shown_as or (lambda c: c.type.expression(c.expression, dialect))
        # Labels of our own: in ORDER BY, a database takes a bare name for what is selected.
        shown = [give(c).label(f"c{i}") for i, c in enumerate(columns)]
        self.snapshot.fields.update({f"c{i}": column.name for i, column in enumerate(columns)})
        statement = (
            sa.select(*shown)
            .select_from(self.table.clause)
            .where(*self.where())
            .order_by(*self.order())
        )
        if self.limit is not None:
            statement = statement.limit(self.limit)
        return statement.offset(self.offset) if self.offset else statement

    def count(self) -> int:
        """Count the rows."""
        import sqlalchemy as sa

        statement = sa.select(sa.func.count()).select_from(self.table.clause).where(*self.where())
        rows = int(self.snapshot.connection.execute(statement).scalar_one()) - (self.offset or 0)
        return max(rows if self.limit is None else min(rows, self.limit), 0)


def _is_after(one: Any, other: Any) -> bool:
    try:
        return bool(one > other)
    except (TypeError, InvalidOperation):
        return False  # only one has a zone, or one is not a number


def batches(
    snapshot: "Snapshot",
    result: Any,
    columns: Sequence[SqlColumn],
    *,
    stream: str,
    batch_rows: int,
    refusals: Refusals,
) -> "Iterator[pa.Table]":
    """Yield a result's rows as Arrow tables.

    At least one, which says the types where there are no rows.
    """
    import pyarrow as pa

    readers = [
        ColumnReader(c.type, dialect=snapshot.dialect, stream=stream, field=c.name) for c in columns
    ]
    fields = [
        pa.field(c.name, r.empty_type(), metadata=field_metadata(c))
        for c, r in zip(columns, readers, strict=True)
    ]
    rows = min(batch_rows, FIRST_ROWS)
    empty = True
    while True:
        snapshot.restart_clock()
        fetched = result.fetchmany(rows)
        if not fetched:
            break
        empty = False
        values = zip(*fetched, strict=True)
        arrays = [
            refusals.read(reader.read, list(its))
            for reader, its in zip(readers, values, strict=True)
        ]
        got = [field.with_type(array.type) for field, array in zip(fields, arrays, strict=True)]
        table = pa.Table.from_arrays(arrays, schema=pa.schema(got))
        rows = max(1, min(batch_rows, BATCH_BYTES * len(fetched) // max(table.nbytes, 1)))
        del fetched, arrays
        yield table
    if empty:
        yield pa.schema(fields).empty_table()


def field_metadata(column: SqlColumn) -> dict[str, str] | None:
    """Return what is said of a column beside its type."""
    return {"description": column.comment} if column.comment else None


def _raw(snapshot: "Snapshot", value: Any) -> Any:
    import sqlalchemy as sa

    if snapshot.dialect == "sqlite":
        return sa.literal(int(value) if isinstance(value, bool) else value, sa.types.NullType())
    return sa.literal(value)
