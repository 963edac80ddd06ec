"""The rows of partitions in a table of a source.

They are conditions on its columns, which the database evaluates.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from etl_assets.exceptions import SourceError
from etl_assets.model.partitions import Condition, Partitions, TimeWindow, values_of
from etl_assets.sources.sql.cursor import comparable
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.sqlite.times import values_have_zone
from etl_assets.sources.sql.words import QueryWords

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.sources.sql.types import Condition as SqlCondition


class PartitionFilter:
    """What a read of some partitions asks a database for.

    The database may give more, where it takes texts for equal that differ in case; what is in none
    of the partitions is left out as it is read.

    Args:
        query: What the read is asked for beside.
        partitions: The partitions.

    Raises:
        ConfigError: A field is no column, or none of a type that has partitions.
    """

    def __init__(self, query: QueryWords, partitions: Partitions) -> None:
        self._query = query
        self._partitions = partitions
        self._columns: dict[str, SqlColumn] = {
            name: query.table.column(name, stream=query.stream.name, role="partition_by")
            for name in partitions.fields
        }

    def condition(self) -> "SqlCondition":
        """Return the condition that a row is in one of the partitions."""
        sa = self._query.snapshot.core
        return sa.or_(sa.false(), *map(self._alternative, self._partitions.joined))

    def refuse_nulls(self, filters: "Sequence[SqlCondition]") -> None:
        """Refuse rows without the field that says in which partition they are.

        No run would load them.

        Args:
            filters: The conditions on all rows of the stream.

        Raises:
            SourceError: There are some.
        """
        stream, snapshot = self._query.stream.name, self._query.snapshot
        sa = snapshot.core
        for name, column in self._columns.items():
            if not column.nullable:
                continue
            is_null = column.expression.is_(None)
            statement = sa.select(sa.literal_column("1"))
            statement = statement.select_from(self._query.table.clause)
            statement = statement.where(*filters, is_null).limit(1)
            if snapshot.connection.execute(statement).first() is not None:
                raise SourceError(
                    f"stream {stream!r}: there are rows whose {name!r} is NULL, so they are in no "
                    "partition.",
                    hint='Use on_null_cursor="exclude" to leave them out, or another partition_by.',
                    stream=stream,
                )

    def _alternative(self, conditions: Mapping[str, Condition]) -> "SqlCondition":
        sa = self._query.snapshot.core
        return sa.and_(*(self._met(name, one) for name, one in conditions.items()))

    def _met(self, name: str, condition: Condition) -> "SqlCondition":
        column = self._columns[name]
        if isinstance(condition, TimeWindow):
            return self._in_window(column, condition)
        sa = self._query.snapshot.core
        return sa.or_(sa.false(), *(self._has(column, text) for text in sorted(condition)))

    def _in_window(self, column: SqlColumn, window: TimeWindow) -> "SqlCondition":
        start, end = window.bounds(self._time_type(column))
        query = self._query
        sa = query.snapshot.core
        bounds = [query.typed_for(column, one, "the partition's") for one in (start, end)]
        key = comparable(query.snapshot, column, stream=query.stream.name, against=bounds)
        first, last = map(key.bind, bounds)
        return sa.and_(key.expression >= first, key.expression < last)

    def _time_type(self, column: SqlColumn) -> "pa.DataType":
        """Return the type of time of a column.

        Raises:
            ConfigError: It has none.
        """
        import pyarrow as pa

        kind = column.type.kind
        if kind == "date":
            return pa.date32()
        if kind == "instant":
            return pa.timestamp("us", "UTC")
        if kind != "timestamp":
            raise self._query.error(
                f"partition_by={column.name!r} is {column.declared}, and a partition is a window "
                "of time.",
                hint="Name a column with a date or a time.",
            )
        snapshot = self._query.snapshot
        is_text = snapshot.dialect == "sqlite"
        zoned = is_text and values_have_zone(snapshot, column.expression)
        return pa.timestamp("us", "UTC" if zoned else None)

    def _has(self, column: SqlColumn, text: str) -> "SqlCondition":
        import pyarrow as pa

        query = self._query
        types = {"integer": pa.int64(), "boolean": pa.bool_(), "text": pa.string()}
        type_ = types.get(column.type.kind)
        if type_ is None:
            raise query.error(
                f"partition_by={column.name!r} is {column.declared}, and a partition is a text, "
                "an integer or a boolean.",
                hint="Name a column of such a type.",
            )
        values = values_of(frozenset({text}), type_, column.name, query.stream.name)
        return query.equals(column.name, values[0]) if values else query.snapshot.core.false()
