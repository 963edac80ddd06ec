"""What caches in a cloud warehouse have in common: they are asked by the warehouse's own library, not by SQLAlchemy."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from etl_assets.caches.base import CacheBase
from etl_assets.destinations.warehouse_transaction import WarehouseTransaction
from etl_assets.exceptions import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine


class WarehouseCache(CacheBase):
    """A cache whose SQLAlchemy dialect is a package of its own, which only `get_sql_engine` needs."""

    @override
    def get_sql_engine(self) -> "Engine":
        """Give an SQLAlchemy engine.

        Raises:
            ConfigError: The package that brings the dialect is not installed.
        """
        from sqlalchemy.exc import NoSuchModuleError

        try:
            return super().get_sql_engine()
        except NoSuchModuleError as error:
            raise ConfigError(
                f"The SQLAlchemy dialect of {self.name} is not installed.",
                hint=f"pip install {self._dialect_package()}; cache.run_sql_query() does without.",
            ) from error

    def _dialect_package(self) -> str:
        raise NotImplementedError

    @override
    def run_sql_query(self, sql_query: str, *, max_records: int | None = None) -> list[dict[str, Any]]:
        with self.destination.transaction() as tx:
            assert isinstance(tx, WarehouseTransaction)  # noqa: S101 - `make_destination` gives no other

            def rows() -> Iterator[dict[str, Any]]:
                for table in tx.fetch(sql_query):
                    yield from table.rename_columns([tx.read_name(name) for name in table.column_names]).to_pylist()

            return list(islice(rows(), max_records))
