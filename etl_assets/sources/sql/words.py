"""What a query says of a stream, as conditions on its rows.

It says it by Mage's words, and by values of columns.
"""

from collections.abc import Mapping
from decimal import InvalidOperation
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError, did_you_mean, shorten
from etl_assets.model.key_ranges import RANGE
from etl_assets.sources.sql.cursor import comparable, has_zone, typed

if TYPE_CHECKING:
    from etl_assets.model.stream import Stream
    from etl_assets.sources.sql.connection import Snapshot
    from etl_assets.sources.sql.options import Rules
    from etl_assets.sources.sql.reflection import SqlColumn, SqlTable
    from etl_assets.sources.sql.types import Condition, Expression

LIMIT, OFFSET, START, END = "_limit", "_offset", "_start_date", "_end_date"
EXECUTION, PARTITION = "_execution_date", "_execution_partition"
WORDS = frozenset({LIMIT, OFFSET, START, END, EXECUTION, PARTITION, RANGE})
"""Mage's keys of a query, and ours for a range of the key; every other one is a column."""

NOT_A_FILTER = frozenset({LIMIT, PARTITION})

ORDERED_ALIKE = frozenset(
    {"integer", "decimal", "number", "float", "date", "timestamp", "instant", "time"}
)
"""Kinds that every database orders as Python does.

The order of texts is a matter of their collation.
"""


class QueryWords:
    """What is asked of one stream.

    That is conditions on columns, bounds of its replication key, and how many rows.

    Args:
        snapshot: The open connection.
        table: The stream's table.
        stream: The stream.
        query: Column = value, and Mage's words.
        rules: How incremental streams are read.

    Raises:
        ConfigError: The query or a rule does not fit the stream.
    """

    def __init__(
        self,
        snapshot: "Snapshot",
        table: "SqlTable",
        stream: "Stream",
        query: Mapping[str, Any],
        rules: "Rules",
    ) -> None:
        self.snapshot = snapshot
        self.table = table
        self.stream = stream
        self.rules = rules
        self._query = query
        self.limit = self._whole_number(LIMIT)
        self.offset = self._whole_number(OFFSET)
        self.filters = [
            self.equals(name, value) for name, value in query.items() if name not in WORDS
        ]
        self.is_range = query.get(RANGE) is not None
        self.within: list[Condition] = []
        if self.is_range:
            from etl_assets.sources.sql.ranges import within

            self.within = within(snapshot, table, stream, query[RANGE])
        self._check()
        self.bounds = self._bounds() if stream.cursor else []
        """The bounds of the first replication key, each START or END; all of them hold."""

    def error(self, message: str, *, hint: str | None = None) -> ConfigError:
        """Return an error about what is asked for, which names the stream."""
        return ConfigError(
            f"stream {self.stream.name!r}: {message}", hint=hint, stream=self.stream.name
        )

    def _check(self) -> None:
        stream, rules = self.stream, self.rules
        if not stream.cursor:
            for word in (START, END, EXECUTION):
                if self._query.get(word) is not None:
                    hint = f"Give {stream.name!r} a replication_key."
                    raise self.error(f"{word} needs a replication key.", hint=hint)
            return
        self._check_operators()
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

    def _whole_number(self, word: str) -> int | None:
        value = self._query.get(word)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.error(f"{word} is {shorten(value)}, not a whole number from 0 on.")
        return value

    def equals(self, name: str, value: Any) -> "Condition":
        """Return the condition that a column has a value, by the database's own idea of equality.

        Raises:
            ConfigError: There is no such column, or the value does not fit it.
        """
        column = self.table.columns.get(name)
        if column is None:
            words = WORDS - {RANGE} if name.startswith("_") else ()
            raise self.error(
                f"the query's {name!r} is no column of {self.table.name!r}.",
                hint=did_you_mean(name, [*self.table.columns, *words]),
            )
        if value is None:
            return column.expression.is_(None)
        kind = column.type.kind
        is_text = kind == "text" and isinstance(value, str)
        is_flag = kind == "boolean" and isinstance(value, bool)
        if is_text or is_flag:
            return column.expression == _raw(self.snapshot, value)  # by the column's own collation
        return self._equals(column, value)

    def _equals(self, column: "SqlColumn", value: Any) -> "Condition":
        found = self.typed_for(column, value, "the query's")
        key = comparable(self.snapshot, column, stream=self.stream.name, against=[found])
        equal: Condition = key.expression == key.bind(found)
        return equal

    def typed_for(self, column: "SqlColumn", value: Any, whose: str) -> Any:
        """Return a value as the Python value of a column's kind.

        Args:
            column: The column.
            value: Its value, from a query, a rule or a bookmark.
            whose: Whose value it is, for the error.

        Raises:
            ConfigError: It does not fit the column.
        """
        kind, zoned = column.type.kind, None
        if self.snapshot.dialect == "sqlite" and kind == "timestamp":
            from etl_assets.sources.sql.sqlite.times import values_have_zone

            zoned = values_have_zone(self.snapshot, column.expression) or bool(has_zone(value))
        elif kind not in {"timestamp", "instant"} and isinstance(value, list | dict | tuple | set):
            raise self.error(f"{whose} {column.name!r} is {shorten(value)}, not one value.")
        try:
            return typed(value, kind, zoned=zoned)
        except ValueError as error:
            raise self.error(
                f"{whose} {column.name!r} = {shorten(value)} does not fit its column "
                f"({column.declared}): {error}."
            ) from error

    def _bounds(self) -> list[tuple[str, Any]]:
        """Return what the query and the source's own rules say.

        Which of two bounds is the narrower one is the database's to know: texts have collations.
        """
        name = self.stream.cursor[0]
        column = self.table.column(name, stream=self.stream.name, role="replication key")
        end = self._query.get(END)
        if end is None:
            end = self._query.get(EXECUTION)
        asked = [
            (word, self.typed_for(column, value, f"{word} of"))
            for word, value in ((START, self._query.get(START)), (END, end))
            if value is not None
        ]
        return [*asked, *self._bounds_of_rules(column)]

    def _bounds_of_rules(self, column: "SqlColumn") -> list[tuple[str, Any]]:
        start, end = self.rules.start, self.rules.end
        first = last = None
        if start is not None:
            first = self.typed_for(column, start, "the source's `start` of")
        if end is not None:
            last = self.typed_for(column, end, "the source's `end` of")
        has_both = first is not None and last is not None
        if has_both and column.type.kind in ORDERED_ALIKE and _is_after(first, last):
            raise self.error(
                f"the source's `start` {shorten(start)} is after its `end` {shorten(end)}, so no "
                f"{column.name!r} lies between them.",
                hint="Rows at or after `start` and before `end` are read.",
            )
        return [(word, value) for word, value in ((START, first), (END, last)) if value is not None]

    @property
    def reads_strictly(self) -> bool:
        """Whether the stream's operators leave out the rows at the bookmark."""
        said = self._operators()
        return len(said) == len(self.stream.cursor) and set(said.values()) == {">"}

    def _operators(self) -> dict[str, str]:
        """Return the stream's operator of each column that has one."""
        operators = self.stream.bookmark_property_operators or {}
        return {name: str(one).strip() for name, one in operators.items() if one}

    def _check_operators(self) -> None:
        for name, one in self._operators().items():
            if one not in {">", ">="}:
                raise self.error(
                    f"bookmark_property_operators says {shorten(one)} of {name!r}.",
                    hint="A bookmark is read with > or >=.",
                )
            if name not in self.stream.cursor:
                key = ", ".join(map(repr, self.stream.cursor))
                raise self.error(
                    f"bookmark_property_operators names {name!r}, which is not in its replication "
                    f"key ({key}).",
                    hint=did_you_mean(name, self.stream.cursor),
                )


def _is_after(one: Any, other: Any) -> bool:
    try:
        return bool(one > other)
    except (TypeError, InvalidOperation):
        return False  # only one has a zone, or one is not a number


def _raw(snapshot: "Snapshot", value: str | bool) -> "Expression":  # noqa: FBT001 - a value
    sa = snapshot.core
    if snapshot.dialect != "sqlite":
        return sa.literal(value)
    plain = int(value) if isinstance(value, bool) else value
    return sa.literal(plain, sa.types.NullType())
