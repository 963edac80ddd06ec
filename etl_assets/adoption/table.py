"""What the table of another tool holds: its greatest replication key, and the rows there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from etl_assets.destinations.database.bookkeeping import is_bookkeeping
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.database.transaction import Transaction
from etl_assets.exceptions import ConfigError, StateError, did_you_mean
from etl_assets.model.batch import declared_schema, json_value
from etl_assets.model.bookmarks.appending import BOUNDARY, MAX_BOUNDARY_ROWS
from etl_assets.model.bookmarks.boundary import LoadedRows
from etl_assets.model.bookmarks.keys import comparable
from etl_assets.model.bookmarks.tracker import is_finite
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.model.values.arrays import rows_of
from etl_assets.model.values.scalars import FinerError
from etl_assets.naming import quote

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 100_000
NUMBERS = ("DEC", "NUM")
"""How the types of exact numbers begin."""
Side = Literal["behind", "at", "ahead", "unknown"]


@dataclass(frozen=True)
class Greatest:
    """Up to where a table has rows.

    Args:
        values: The greatest replication key, by field; empty where no row has one.
        rows: How many rows the table has.
        without: How many have NULL in the replication key.
        rows_there: Those at the greatest key, by field, without bookkeeping; empty unless asked.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    rows: int = 0
    without: int = 0
    rows_there: Sequence[Mapping[str, Any]] = ()

    def bookmark(self) -> dict[str, Any]:
        """Return it as a bookmark."""
        return {name: json_value(value) for name, value in self.values.items()}

    def side_of(self, bookmark: Mapping[str, Any]) -> Side:
        """Return where a bookmark stands as seen from the greatest key."""
        try:
            theirs = [_like(bookmark[name], value) for name, value in self.values.items()]
            mine = [_like(value, value) for value in self.values.values()]
            is_at, is_ahead = theirs == mine, theirs > mine
        except (KeyError, TypeError, ValueError, ArithmeticError, FinerError):
            return "unknown"
        if is_at:
            return "at"
        return "ahead" if is_ahead else "behind"

    def spelled(self, bookmark: Mapping[str, Any]) -> dict[str, Any]:
        """Return a bookmark whose times have no zone where the table's have none.

        Some tools write one all the same, which a column without a zone cannot be compared with.
        """
        spelled = dict(bookmark)
        for name, value in self.values.items():
            if isinstance(value, datetime) and value.utcoffset() is None and name in bookmark:
                try:
                    spelled[name] = _like(bookmark[name], value).replace(tzinfo=None).isoformat()
                except (ArithmeticError, AttributeError, FinerError, TypeError, ValueError):
                    continue  # it is no time, or none that Python has
        return spelled

    def boundary(self, stream: Stream) -> dict[str, Any]:
        """Return what a bookmark needs so that the rows at it are known when they come again."""
        key = [name for name in stream.primary_key if name not in stream.cursor]
        loaded = LoadedRows(key=key if stream.primary_key else None)
        # All of these rows are equal in the replication key.
        loaded.add(
            [
                {name: value for name, value in row.items() if name not in stream.cursor}
                for row in self.rows_there
            ]
        )
        return {BOUNDARY: loaded.to_json()}


class TableLook:
    """A table, and which of its columns are which fields of a stream.

    Args:
        tx: Where the table is.
        destination: Names the columns.
        stream: The stream.
        table: The table, which has to exist.
    """

    def __init__(
        self, tx: Transaction, destination: DatabaseDestination, stream: Stream, table: TableName
    ) -> None:
        self._tx = tx
        self._stream = stream
        self.table = table
        self._types: dict[str, pa.DataType] = {f.name: f.type for f in tx.schema(table) or ()}
        declared = declared_schema(stream)
        known = [] if declared is None else declared.names
        fields = list(dict.fromkeys([*known, *stream.primary_key, *stream.cursor]))
        self._columns = destination.column_identifiers(fields, {}, destination.own_columns)
        self._ours = set(destination.own_columns)

    def greatest(self, *, with_rows: bool) -> Greatest:
        """Return the greatest replication key.

        Args:
            with_rows: Whether the rows there are wanted too.

        Raises:
            ConfigError: The table has no column for a field of the replication key.
            StateError: No bookmark can be made of it, or too many rows have it.
        """
        columns = [self._column_of(name) for name in self._stream.cursor]
        unknown = " OR ".join(f"{quote(name)} IS NULL" for name in columns)
        rows, without = self._tx.counts(self.table, ["1 = 1", unknown])
        if rows == without:
            return Greatest(rows=rows, without=without)
        where = self._at_greatest(columns)
        there = self._tx.count(self.table, where)
        if with_rows and there > MAX_BOUNDARY_ROWS:
            raise StateError(
                f"stream {self._stream.name!r}: {there:,} rows of the table {self.table} have its "
                f"greatest replication key, and at most {MAX_BOUNDARY_ROWS:,} can be told from new "
                "ones.",
                hint="Give the stream a primary key, and they are merged.",
                stream=self._stream.name,
            )
        found = self._rows(where, with_rows=with_rows)
        values = {name: found[0][name] for name in self._stream.cursor}
        for name, value in values.items():
            if not is_finite(value):
                raise StateError(
                    f"stream {self._stream.name!r}: the greatest {name!r} of the table "
                    f"{self.table} is {value}, of which no bookmark can be made.",
                    hint="Correct that row, or choose another replication key.",
                    stream=self._stream.name,
                )
        return Greatest(values, rows, without, found if with_rows else ())

    def _column_of(self, name: str) -> str:
        column = self._columns[name]
        if column not in self._types:
            near = did_you_mean(column, [one for one in self._types if not is_bookkeeping(one)])
            raise ConfigError(
                f"stream {self._stream.name!r}: the table {self.table} has no column {column!r} "
                f"for the replication key {name!r}.",
                hint=near,
                stream=self._stream.name,
            )
        return column

    def _at_greatest(self, columns: Sequence[str]) -> str:
        """Return the condition that a row has the greatest key, column by column."""
        known = " AND ".join(f"{quote(name)} IS NOT NULL" for name in columns)
        if any(self._tx.keeps_as_text(self._types[name]) for name in columns):
            # A database may order texts by the rules of a language; replication keys are not.
            self._refuse_numbers_as_texts(columns)
            return self._at(columns, self._scanned(columns, known))
        where = known
        for name in columns:
            column = quote(name)
            greatest = f"SELECT MAX({column}) FROM {self._tx.quoted(self.table)} WHERE {where}"
            where = f"{where} AND {column} = ({greatest})"
        return where

    def _refuse_numbers_as_texts(self, columns: Sequence[str]) -> None:
        """Refuse columns of SQLite that hold numbers and are read as texts: these sort otherwise.

        Raises:
            StateError: There is one.
        """
        import pyarrow as pa

        for name in columns:
            declared = self._tx.type_names(self.table)[name]
            if pa.types.is_string(self._types[name]) and declared.upper().startswith(NUMBERS):
                raise StateError(
                    f"stream {self._stream.name!r}: the column {name!r} of the table {self.table} "
                    f"is {declared}, of which the database does not tell the greatest value.",
                    stream=self._stream.name,
                )

    def _scanned(self, columns: Sequence[str], known: str) -> tuple[Any, ...]:
        best: tuple[Any, ...] | None = None
        for chunk in self._tx.scan(self.table, known, CHUNK_ROWS, columns):
            for row in rows_of(chunk.select(columns)):
                key = tuple(row.values())
                best = key if best is None or key > best else best
        return best or ()

    def _at(self, columns: Sequence[str], values: Sequence[Any]) -> str:
        return " AND ".join(
            self._tx.among(name, self._types[name], [value])
            for name, value in zip(columns, values, strict=True)
        )

    def _rows(self, where: str, *, with_rows: bool) -> list[dict[str, Any]]:
        """Return rows by field; the replication key alone unless all of them are wanted."""
        fields = {column: name for name, column in self._columns.items()}
        columns = [self._columns[name] for name in self._stream.cursor]
        if with_rows:
            others = set(self._types) - self._ours
            columns = [name for name in self._types if name in others and not is_bookkeeping(name)]
        found: list[dict[str, Any]] = []
        for chunk in self._tx.scan(self.table, where, CHUNK_ROWS, columns):
            rows = rows_of(chunk.select(columns))
            found += [{fields.get(name, name): row[name] for name in row} for row in rows]
            if found and not with_rows:
                break
        return found


def _like(value: Any, like: Any) -> Any:
    """Return a value of a bookmark in the form of the table's.

    Other tools keep times in UTC, whether their column says so or not.
    """
    if isinstance(value, bool) and not isinstance(like, bool):
        raise TypeError("To Python true is the number 1; to a column of numbers it is none.")
    found = comparable(value, like)
    if isinstance(found, datetime):
        return found.replace(tzinfo=UTC) if found.utcoffset() is None else found.astimezone(UTC)
    return found
