"""What one read of one stream asks the database for: which rows, in which order."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import SourceError
from etl_assets.model.refused import Refusals
from etl_assets.sources.sql.cursor import Cursor, Span, shifted
from etl_assets.sources.sql.words import START, QueryWords

if TYPE_CHECKING:
    from etl_assets.model.partitions import Partitions
    from etl_assets.model.stored import Bookmark
    from etl_assets.model.stream import Stream
    from etl_assets.sources.sql.connection import Snapshot
    from etl_assets.sources.sql.options import Rules
    from etl_assets.sources.sql.partitions import PartitionFilter
    from etl_assets.sources.sql.reflection import SqlColumn, SqlTable
    from etl_assets.sources.sql.types import Condition, Expression


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
        table: "SqlTable",
        stream: "Stream",
        bookmark: "Bookmark | None",
        query: Mapping[str, Any] | None,
        rules: "Rules",
        *,
        partitions: "Partitions | None" = None,
    ) -> None:
        self.snapshot = snapshot
        self.table = table
        self.refusals = Refusals()
        self.stream = stream
        self.rules = rules
        self.words = QueryWords(snapshot, table, stream, query or {}, rules)
        self.limit, self.offset = self.words.limit, self.words.offset
        self._inside: PartitionFilter | None = None
        if partitions is not None:
            self._inside = _filter_of(self.words, partitions)
        self._conditions: list[Condition] = [*self.words.filters, *self.words.within]
        """What the query and the partitions say of the rows, beside the replication key."""
        if self._inside is not None:
            self._conditions.append(self._inside.condition())
        self.cursor: Cursor | None = None
        if stream.cursor:
            bounds = [value for _, value in self.words.bounds]
            self.cursor = Cursor(snapshot, table, stream, bookmark, against=bounds)

    # Which rows

    def check(self) -> None:
        """Refuse what would lose rows in silence.

        Raises:
            SourceError: There are rows whose replication key is NULL, or that are in no partition.
            BookmarkError: The source ends before the bookmark.
        """
        if self._inside is not None and self.rules.on_null_cursor == "error":
            self._inside.refuse_nulls(self.words.filters)
        if self.cursor is None:
            return
        if self.rules.on_null_cursor == "error":
            self._refuse_nulls(self.cursor)
        self.cursor.refuse_lower_maximum()

    def _refuse_nulls(self, cursor: Cursor) -> None:
        nulls = cursor.nulls(self._conditions)
        if not nulls:
            return
        told = " and ".join(f"{count} rows whose {name!r} is NULL" for name, count in nulls.items())
        raise SourceError(
            f"stream {self.stream.name!r}: there are {told}, so an incremental read would never "
            "see them.",
            hint='Use on_null_cursor="exclude" to leave them out, "include" to read them every '
            "time (needs a primary key), or another replication key.",
            stream=self.stream.name,
        )

    def where(self) -> "list[Condition]":
        """Return the conditions on the rows."""
        if self.cursor is None:
            return self._conditions
        sa = self.snapshot.core
        condition: Condition = sa.and_(self.cursor.known(), *self._between(self.cursor))
        if self.rules.on_null_cursor == "include":
            condition = sa.or_(condition, sa.not_(self.cursor.known()))
        return [*self._conditions, condition]

    @property
    def is_whole(self) -> bool:
        """Whether it reads the whole table, but for rows whose replication key is NULL."""
        is_cut = self.limit is not None or bool(self.offset)
        if is_cut or self._conditions:
            return False
        if self.cursor is None:
            return True
        return self.cursor.bookmark is None and not self.words.bounds and not self.rules.lag

    def _between(self, cursor: Cursor) -> "list[Condition]":
        conditions = []
        if cursor.bookmark is not None:
            conditions += self._from(cursor, cursor.bookmark)
        for word, value in self.words.bounds:
            if word == START:
                conditions.append(cursor.from_first(value))
            else:
                conditions.append(cursor.before_first(value, inclusive=False))
        return [*conditions, *self.lagging(cursor)]

    def _from(self, cursor: Cursor, bookmark: Sequence[Any]) -> "list[Condition]":
        """Return the condition that a row is at or after the bookmark.

        With `lookback`, it begins so far before the bookmark.
        """
        if self.rules.lookback is None:
            return [cursor.reaches(bookmark, strictly=self.words.reads_strictly)]
        first = self._shifted(bookmark, self.rules.lookback, "lookback")
        return [] if first is None else [cursor.from_first(first)]

    def lagging(self, cursor: Cursor) -> "list[Condition]":
        """Return the condition that leaves the newest rows to a later run."""
        if not self.rules.lag:
            return []
        largest = cursor.maximum(self.words.filters)
        if largest is None:
            return []
        last = self._shifted(largest, self.rules.lag, "lag")
        if last is None:
            return [self.snapshot.core.false()]
        return [cursor.before_first(last, inclusive=True)]

    def _shifted(self, key: Sequence[Any], span: Span, option: str) -> Any:
        """Return the first value of a key less a span; None where that is before all times."""
        stream = self.stream
        return shifted(key[0], span, stream=stream.name, field=stream.cursor[0], option=option)

    def settled(self, upto: Any) -> "list[Condition]":
        """Return the condition that a row's first replication key is not beyond a value, if any."""
        if self.cursor is None or upto is None:
            return []
        return [self.cursor.before_first(upto, inclusive=True)]

    # In which order

    def order(self) -> "list[Expression]":
        """Return what to order by: the replication key, then the primary key.

        A read with a limit is ordered by as many columns as tell any two rows apart.
        """
        if self.words.is_range:
            return []  # it is published as a whole, so no order is worth a sort
        if self.cursor is not None:
            return self._by_replication_key(self.cursor)
        if self.limit is None and self.offset is None:
            return []
        names = self.stream.primary_key or tuple(self.table.columns)
        return [
            self._sortable(self.table.column(name, stream=self.stream.name, role="primary key"))
            for name in names
        ]

    def _by_replication_key(self, cursor: Cursor) -> "list[Expression]":
        sa = self.snapshot.core
        order = cursor.order()
        if self.rules.on_null_cursor == "include":
            order = [sa.case((cursor.known(), 0), else_=1), *order]  # NULL comes last
        others: Sequence[str] = self.stream.primary_key
        if not others and self.limit is not None:
            others = tuple(self.table.columns)
        rest = [name for name in others if name not in self.stream.cursor]
        return [*order, *(self._sortable(self.table.columns[name]) for name in rest)]

    def _sortable(self, column: "SqlColumn") -> "Expression":
        if column.type.kind in {"json", "other", "uuid"}:  # some of these have no order
            return column.type.expression(column.expression, self.snapshot.dialect)
        return column.expression

    # The statements

    def select(
        self,
        columns: Sequence["SqlColumn"],
        shown_as: "Callable[[SqlColumn], Expression] | None" = None,
    ) -> Any:
        """Return the statement that reads these columns.

        Args:
            columns: Which.
            shown_as: Gives what is selected for a column, where it is not what a driver is to give.
        """
        sa = self.snapshot.core

        def as_read(column: "SqlColumn") -> "Expression":
            return column.type.expression(column.expression, self.snapshot.dialect)

        give = shown_as or as_read
        # Labels of our own: in ORDER BY, a database takes a bare name for what is selected.
        shown = [give(one).label(f"c{i}") for i, one in enumerate(columns)]
        self.snapshot.fields.update({f"c{i}": one.name for i, one in enumerate(columns)})
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
        sa = self.snapshot.core
        statement = sa.select(sa.func.count()).select_from(self.table.clause).where(*self.where())
        found = int(self.snapshot.connection.execute(statement).scalar_one())
        rows = max(found - (self.offset or 0), 0)
        return rows if self.limit is None else min(rows, self.limit)


def _filter_of(words: QueryWords, partitions: "Partitions") -> "PartitionFilter":
    from etl_assets.sources.sql.partitions import PartitionFilter

    return PartitionFilter(words, partitions)
