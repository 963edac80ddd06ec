"""The fastest route by which a driver gives the rows of a read.

All routes give the same records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from etl_assets.model.encoded import Encoded
from etl_assets.model.refused import Refusals
from etl_assets.model.request import ReadRequest
from etl_assets.sources.sql.connection import Server, Snapshot, streamed
from etl_assets.sources.sql.query import Query
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.rows import batches

if TYPE_CHECKING:
    import pyarrow as pa

    Tables = Iterator[pa.Table]


class _How(TypedDict):
    """What every route is told."""

    stream: str
    batch_rows: int
    refusals: Refusals


@dataclass(frozen=True)
class Route:
    """The way of one read's rows.

    Args:
        server: Where a second connection is made, if the rows need one.
        snapshot: The open connection.
        asked: Which rows.
        columns: Which columns of them.
        batch_rows: Rows of a batch at most.
    """

    server: Server
    snapshot: Snapshot
    asked: Query
    columns: Sequence[SqlColumn]
    batch_rows: int

    def tables(self, request: ReadRequest) -> "Iterator[Encoded | pa.Table]":
        """Yield the rows as Arrow tables, or encoded if the destination takes them so."""
        if not self.columns:  # which only the driver's own rows can be without
            yield from self._by_rows()
        elif self.snapshot.connection.dialect.driver == "psycopg":
            yield from self._by_copy(request)
        elif self.snapshot.dialect == "duckdb":
            yield from self._by_arrow()
        elif self.snapshot.is_mysql:
            yield from self._by_packets()
        else:
            yield from self._by_rows()

    @property
    def _how(self) -> _How:
        return {
            "stream": self.asked.stream.name,
            "batch_rows": self.batch_rows,
            "refusals": self.asked.refusals,
        }

    def _by_copy(self, request: ReadRequest) -> "Iterator[Encoded | pa.Table]":
        """Yield what PostgreSQL's binary COPY gives."""
        from etl_assets.sources.sql.postgres.copy import Copied, shown
        from etl_assets.sources.sql.postgres.encoded import can_encode, in_order

        stream = self.asked.stream
        if request.encoded_as == "pgcopy" and can_encode(self.columns):
            keys = {*stream.primary_key, *stream.unique_constraints, *stream.cursor}
            given = in_order(self.columns, keys)
            copied = Copied(self.snapshot, self.asked.select(given, shown), given, **self._how)
            yield from copied.encoded(self.columns, keys)
            return
        statement = self.asked.select(self.columns, shown)
        yield from Copied(self.snapshot, statement, self.columns, **self._how).batches()

    def _by_arrow(self) -> "Tables":
        """Yield what DuckDB has as Arrow."""
        from etl_assets.sources.sql.duckdb.arrow import shown, tables

        statement = self.asked.select(self.columns, shown)
        yield from tables(self.snapshot, statement, self.columns, **self._how)

    def _by_packets(self) -> "Tables":
        """Yield what MySQL sends, decoded by columns, where its driver lets us read that."""
        from etl_assets.sources.sql.mysql.packets import Packets, can_read

        if not can_read(self.snapshot, self.columns):
            yield from self._by_rows()
            return
        statement = self.asked.select(self.columns)
        yield from Packets(self.snapshot, statement, self.columns, **self._how).batches()

    def _by_rows(self) -> "Tables":
        """Yield the driver's rows, from a cursor on the server where there is such a thing."""
        statement = self.asked.select(self.columns)
        with streamed(self.server, self.snapshot, statement, self.batch_rows) as result:
            yield from batches(self.snapshot, result, self.columns, **self._how)
