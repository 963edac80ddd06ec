"""One table of a destination as a dataset, where no cache knows it: what an asset has stored."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.caches.sql_tables import to_sql_table
from etl_assets.datasets import CachedDataset
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.exceptions import ConfigError
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    import pyarrow.dataset as ds
    from sqlalchemy import Table


class StoredTable:
    """What a dataset needs of whatever holds its table: see `etl_assets.datasets.TableReader`.

    Args:
        destination: Holds the table.
        table: The table.
        stream: Its stream: the name, and the keys.
    """

    def __init__(self, destination: DatabaseDestination, table: TableName, stream: Stream) -> None:
        self.destination = destination
        self._table = table
        self._stream = stream

    def dataset(self) -> CachedDataset:
        """Return the dataset of the table."""
        return CachedDataset(self, self._stream.name)

    def table_of(self, stream_name: str) -> TableName:
        """Return the table."""
        del stream_name
        return self._table

    def stream_of(self, stream_name: str) -> Stream:
        """Return the stream with the schema of the table."""
        del stream_name
        with self.destination.transaction() as tx:
            schema = tx.schema(self._table)
        return self._stream.replace(schema=from_arrow(schema) if schema else None)

    hidden_columns: Sequence[str] = ()

    def snapshot(
        self, table: TableName, where: Sequence[str], chunk_rows: int, without: Collection[str] = ()
    ) -> "ds.Dataset":
        """Return the rows that meet every condition, as they are now."""
        return self.destination.snapshot(table, where=where, chunk_rows=chunk_rows, without=without)

    def count(self, table: TableName, where: Sequence[str]) -> int:
        """Count them."""
        return self.destination.count(table, where=where)

    def condition(self, expression: Any) -> str:
        """Return a condition as SQL text.

        Raises:
            ConfigError: It is an expression of SQLAlchemy's, and the database's dialect is not
                installed.
        """
        if isinstance(expression, str):
            return expression
        from sqlalchemy.dialects import registry
        from sqlalchemy.exc import NoSuchModuleError

        kind = self.destination.storage_kind
        try:
            dialect = registry.load(kind)()
        except NoSuchModuleError as error:
            raise ConfigError(
                f"SQLAlchemy's dialect {kind!r} is not installed.", hint="Give SQL text."
            ) from error
        return str(expression.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))

    def sql_table(self, stream_name: str) -> "Table":
        """Return the table as SQLAlchemy's."""
        del stream_name
        with self.destination.transaction() as tx:
            return to_sql_table(self._table, tx.schema(self._table))
