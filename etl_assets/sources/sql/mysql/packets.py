"""A MySQL query, read from the packets of its rows.

That is many times as fast as rows of Python values, and as exact.
"""

import struct
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_assets.model.refused import Refusals
from etl_assets.sources.sql.chunks import Assembly, RowChunk, checked
from etl_assets.sources.sql.connection import Snapshot
from etl_assets.sources.sql.errors import as_database_errors
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.slices import CHUNK_BYTES, Buffer, Nulls, Positions, chunk_bytes
from etl_assets.sources.sql.text_reader import TextReader

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

HEADER_BYTES = 4
LONGEST_PACKET = 0xFFFFFF
"""A packet of this length goes on in the next one."""
NULL, TWO_BYTES, THREE_BYTES, EIGHT_BYTES, ERROR = 0xFB, 0xFC, 0xFD, 0xFE, 0xFF
END_BYTES = 9
"""A packet that begins as a length of eight bytes and is shorter than this ends the rows."""


def can_read(snapshot: Snapshot, columns: Sequence[SqlColumn]) -> bool:
    """Return whether this route is open.

    It takes PyMySQL, and columns whose types are all known beforehand.
    """
    dialect = snapshot.connection.dialect
    return dialect.driver == "pymysql" and all(column.type.kind != "any" for column in columns)


class Packets:
    """One query through one unbuffered cursor, batch by batch.

    PyMySQL sends the query and reads the columns; the rows are read from its socket's file.

    Args:
        snapshot: An open connection of PyMySQL.
        statement: Selects `columns`.
        columns: What is selected.
        stream: For errors.
        batch_rows: Rows of a batch at most; large rows make smaller batches.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        statement: "sa.Select[Any]",
        columns: Sequence[SqlColumn],
        *,
        stream: str,
        batch_rows: int,
        refusals: Refusals,
    ) -> None:
        self._snapshot = snapshot
        self._statement = statement
        self._columns = columns
        self._stream = stream
        self._batch_rows = batch_rows
        self._refusals = refusals
        self._readers = [
            TextReader(column.type, dialect=snapshot.dialect, stream=stream, field=column.name)
            for column in columns
        ]
        self._data = bytearray()

    def batches(self) -> "Iterator[pa.Table]":
        """Yield the rows as Arrow tables.

        At least one, which says the types where there are no rows.

        Raises:
            DataError: A value cannot be read exactly.
            sqlalchemy.exc.DBAPIError: The database failed.
        """
        driver: Any = self._snapshot.connection.connection.driver_connection
        with closing(self._asked(driver)) as line:
            assembly = Assembly(
                columns=self._columns,
                receive=lambda rows: self._chunk(line, rows),
                decode=self._decode,
                finish=self._finish,
                empty_type=lambda index: self._readers[index].empty_type(),
                refusals=self._refusals,
            )
            yield from assembly.tables(self._batch_rows)
            line.give_back()

    def _asked(self, driver: Any) -> "_Line":
        """Send the query and read the columns; gives the line on which the rows come."""
        from pymysql.cursors import SSCursor

        cursor = SSCursor(driver)
        try:
            with _errors_of(driver):
                compiled = self._statement.compile(dialect=self._snapshot.connection.dialect)
                cursor.execute(str(compiled), compiled.construct_params())
        finally:
            _forget(driver, cursor)
        return _Line(driver)

    def _chunk(self, line: "_Line", rows: int) -> RowChunk:
        """Return the payloads of some rows."""
        begin: list[int] = []
        add, header = begin.append, struct.Struct("<I").unpack_from
        data, at, known = self._data, 0, len(self._data)
        last, most_bytes = False, chunk_bytes(len(self._columns))
        while len(begin) < rows and at < most_bytes:
            if (
                at + HEADER_BYTES > known
                or (end := at + HEADER_BYTES + (header(data, at)[0] & LONGEST_PACKET)) > known
            ):
                known = self._receive(line)
                continue
            first, size = data[at + HEADER_BYTES], end - at - HEADER_BYTES
            if first == ERROR or (first == EIGHT_BYTES and size < END_BYTES):
                self._end(data[at + HEADER_BYTES : end], failed=first == ERROR)
                last = True
                break
            if size == LONGEST_PACKET:
                end = self._joined(line, at)
                known = len(data)
            add(at + HEADER_BYTES)
            at = end
        self._data = data[at:]
        del data[at:]
        return RowChunk(Buffer(data), np.array(begin, np.int64), last)

    def _receive(self, line: "_Line") -> int:
        """Read what is there, at least a byte; gives how many bytes wait now."""
        from pymysql.constants import CR
        from pymysql.err import OperationalError

        with _errors_of(None):
            try:
                found = line.read()
            except OSError as error:
                raise OperationalError(
                    CR.CR_SERVER_LOST, f"Lost connection to MySQL server: {error}"
                ) from error
            if not found:
                raise OperationalError(
                    CR.CR_SERVER_LOST, "Lost connection to MySQL server during query"
                )
        self._data += found
        return len(self._data)

    def _joined(self, line: "_Line", at: int) -> int:
        """Join the packets of a row that is longer than one; gives where it ends."""
        data = self._data
        end = at + HEADER_BYTES + LONGEST_PACKET
        size = LONGEST_PACKET
        while size == LONGEST_PACKET:
            while len(data) < end + HEADER_BYTES:
                self._receive(line)
            size = int.from_bytes(data[end : end + 3], "little")
            while len(data) < end + HEADER_BYTES + size:
                self._receive(line)
            del data[end : end + HEADER_BYTES]
            end += size
        return end

    def _end(self, payload: bytearray, *, failed: bool) -> None:
        from pymysql.err import raise_mysql_exception

        if failed:
            with _errors_of(None):
                raise_mysql_exception(bytes(payload))

    def _decode(self, buffer: Buffer, begin: Positions) -> "list[pa.Array]":
        import pyarrow as pa

        at, arrays = begin, []
        for column in self._columns:
            null, length, at = _lengths(buffer, at)
            type_ = pa.binary() if column.type.kind == "binary" else pa.string()
            arrays.append(buffer.texts(at, length, null, type_))
            at = at + length
        return arrays

    def _finish(self, index: int, texts: "pa.Array") -> "pa.Array":
        import pyarrow as pa

        array = self._readers[index].read_texts(texts)
        if pa.types.is_string(array.type):
            checked(array, stream=self._stream, field=self._columns[index].name)
        return array


class _Line:
    """The line to the server while rows come on it: nobody else can talk or listen there.

    A read that is dropped may be collected in any order, and SQLAlchemy would roll back on the line
    first: PyMySQL would take what is left of a row for the length of an answer, and wait for that.
        So it has no line as long as rows
    come, and nothing to roll back: the server does that when the line is cut.

    Args:
        driver: The open connection of PyMySQL; it is given its line back, or none.
    """

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self._socket, self._file = driver._sock, driver._rfile  # noqa: SLF001 - it has no other way to its bytes
        driver._sock = driver._rfile = None  # noqa: SLF001
        driver.rollback = _nothing

    def read(self) -> bytes:
        """Read what is there, at least a byte; none where the server has hung up."""
        found: bytes = self._file.read1(CHUNK_BYTES // 8)
        return found

    def give_back(self) -> None:
        """Give the line back behind the last row."""
        self._driver._sock, self._driver._rfile = self._socket, self._file  # noqa: SLF001
        del self._driver.rollback
        self._socket = self._file = None

    def close(self) -> None:
        """Hang up, unless the line was given back.

        The protocol has no word for "stop": the server notices that nobody listens any more.
        """
        if self._socket is None:
            return
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)
        for one in (self._file, self._socket):
            with suppress(OSError):
                one.close()


def _nothing() -> None:
    """Do nothing."""


def _lengths(buffer: Buffer, at: Positions) -> "tuple[Nulls, Positions, Positions]":
    """Return which values are NULL, how long each is, and where it begins."""
    head = np.frombuffer(buffer.data, np.uint8)[at].astype(np.int64)
    if head.max(initial=0) < NULL:
        return None, head, at + 1
    null = head == NULL
    length, skipped = np.where(null, 0, head), np.ones(len(at), np.int64)
    for code, type_, mask in (
        (TWO_BYTES, "<u2", None),
        (THREE_BYTES, "<u4", LONGEST_PACKET),
        (EIGHT_BYTES, "<u8", None),
    ):
        rows = np.flatnonzero(head == code)
        if len(rows):
            found = buffer.records(type_, at[rows] + 1).astype(np.int64)
            length[rows] = found if mask is None else found & mask
            skipped[rows] += {TWO_BYTES: 2, THREE_BYTES: 3, EIGHT_BYTES: 8}[code]
    nulls = null if null.any() else None
    return nulls, length, at + skipped


def _forget(driver: Any, cursor: Any) -> None:
    """Have PyMySQL not look for the rows that were read here.

    It would when the cursor is collected.
    """
    result = cursor._result  # noqa: SLF001 - the other half of reading its bytes
    if result is not None:
        result.unbuffered_active, result.has_next, result.connection = False, False, None
    driver._result = None  # noqa: SLF001
    cursor.connection = None


def _errors_of(driver: Any) -> AbstractContextManager[None]:
    import pymysql

    return as_database_errors(pymysql.Error, broken=lambda: driver is not None and not driver.open)
