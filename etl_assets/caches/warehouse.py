"""What caches in a cloud warehouse have in common.

They are asked by the warehouse's own library, not by SQLAlchemy.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from typing_extensions import override

from etl_assets.caches.base import CacheBase
from etl_assets.destinations.warehouses.transaction import WarehouseTransaction


class WarehouseCache(CacheBase):
    """A cache whose SQLAlchemy dialect is a package of its own: only `get_sql_engine` needs it."""

    @override
    def run_sql_query(
        self, sql_query: str, *, max_records: int | None = None
    ) -> list[dict[str, Any]]:
        with self.destination.transaction() as tx:
            assert isinstance(tx, WarehouseTransaction)  # noqa: S101 - `make_destination` gives no other

            def rows() -> Iterator[dict[str, Any]]:
                for table in tx.fetch(sql_query):
                    yield from table.rename_columns(
                        [tx.read_name(name) for name in table.column_names]
                    ).to_pylist()

            return list(islice(rows(), max_records))
