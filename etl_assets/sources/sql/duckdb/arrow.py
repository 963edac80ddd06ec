"""DuckDB's rows as Arrow, of all types: those that its own Arrow would change come as texts."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.refused import Refusals
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, json_type
from etl_assets.model.values.arrays import decimals_of_texts
from etl_assets.model.values.duckdb_values import WHOLE, readable
from etl_assets.sources.sql.errors import as_database_errors
from etl_assets.sources.sql.rows import field_metadata

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

    from etl_assets.sources.sql.connection import Snapshot
    from etl_assets.sources.sql.reflection import SqlColumn

_INFINITE_NS = 2**63 - 1


def shown(column: "SqlColumn") -> Any:
    """Return what is selected of a column for Arrow."""
    import sqlalchemy as sa

    cast = readable(column.declared)
    if cast is None:
        return column.expression
    return column.expression.op("::")(sa.literal_column(cast))


def tables(
    snapshot: "Snapshot",
    statement: "sa.Select[Any]",
    columns: "Sequence[SqlColumn]",
    *,
    stream: str,
    batch_rows: int,
    refusals: Refusals,
) -> "Iterator[pa.Table]":
    """Yield a statement's rows as Arrow tables.

    At least one, which says the types where there are no rows.

    What has no place in Arrow goes to `refusals`, with stream, field and value.
    """
    import pyarrow as pa

    readers = [_Column(column, stream) for column in columns]
    empty = True
    with _driver_errors(), snapshot.timed():
        reader = _lazily(snapshot, statement).to_arrow_reader(batch_rows)
    try:
        while True:
            with _driver_errors(), snapshot.timed():
                batch = next(reader, None)
            if batch is None:
                break
            if batch.num_rows:
                empty = False
                yield _table(readers, batch, refusals)
        if empty:
            yield _table(readers, pa.RecordBatch.from_pylist([], schema=reader.schema), refusals)
    finally:
        reader.close()


def _lazily(snapshot: "Snapshot", statement: "sa.Select[Any]") -> Any:
    """Return a result that keeps no rows in memory.

    With parameters, DuckDB 1 keeps the rows of a relation, and DuckDB 2 those of the other kinds of
    result.
    """
    import duckdb

    compiled = statement.compile(dialect=snapshot.connection.dialect)
    values = compiled.construct_params()
    driver: Any = snapshot.connection.connection.driver_connection
    given = [values[name] for name in compiled.positiontup or ()]
    if not given:
        return driver.sql(str(compiled))
    if duckdb.__version__.startswith("1."):
        return driver.execute(str(compiled), given)
    return driver.sql(str(compiled), params=given)


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Yield DuckDB's errors, which come through Arrow's reader as Arrow's, one form."""
    import duckdb
    import pyarrow as pa

    with as_database_errors(duckdb.Error):
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise duckdb.Error(str(error)) from error


def _table(readers: "Sequence[_Column]", batch: "pa.RecordBatch", refusals: Refusals) -> "pa.Table":
    import pyarrow as pa

    arrays = [
        refusals.read(reader.read, batch.column(index)) for index, reader in enumerate(readers)
    ]
    fields = [
        reader.field.with_type(array.type) for reader, array in zip(readers, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


class _Column:
    """Gives the values of one column their type, batch by batch."""

    def __init__(self, column: "SqlColumn", stream: str) -> None:
        import pyarrow as pa

        self.field = pa.field(column.name, pa.null(), metadata=field_metadata(column))
        self._type = column.type
        self._stream = stream
        self._is_whole = str(column.declared.id) in WHOLE
        self._is_ns = str(column.declared.id) == "timestamp_ns"

    def read(self, array: "pa.Array") -> "pa.Array":
        import pyarrow as pa

        if self._type.kind == "json" and pa.types.is_string(array.type):
            return pa.ExtensionArray.from_storage(json_type(), array)
        if self._is_whole:
            return self._numbers(array)
        if self._is_ns:
            self._refuse_infinity(array)
        return array

    def _numbers(self, texts: "pa.Array") -> "pa.Array":
        """Return decimals; from the first number with too many digits for them on, return texts."""
        import pyarrow as pa

        try:
            return decimals_of_texts(texts, pa.decimal128(MAX_DECIMAL_DIGITS, 0))
        except pa.ArrowInvalid:
            self._is_whole = False
            return texts

    def _refuse_infinity(self, array: "pa.Array") -> None:
        """Refuse what DuckDB takes for infinity, and no other database does.

        It is the greatest and the smallest number of nanoseconds.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        ends = pc.min_max(array.cast(pa.int64())).as_py()
        for value, word in ((ends["max"], "infinity"), (ends["min"], "-infinity")):
            if value is not None and abs(value) == _INFINITE_NS:
                raise DataError(
                    "is no moment that could be stored.",
                    stream=self._stream,
                    field=self.field.name,
                    value=word,
                    hint="Select NULL in its place, by a query.",
                )
