"""Rows into MySQL: by LOAD DATA LOCAL INFILE from a pipe, or by INSERTs if that is not allowed."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from etl_assets.destinations.database.sql_transaction import column_list
from etl_assets.destinations.mysql.types import texts
from etl_assets.engine.casting import RefusedValueError
from etl_assets.exceptions import DestinationError
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

SLICE_ROWS = 32_768
SLICE_BYTES = 8 * 1024 * 1024
INSERT_ROWS = 500
NOT_ALLOWED = frozenset({1148, 3948, 3950, 4166})
"""What servers say to LOAD DATA LOCAL where it is switched off."""
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0"))


class Loader:
    """Puts rows into a table.

    Args:
        connection: PyMySQL's.
        local_infile: Try LOAD DATA LOCAL INFILE.
    """

    def __init__(self, connection: Any, *, local_infile: bool) -> None:
        self._connection = connection
        self._local_infile = local_infile and sys.platform != "win32"

    def load(
        self, target: str, rows: "pa.RecordBatchReader", constants: Sequence[tuple[str, Any]]
    ) -> int:
        """Insert rows, and return how many.

        Args:
            target: The table, quoted.
            rows: The rows, with the names of the columns.
            constants: More columns, each with the value that all rows get.

        Raises:
            RefusedValueError: MySQL has no such value, or the column does not take it.
        """
        import pyarrow as pa

        binary = {f.name for f in rows.schema if pa.types.is_binary(f.type)}
        count = 0
        for columns, length in _slices(rows):
            if self._local_infile and columns:
                self._infile(target, rows.schema.names, binary, columns, constants)
            if not self._local_infile or not columns:
                self._insert(target, rows.schema.names, binary, columns, constants, length)
            count += length
        return count

    def _infile(
        self,
        target: str,
        names: Sequence[str],
        binary: set[str],
        columns: "list[pa.Array]",
        constants: Sequence[tuple[str, Any]],
    ) -> None:
        import pymysql

        into, settings = [], []
        for at, name in enumerate(names):
            if name in binary:
                into.append(f"@b{at}")
                settings.append(f"{_doubled(quote(name))} = UNHEX(@b{at})")
            else:
                into.append(_doubled(quote(name)))
        settings += [f"{_doubled(quote(name))} = %s" for name, _ in constants]
        values = [value for _, value in constants]
        text, length = _lines(columns), len(columns[0])
        reading, writing = os.pipe()
        feeder = threading.Thread(target=_feed, args=(writing, text), daemon=True)
        feeder.start()
        path = f"/dev/fd/{reading}"
        setting = f" SET {', '.join(settings)}" if settings else ""
        sql = (
            f"LOAD DATA LOCAL INFILE '{path}' INTO TABLE {_doubled(target)} CHARACTER SET utf8mb4 "
            "FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n' "
            f"({', '.join(into)})"
        )
        self._connection.offered = path
        try:
            with self._connection.cursor() as cursor:
                taken = cursor.execute(sql + setting, values or [])
                self._refuse_warnings(cursor, taken, length)
        except pymysql.Error as error:
            if error.args[:1] and error.args[0] in NOT_ALLOWED:
                self._local_infile = False
                return
            raise
        finally:
            self._connection.offered = None
            os.close(reading)
            feeder.join()

    def _refuse_warnings(self, cursor: Any, taken: int, sent: int) -> None:
        """Make an error of a warning.

        LOAD DATA LOCAL changes what does not fit, and drops what comes twice, with no more than a
        warning.
        """
        if cursor.warning_count:
            cursor.execute("SHOW WARNINGS")
            found = cursor.fetchall()
            message = str(found[0][2]) if found else "a value was changed"
            raise RefusedValueError(
                _column_of(message), f"MySQL would change a value: {_shown(message)}."
            )
        if taken != sent:
            raise DestinationError(f"MySQL took {taken} rows of {sent}.")

    def _insert(
        self,
        target: str,
        names: Sequence[str],
        binary: set[str],
        columns: "list[pa.Array]",
        constants: Sequence[tuple[str, Any]],
        length: int,
    ) -> None:
        marks = ["UNHEX(%s)" if name in binary else "%s" for name in names]
        marks += ["%s"] * len(constants)
        row = f"({', '.join(marks)})"
        all_names = column_list([*names, *(name for name, _ in constants)])
        own = [value for _, value in constants]
        lists = [column.to_pylist() for column in columns]
        values = list(zip(*lists, strict=True)) if lists else [()] * length
        for start in range(0, length, INSERT_ROWS):
            some = values[start : start + INSERT_ROWS]
            bound: list[Any] = []
            for values_of_row in some:
                bound += [*values_of_row, *own]
            into = f"{_doubled(target)} ({_doubled(all_names)})"
            with self._connection.cursor() as cursor:
                sql = f"INSERT INTO {into} VALUES {', '.join([row] * len(some))}"
                cursor.execute(sql, bound)


def _slices(rows: "pa.RecordBatchReader") -> "Iterator[tuple[list[pa.Array], int]]":
    for batch in rows:
        per_row = max(1, batch.nbytes // max(1, batch.num_rows))
        step = max(1, min(SLICE_ROWS, SLICE_BYTES // per_row))
        for start in range(0, batch.num_rows, step):
            some = batch.slice(start, step)
            yield (
                [texts(some.column(at), name) for at, name in enumerate(some.schema.names)],
                some.num_rows,
            )


def _lines(columns: "list[pa.Array]") -> memoryview:
    """Return rows as LOAD DATA reads them.

    Each is a line with tabs between the cells; what would mean something else has a backslash.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = []
    for column in columns:
        escaped = column.cast(pa.large_string())
        for written, spelling in _ESCAPES:
            escaped = pc.replace_substring(escaped, written, spelling)
        cells.append(pc.fill_null(escaped, "\\N"))
    cells[-1] = pc.binary_join_element_wise(
        cells[-1], pa.scalar("\n", pa.large_string()), pa.scalar("", pa.large_string())
    )
    joined = pc.binary_join_element_wise(*cells, pa.scalar("\t", pa.large_string()))
    return memoryview(joined.buffers()[2])


def _feed(pipe: int, text: memoryview) -> None:
    with suppress(BrokenPipeError), open(pipe, "wb", buffering=0) as sink:
        at = 0
        while at < len(text):
            at += sink.write(text[at : at + (1 << 16)])


def _column_of(message: str) -> str | None:
    """Return the column that a warning names, as `'db.table.column'` or without its table."""
    named = message.partition("for column ")[2].split(" at row ")[0].strip("'`\"")
    return named.rsplit(".", 1)[-1].strip('`"') or None


def _shown(message: str) -> str:
    """Return a warning without the value in it."""
    return message.split(": ", maxsplit=1)[0].split(" '", maxsplit=1)[0]


def _doubled(sql: str) -> str:
    return sql.replace("%", "%%")
