"""A PostgreSQL query, read by COPY in its binary format.

That is many times as fast as Python values, and as exact.
"""

import select
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_assets.exceptions import SourceError
from etl_assets.model.encoded import Encoded
from etl_assets.model.refused import Refusals
from etl_assets.sources.sql.chunks import Assembly, RowChunk, checked
from etl_assets.sources.sql.connection import Snapshot
from etl_assets.sources.sql.errors import as_database_errors
from etl_assets.sources.sql.postgres.binary import Field, as_text, decode
from etl_assets.sources.sql.postgres.encoded import Encoding
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.slices import CHUNK_BYTES, Buffer, Positions, chunk_bytes
from etl_assets.sources.sql.text_reader import TextReader
from etl_assets.sources.sql.types import postgres_text

if TYPE_CHECKING:
    import pyarrow as pa

SIGNATURE = b"PGCOPY\n\xff\r\n\x00"
HEADER_BYTES = 19
END = b"\xff\xff"
CANCEL_SECONDS = 5.0

FEW_ROWS, LARGE_ROW = 64, CHUNK_BYTES // 64
"""So many rows are received, none of them large, before their size all together is looked at."""
MANY_COLUMNS = 64
_PREPARE_MEMORY = f"SELECT pg_catalog.length(pg_catalog.repeat('x', {4 << 20}))"
"""Has the server's C library keep the memory of a wide row for the next one.

The server takes a kilobyte for each value of a row. By itself, glibc gives so much back to the
system after each row, and gets it anew: that takes several times the CPU of the rows themselves.
Once the server has had a larger piece, it keeps them.
"""


def shown(column: SqlColumn) -> Any:
    """Return what COPY is to select for a column."""
    if not as_text(column):
        return column.expression
    if column.type.how == "json":
        return column.type.expression(column.expression, "postgresql")
    return postgres_text(column.expression, column.type.kind)


class Copied:
    """One COPY out of the database, batch by batch.

    Args:
        snapshot: An open connection of psycopg.
        statement: Selects `columns`, as `shown` gives them.
        columns: What is selected.
        stream: For errors.
        batch_rows: Rows of a batch at most; large rows make smaller batches.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        statement: Any,
        columns: Sequence[SqlColumn],
        *,
        stream: str,
        batch_rows: int,
        refusals: Refusals,
    ) -> None:
        self._snapshot = snapshot
        self._statement = statement
        self._stream = stream
        self._batch_rows = batch_rows
        self._refusals = refusals
        self._fields = [Field(column, stream) for column in columns]
        self._readers = [
            TextReader(column.type, dialect="postgresql", stream=stream, field=column.name)
            for column in columns
        ]
        self._encodes = True  # whether the server knows how its texts are encoded

    def batches(self) -> "Iterator[pa.Table]":
        """Return the rows as Arrow tables.

        At least one, which says the types where there are no rows.

        Raises:
            DataError: A value cannot be read exactly.
            DriverError: The database failed.
        """
        return self._received(lambda received: self._assembly(received).tables(self._batch_rows))

    def encoded(
        self, columns: Sequence[SqlColumn], keys: Collection[str]
    ) -> "Iterator[Encoded | pa.Table]":
        """Return the rows as they come, where no value needs more than a look.

        At least one batch, as `batches` does.

        Args:
            columns: The columns in the order of the table.
            keys: Names of key columns.

        Raises:
            DataError: A value cannot be read exactly.
            DriverError: The database failed.
        """

        def made(received: "_Received") -> "Iterator[Encoded | pa.Table]":
            receive = self._receive(received)
            encoding = Encoding(columns, self._fields, keys, receive, self._finish, self._refusals)
            # Texts of a server that does not know how they are encoded are checked, so all are
            # decoded.
            return encoding.batches(self._batch_rows, decoded=not self._encodes)

        return self._received(made)

    def _received(self, made: "Callable[[_Received], Iterator[Any]]") -> "Iterator[Any]":
        seconds = self._take_over_timeout()
        driver: Any = self._snapshot.connection.connection.driver_connection
        self._encodes = driver.info.parameter_status("server_encoding") != "SQL_ASCII"
        received = _Received(driver, seconds, chunk_bytes(len(self._fields)))
        if len(self._fields) > MANY_COLUMNS:
            self._snapshot.connection.exec_driver_sql(_PREPARE_MEMORY)
        sql = self._sql(driver)
        if not self._encodes:
            # The server would refuse bytes that are not UTF-8 without a word on which; so it gives
            # them, to be checked.
            self._snapshot.connection.exec_driver_sql("SET LOCAL client_encoding = 'SQL_ASCII'")
        try:
            with _errors_of(driver):
                received.begin(sql)
            yield from made(received)
            if received.rows != received.told:
                raise SourceError(
                    f"stream {self._stream!r}: the server says it sent {received.told} rows, and "
                    f"{received.rows} came.",
                    stream=self._stream,
                )
        finally:
            if not received.ended:
                received.cancel()
                # it is in the middle of a COPY: no use to anybody
                self._snapshot.connection.invalidate()

    def _take_over_timeout(self) -> float | None:
        """Lift the server's time-out, which would count the time a batch waits for its destination.

        Give it.
        """
        run = self._snapshot.connection.exec_driver_sql
        setting = "CAST(pg_catalog.current_setting('statement_timeout') AS interval)"
        asked = f"SELECT CAST(1000 * EXTRACT(epoch FROM {setting}) AS bigint)"
        milliseconds = int(run(asked).scalar_one())
        run("SET LOCAL statement_timeout = 0")
        return milliseconds / 1000 or None

    def _sql(self, driver: Any) -> bytes:
        """Return the COPY with its values as literals, each quoted by libpq.

        A COPY takes no parameters, so psycopg puts the values in.
        """
        if self._snapshot.is_direct:
            return _copying(self._snapshot.connection.mogrified(self._statement))
        import psycopg

        compiled = self._statement.compile(dialect=self._snapshot.connection.dialect)
        select_sql = psycopg.ClientCursor(driver).mogrify(
            str(compiled), compiled.construct_params()
        )
        return _copying(select_sql)

    @staticmethod
    def _receive(received: "_Received") -> Callable[[int], RowChunk]:
        def receive(rows: int) -> RowChunk:
            with _errors_of(received.driver):
                return received.chunk(rows)

        return receive

    def _assembly(self, received: "_Received") -> Assembly:
        return Assembly(
            columns=[field.column for field in self._fields],
            receive=self._receive(received),
            decode=lambda buffer, begin: decode(self._fields, buffer, begin),
            finish=self._finish,
            empty_type=lambda index: self._readers[index].empty_type(),
            refusals=self._refusals,
        )

    def _finish(self, index: int, array: "pa.Array") -> "pa.Array":
        field = self._fields[index]
        if not field.is_text:
            return field.finish(array)
        if not self._encodes:
            checked(array, stream=self._stream, field=field.column.name)
        return self._readers[index].read_texts(array) if as_text(field.column) else array


def _copying(select_sql: str) -> bytes:
    return f"COPY ({select_sql}) TO STDOUT (FORMAT binary)".encode()


def _errors_of(driver: Any) -> AbstractContextManager[None]:
    import psycopg

    return as_database_errors(psycopg.Error, broken=lambda: bool(driver.broken))


class _Received:
    """The messages of a COPY, through libpq itself: psycopg's loop takes twice as long per row."""

    def __init__(self, driver: Any, seconds: float | None, most_bytes: int) -> None:
        self.driver = driver
        self._most_bytes = most_bytes
        self._pg = driver.pgconn
        self._seconds = seconds
        self._header = True
        self.rows = 0
        self.told = -1
        self.ended = False

    def begin(self, sql: bytes) -> None:
        """Send the COPY and wait until it runs."""
        from psycopg import errors, pq

        self._pg.send_query(sql)
        while self._pg.flush():
            select.select([], [self._pg.socket], [])
        while self._pg.is_busy():
            self._wait()
        result = self._pg.get_result()
        if result.status != pq.ExecStatus.COPY_OUT:
            self._finish()
            raise errors.error_from_result(result)

    def chunk(self, rows: int) -> RowChunk:
        """Return the bytes of some rows, at most so many; sets `ended` behind the last."""
        get = self._pg.get_copy_data
        data = bytearray()
        sizes: list[int] = []
        add = sizes.append
        while len(sizes) < rows and len(data) < self._most_bytes and not self.ended:
            size = 1
            # Nothing but the row itself is looked at for each row.
            for _ in range(min(rows - len(sizes), FEW_ROWS)):
                size, message = get(1)
                if size <= 0:
                    break
                data += message
                add(size)
                if size > LARGE_ROW:
                    break
            if self._header and data:
                self._cut_header(data, sizes)
            if size == 0:
                self._wait()
            elif size < 0:
                self._end()
        ends_with_it = bool(sizes) and sizes[-1] == len(END)
        if ends_with_it and data.endswith(END):
            sizes.pop()
            del data[-len(END) :]
        self.rows += len(sizes)
        each: Positions = np.array(sizes, dtype="int64")
        return RowChunk(Buffer(data), np.cumsum(each) - each, self.ended)

    def _cut_header(self, data: bytearray, sizes: list[int]) -> None:
        if not data.startswith(SIGNATURE):
            raise SourceError("the server's COPY does not begin as its binary format does.")
        self._header = False
        del data[:HEADER_BYTES]
        sizes[0] -= HEADER_BYTES
        if not sizes[0]:  # the header came alone
            del sizes[0]

    def _wait(self) -> None:
        ready, _, _ = select.select([self._pg.socket], [], [], self._seconds)
        if not ready:
            from psycopg import errors

            raise errors.QueryCanceled(
                f"no row came within the statement time-out of {self._seconds:g} s"
            )
        self._pg.consume_input()

    def _end(self) -> None:
        from psycopg import errors, pq

        for result in self._finish():
            if result.status != pq.ExecStatus.COMMAND_OK:
                raise errors.error_from_result(result)
            self.told = int((result.command_status or b"").split()[-1])

    def _finish(self) -> list[Any]:
        self.ended = True
        return list(iter(self._pg.get_result, None))

    def cancel(self) -> None:
        """Tell the server to stop."""
        import psycopg

        with suppress(psycopg.Error):
            self.driver.cancel_safe(timeout=CANCEL_SECONDS)
