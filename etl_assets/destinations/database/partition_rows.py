"""The rows of partitions in their table: told by conditions on its columns, deleted and counted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from etl_assets.destinations.database.transaction import Transaction
from etl_assets.exceptions import DataError
from etl_assets.model.partitions import Condition, Partitions, check_time, values_of
from etl_assets.model.stored import TableName
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

COUNTED_AT_ONCE = 50
NO_ROW = "1 = 0"
_DATE_AS_TEXT = "____-__-__"
"""What a text without a time of day is like, as a pattern of LIKE."""


class PartitionRows:
    """The rows of some partitions in one table.

    Args:
        tx: An open transaction.
        table: The table; it is there.
        partitions: The partitions.
        columns: The table's column of each of their fields.
        staged: The types of the rows that were read, by field: where an engine keeps times as text,
            they say what these are.
        stream: The stream's name, for errors.
    """

    def __init__(
        self,
        tx: Transaction,
        table: TableName,
        partitions: Partitions,
        columns: Mapping[str, str],
        staged: "Mapping[str, pa.DataType]",
        stream: str,
    ) -> None:
        self._tx = tx
        self._table = table
        self._partitions = partitions
        self._columns = columns
        self._staged = staged
        self._stream = stream
        schema = tx.schema(table)
        self._types = {} if schema is None else {field.name: field.type for field in schema}

    def delete(self) -> None:
        """Delete them."""
        where = self.condition()
        # A DELETE that finds nothing would lock the table all the same in MySQL.
        if self._tx.count(self._table, where):
            self._tx.execute(f"DELETE FROM {self._tx.quoted(self._table)} WHERE {where}")

    def condition(self) -> str:
        """Return the condition that a row is in one of the partitions."""
        return _any(self._alternative(one) for one in self._partitions.joined)

    def counts(self) -> dict[str, int]:
        """Return how many rows there are of each partition, by its name."""
        found: dict[str, int] = {}
        each = self._partitions.each
        for start in range(0, len(each), COUNTED_AT_ONCE):
            some = each[start : start + COUNTED_AT_ONCE]
            conditions = [self._alternative(one.rows) for one in some]
            counts = self._tx.counts(self._table, conditions)
            found |= dict(zip((one.name for one in some), counts, strict=True))
        return found

    def _alternative(self, conditions: Mapping[str, Condition]) -> str:
        met = [self._met(name, condition) for name, condition in conditions.items()]
        return f"({' AND '.join(met)})"

    def _met(self, field: str, condition: Condition) -> str:
        import pyarrow as pa

        column = self._columns[field]
        type_ = self._types.get(column)
        if type_ is None:
            return NO_ROW  # the column is made with the first rows that have the field
        if isinstance(condition, frozenset):
            wanted = values_of(condition, type_, field, self._stream)
            return self._tx.among(column, type_, wanted) if wanted else NO_ROW
        staged = self._staged.get(field)
        if staged is not None and pa.types.is_dictionary(staged):
            staged = staged.value_type
        if staged is not None and pa.types.is_null(staged):
            staged = None
            if not self._tx.has_rows(self._table, f"{quote(column)} IS NOT NULL"):
                return NO_ROW  # nor is there any that would tell the column's type
        meant = self._meant(field, type_, staged)
        start, end = (self._tx.literal(bound, type_) for bound in condition.bounds(meant))
        return f"({quote(column)} >= {start} AND {quote(column)} < {end})"

    def _meant(
        self, field: str, type_: "pa.DataType", staged: "pa.DataType | None"
    ) -> "pa.DataType":
        """Return the type of time that a column holds.

        Args:
            field: The field.
            type_: The column's type.
            staged: The type of the rows that were read, if they have one.

        Raises:
            DataError: It holds none.
        """
        import pyarrow as pa

        if pa.types.is_string(type_):
            meant = staged or self._written_as(self._columns[field])
            check_time(meant, field, self._stream)
            if self._tx.keeps_as_text(meant):
                return meant
            rows = f", or would hold it with these rows ({staged})" if staged is not None else ""
            raise DataError(
                f"the column {quote(self._columns[field])} of the table {self._table} holds text"
                f"{rows}, so which of its rows are in a window of time cannot be told.",
                stream=self._stream,
                field=field,
                hint="Have all rows bring one type of time, with or without a zone. Where the "
                "column is text already, drop the table, and load its partitions anew with "
                'on_table_changed="full_refresh": then it gets its type.',
            )
        check_time(type_, field, self._stream)
        return type_

    def _written_as(self, column: str) -> "pa.DataType":
        """Return the type of time that the texts of a column have.

        The texts say it themselves, as no row has come that would.
        """
        import pyarrow as pa

        if self._tx.has_rows(self._table, f"{quote(column)} LIKE '{_DATE_AS_TEXT}'"):
            return pa.date32()
        is_zoned = self._tx.has_rows(self._table, f"{quote(column)} LIKE '%+00:00'")
        return pa.timestamp("us", "UTC" if is_zoned else None)


def _any(conditions: "Sequence[str] | Iterator[str]") -> str:
    alternatives = list(conditions)
    return f"({' OR '.join(alternatives)})" if alternatives else NO_ROW
