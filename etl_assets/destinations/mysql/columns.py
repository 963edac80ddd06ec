"""What rests on a column in MySQL and MariaDB, and which columns must not be NULL."""

from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from etl_assets.destinations.database.sql_transaction import SqlTransaction
from etl_assets.model.stored import TableName
from etl_assets.naming import quote


class FreeColumns(SqlTransaction):
    """Tells which columns can get another type."""

    def _place(self, table: TableName) -> TableName:
        """Return where a table's rows are now."""
        raise NotImplementedError(f"{type(self).__name__} must override _place.")

    def _at_once(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement that commits."""
        raise NotImplementedError(f"{type(self).__name__} must override _at_once.")

    @override
    def strict_columns(self, table: TableName) -> list[str]:
        place = self._place(table)
        found = self.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = ? AND table_name = ? AND is_nullable = 'NO' "
            "AND column_default IS NULL AND extra = '' ORDER BY ordinal_position",
            (place.schema, place.name),
        )
        return [name for (name,) in found]

    @override
    def allow_nulls(self, table: TableName, names: Sequence[str]) -> None:
        place = self._place(table)
        changes = []
        for name in names:
            ((type_, collation),) = self.execute(
                "SELECT column_type, collation_name FROM information_schema.columns "
                "WHERE table_schema = ? AND table_name = ? AND column_name = ?",
                (place.schema, place.name, name),
            )
            collate = f" COLLATE {collation}" if collation else ""
            changes.append(f"MODIFY COLUMN {quote(name)} {type_}{collate} NULL")
        self._at_once(f"ALTER TABLE {self.quoted(place)} {', '.join(changes)}")

    @override
    def is_free(self, table: TableName, name: str) -> bool:
        place = self._place(table)
        own = (place.schema, place.name, name)
        where = "table_schema = ? AND table_name = ? AND column_name = ?"
        rests = self.execute(
            f"SELECT 1 FROM information_schema.statistics WHERE {where} LIMIT 1", own
        )
        rests += self.execute(
            f"SELECT 1 FROM information_schema.key_column_usage WHERE {where} LIMIT 1", own
        )
        rests += self.execute(
            f"SELECT 1 FROM information_schema.columns WHERE {where} AND (is_nullable = 'NO' "
            "OR extra <> '' OR coalesce(column_default, 'NULL') <> 'NULL') LIMIT 1",
            own,
        )
        # A check or a generated column may name any column somewhere in its text.
        rests += self.execute(
            "SELECT 1 FROM information_schema.table_constraints "
            "WHERE table_schema = ? AND table_name = ? AND constraint_type = 'CHECK' LIMIT 1",
            own[:2],
        )
        rests += self.execute(
            "SELECT 1 FROM information_schema.columns WHERE table_schema = ? AND table_name = ? "
            "AND coalesce(generation_expression, '') <> '' LIMIT 1",
            own[:2],
        )
        return not rests
