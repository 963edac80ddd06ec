"""Some records of one stream in one encoding, converted at most once."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union

from etl_assets.exceptions import ArgumentTypeError, ConfigError, DataError
from etl_assets.model.encoded import Encoded
from etl_assets.model.schema.json_schema import to_arrow
from etl_assets.model.selection import column_selector
from etl_assets.model.values.arrays import array_of
from etl_assets.model.values.arrow_columns import (
    as_declared,
    normalised,
    refuse_equal_names,
    refuse_wide_cursor,
)
from etl_assets.model.values.columns import columns_of, rows_to_arrow, to_array

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.model.contract import Rejection
    from etl_assets.model.refused import Refusal
    from etl_assets.model.stream import Stream

Value = TypeVar("Value")
Encoding = Literal["rows", "arrow"]
"""How a destination wants its batches.

What a source has left encoded (`Batch.encoded`) is decoded for both.
"""
Emitted = Union[list[Any], "pa.Array", "pa.ChunkedArray"]
"""When records were emitted: what their source says, or Arrow's integers where it is those."""


class Batch:
    """Some records of one stream, and the bookmark that covers them where the source knows one.

    Args:
        records: A list of dicts, a pandas DataFrame, anything with the Arrow C stream or array
            interface (pyarrow, polars, DuckDB, ...), or the bytes of a database's own format.
        bookmark: Makes this batch a checkpoint: everything up to and with this batch is covered by
            it.
        expected: About how many records the whole read is going to have, those before this batch
            included; to be shown, not relied on. A source that knows it says it once.
        fingerprint: On the last batch: what the source says of all that is at and after the
            bookmark which this read has reached. The next read from there is told it.
        settled: Of an ordered read: rows whose first replication key is above this value may still
            be joined by others below them, so no bookmark may cover them. A value as Python has it.
        remark: What people should know of this read: a sentence for the run's log, as a warning.
        refused: By the row's index, values that could not be read, with NULL in their places. Until
            a schema contract has taken note of them (`accepted`), every way to the records raises
            the first one's error.

    Raises:
        TypeError: `records` is none of these.
    """

    def __init__(
        self,
        records: Any,
        *,
        bookmark: Mapping[str, Any] | None = None,
        expected: int | None = None,
        fingerprint: str | None = None,
        settled: Any = None,
        remark: str | None = None,
        refused: "Mapping[int, Sequence[Refusal]] | None" = None,
    ) -> None:
        self.remark, self.bookmark = remark, bookmark
        self.refused = refused or {}
        self.settled = settled
        self.expected = expected
        self.fingerprint = fingerprint
        self.encoding: Encoding
        self._rows: Sequence[Mapping[str, Any]] | None = None
        self._table: pa.Table | None = None
        self._encoded: Encoded | None = None
        self._normal = False
        self.texts_are_known = False
        """Whether the source has checked that all texts of its Arrow are UTF-8, and all JSON is."""
        self.left_out: tuple[str, ...] = ()
        """Once converted: columns that neither the stream's schema nor its selection names."""
        self.rejections: Mapping[int, Sequence[Rejection]] = {}
        """What a schema contract has found wrong, by the row's index."""
        self.emitted: Emitted | None = None
        """When the source emitted each record, in milliseconds since 1970, where it says so."""
        self.meta: Mapping[int, Any] = {}
        """What the source says of a record, such as the values it has changed, by row index."""
        if isinstance(records, Mapping):
            records = [records]
        if isinstance(records, list | tuple):
            self.encoding, self._rows = "rows", _checked_rows(records)
        elif isinstance(records, Encoded):
            self.encoding, self._encoded = "arrow", records
        else:
            self.encoding, self._table = "arrow", _as_table(records)

    def __len__(self) -> int:
        if self._rows is not None:
            return len(self._rows)
        if self._encoded is not None:
            return len(self._encoded)
        return int(self._arrow.num_rows)

    @property
    def _arrow(self) -> "pa.Table":
        if self._table is None and self._encoded is not None:
            self._table = self._encoded.table()
        if self._table is None:
            raise AssertionError("a batch holds rows, a table or bytes")
        return self._table

    @property
    def has_columns_only(self) -> bool:
        """Whether there are columns, but no record."""
        if len(self) or self._rows is not None or self._table is None:
            return False
        return bool(self._table.num_columns)

    def __repr__(self) -> str:
        bookmark = "yes" if self.bookmark else "no"
        return f"Batch({len(self)} records, {self.encoding}, bookmark={bookmark})"

    def head(self, rows: int) -> "Batch":
        """Return the first `rows` records; a cut batch is no checkpoint."""
        if rows >= len(self):
            return self
        cut = self.slice(0, rows)
        cut.remark = self.remark
        return cut

    def slice(self, start: int, stop: int) -> "Batch":
        """Return the records from `start` up to `stop`, without a bookmark."""
        if self._rows is not None:
            made = Batch(self._rows[start:stop], settled=self.settled)
        else:
            made = Batch(self._arrow.slice(start, stop - start), settled=self.settled)
        made.texts_are_known = self.texts_are_known or self._encoded is not None
        if self.emitted is not None:
            made.emitted = self.emitted[start:stop]
        made.meta = _shifted(self.meta, start, stop)
        made.refused = _shifted(self.refused, start, stop)
        return made

    def accepted(self) -> "Batch":
        """Return this batch without its refused values, for a caller that has recorded them."""
        if not self.refused:
            return self
        records = self._rows if self._rows is not None else self._arrow
        made = Batch(records, bookmark=self.bookmark, settled=self.settled)
        made.emitted, made.meta = self.emitted, self.meta
        return made

    def _refuse(self) -> None:
        if self.refused:
            raise self.refused[min(self.refused)][0].error()

    def keep(self, mask: Sequence[bool]) -> "Batch":
        """Return the records where the mask is true, with this batch's bookmark."""
        if self._rows is None:
            table = self._arrow.filter(_mask(mask))
            kept = Batch(table, bookmark=self.bookmark, settled=self.settled)
            kept._normal, kept.texts_are_known = self._normal, self.texts_are_known
        else:
            kept = Batch(_kept(self._rows, mask), bookmark=self.bookmark, settled=self.settled)
            if self._table is not None:
                kept._table, kept._normal = self._table.filter(_mask(mask)), self._normal
        if isinstance(self.emitted, list):
            kept.emitted = _kept(self.emitted, mask)
        elif self.emitted is not None:
            kept.emitted = self.emitted.filter(_mask(mask))
        if self.rejections or self.meta or self.refused:
            old_places = _kept(range(len(mask)), mask)
            places = {old: new for new, old in enumerate(old_places)}
            kept.rejections = _moved(self.rejections, places)
            kept.meta = _moved(self.meta, places)
            kept.refused = _moved(self.refused, places)
        return kept

    def screened(
        self, table: "pa.Table", rejections: Mapping[int, Sequence["Rejection"]]
    ) -> "Batch":
        """Return this batch with its records as a table, and with what was found wrong in them."""
        records = self._rows if self._rows is not None else table
        made = Batch(records, bookmark=self.bookmark, settled=self.settled)
        made._table, made._normal, made.rejections = table, True, rejections
        made.emitted, made.meta = self.emitted, self.meta
        return made

    @property
    def rows(self) -> Sequence[Mapping[str, Any]] | None:
        """The records as the source gave them, if it gave rows."""
        self._refuse()
        return self._rows

    def columns(self, stream: "Stream") -> "dict[str, list[Any] | pa.ChunkedArray]":
        """Return the selected columns as they came, before any conversion.

        Where rows came, the declared columns are first.

        Raises:
            DataError: Two columns have one name, or a name is no text.
        """
        self._refuse()
        found: Mapping[str, Any]
        if self._rows is not None:
            found = columns_of(self._rows, declared_schema(stream), stream=stream.name)
        else:
            refuse_equal_names(self._arrow, stream.name)
            found = {name: self._arrow.column(name) for name in self._arrow.column_names}
        selects = column_selector(stream)
        return {name: values for name, values in found.items() if selects(name)}

    def record(self, index: int, stream: "Stream") -> dict[str, Any]:
        """Return the selected fields of one record."""
        self._refuse()
        if self._rows is not None:
            row = self._rows[index]
        else:
            from etl_assets.model.rows import python_rows

            row = python_rows(self._arrow.slice(index, 1), stream.name)[0]
        selects = column_selector(stream)
        return {name: value for name, value in row.items() if selects(name)}

    @property
    def converted(self) -> bool:
        """Whether the Arrow table is at hand."""
        return self._table is not None

    def to_arrow(self, stream: "Stream") -> "pa.Table":
        """Return the records as an Arrow table with logical types.

        Where the stream has a schema, its types are those.

        Raises:
            DataError: A value cannot be stored exactly.
        """
        self._refuse()
        if self._normal:
            return self._arrow
        table = self._converted(declared_schema(stream), stream)
        self._table = table.select(self._selected(stream, table.column_names))
        self._normal = True
        return self._table

    def _converted(self, declared: "pa.Schema | None", stream: "Stream") -> "pa.Table":
        known = self.texts_are_known or self._encoded is not None
        try:
            if self._rows is not None and self._table is None:
                return rows_to_arrow(self._rows, declared, stream=stream.name)
            refuse_wide_cursor(self._arrow, stream.cursor, stream.name)
            table = normalised(self._arrow, stream.name, texts_are_known=known)
            return as_declared(table, declared, stream.name)
        except DataError as error:
            if not stream.disable_column_type_check:
                raise
            if declared is None or error.field not in declared.names:
                raise
            # Nobody vouches for what is declared: the values say what the column is, and it grows
            # with them.
            return self._converted(declared.remove(declared.get_field_index(error.field)), stream)

    def encoded(self, stream: "Stream") -> Encoded | None:
        """Return the records in the bytes they came in, or None.

        They are of use where `to_arrow` would give the same columns and types.
        """
        self._refuse()
        if self._encoded is None or self._normal:
            return None
        schema = self._encoded.schema
        wanted = Batch(schema.empty_table()).to_arrow(stream).schema
        return self._encoded if wanted.equals(schema) else None

    def some(
        self,
        stream: "Stream",
        names: Sequence[str] | None = None,
        rows: Sequence[int] | None = None,
    ) -> "pa.Table":
        """Return a part of what `to_arrow` gives, and decode no more than that.

        Args:
            stream: The stream.
            names: The columns, as far as they are there; all by default.
            rows: Numbers of records, in rising order; all by default.
        """
        encoded = self.encoded(stream)
        if encoded is not None:
            return encoded.table(names) if rows is None else encoded.take(rows, names)
        table = self.to_arrow(stream)
        if names is not None:
            table = table.select([name for name in names if name in table.column_names])
        if rows is None:
            return table
        import pyarrow as pa

        return table.take(array_of(rows, pa.int64()))

    def _selected(self, stream: "Stream", names: Iterable[str]) -> list[str]:
        declared = (stream.schema or {}).get("properties") or {}
        selects = column_selector(stream)
        chosen = {name: selects(name) for name in names}
        if declared:
            left_out = [name for name, is_selected in chosen.items() if not is_selected]
            unknown = [name for name in left_out if name not in declared]
            self.left_out = tuple(dict.fromkeys((*self.left_out, *unknown)))
        return [name for name, is_selected in chosen.items() if is_selected]

    def to_python(self, stream: "Stream") -> dict[str, list[Any]]:
        """Return the columns of an Arrow batch as Python's values, in the schema's order.

        Raises:
            DataError: A JSON text of a column has a key twice in one object.
        """
        from etl_assets.model.rows import python_columns

        table = self.to_arrow(stream)
        columns = python_columns(table, stream.name)
        names = dict.fromkeys((stream.schema or {}).get("properties") or {})
        names.update(dict.fromkeys(columns))
        missing = [None] * table.num_rows
        return {name: columns.get(name, missing) for name in self._selected(stream, names)}

    def to_rows(self, stream: "Stream", *, native_types: bool = False) -> list[dict[str, Any]]:
        """Return the records as dicts that all have the same keys, in the schema's order.

        A missing value is None.

        Args:
            stream: Whose schema orders the keys.
            native_types: Leave dates, times and bytes as Python's own; else they become JSON values
                (ISO 8601 text, base64). Decimals stay `Decimal`.

        Raises:
            DataError: A JSON text of a column has a key twice in one object.
        """
        self._refuse()
        rows = self._rows
        if rows is None:
            columns = self.to_python(stream)
            if not native_types:
                columns = {name: list(map(json_value, column)) for name, column in columns.items()}
            if not columns:
                return [{} for _ in range(len(self))]
            values = zip(*columns.values(), strict=True)
            return [dict(zip(columns, row, strict=True)) for row in values]
        names = dict.fromkeys((stream.schema or {}).get("properties") or {})
        for row in rows:
            names.update(dict.fromkeys(row))
        names = dict.fromkeys(self._selected(stream, names))
        if native_types:
            return [{name: row.get(name) for name in names} for row in rows]
        return [{name: json_value(row.get(name)) for name in names} for row in rows]


def _checked_rows(records: Sequence[Any]) -> Sequence[Mapping[str, Any]]:
    wrong = next((kind for kind in set(map(type, records)) if not issubclass(kind, Mapping)), None)
    if wrong is not None:
        raise TypeError(f"A row must be a dict, not a {wrong.__name__}.")
    return records


def _mask(mask: Sequence[bool]) -> "pa.Array | pa.ChunkedArray":
    import pyarrow as pa

    return array_of(mask, pa.bool_())


def _kept(values: Sequence[Value], mask: Sequence[bool]) -> list[Value]:
    return [value for value, keep in zip(values, mask, strict=True) if keep]


def _shifted(by_row: Mapping[int, Value], start: int, stop: int) -> dict[int, Value]:
    """Return what is said of the rows from `start` up to `stop`, by their places in that slice."""
    return {row - start: said for row, said in by_row.items() if start <= row < stop}


def _moved(by_row: Mapping[int, Value], places: Mapping[int, int]) -> dict[int, Value]:
    """Return what is said of rows by their new places; rows without one are gone."""
    return {places[row]: said for row, said in by_row.items() if row in places}


def declared_schema(stream: "Stream") -> "pa.Schema | None":
    """Return the Arrow schema a stream declares, cut to its selected columns, or None.

    Raises:
        ConfigError: Its schema cannot be read; names stream and property.
    """
    if not stream.schema or not stream.schema.get("properties"):
        return None
    return stream.remembered("declared", lambda: _declared(stream))


def _declared(stream: "Stream") -> "pa.Schema":
    import pyarrow as pa

    try:
        declared, selects = to_arrow(stream.schema or {}), column_selector(stream)
    except ConfigError as error:
        raise ConfigError(
            f"stream {stream.name!r}: {error.message}", hint=error.hint, stream=stream.name
        ) from error
    return pa.schema([field for field in declared if selects(field.name)])


def column_to_arrow(
    values: "list[Any] | pa.ChunkedArray",
    declared: "pa.DataType | None",
    *,
    stream: str,
    field: str,
) -> "pa.Array | pa.ChunkedArray":
    """Return one column of a batch, of values or of Arrow's, as `Batch.to_arrow` would.

    Raises:
        DataError: A value cannot be stored exactly.
    """
    import pyarrow as pa

    if isinstance(values, list):
        return to_array(values, declared, stream=stream, field=field)
    wanted = None if declared is None else pa.schema([(field, declared)])
    return as_declared(normalised(pa.table({field: values}), stream), wanted, stream).column(0)


def batches_of(item: Any) -> Iterator[Batch]:
    """Yield what a source yielded as batches; a reader of many record batches stays lazy."""
    if isinstance(item, Batch):
        yield item
    elif not isinstance(item, list) and _is_reader(item):
        for record_batch in item:
            yield Batch(record_batch)
    else:
        yield Batch(item)


@contextmanager
def frames_of(stream: str) -> Iterator[None]:
    """Name the stream in errors about DataFrames, which were made before it was known."""
    try:
        yield
    except DataError as error:
        from etl_assets.model.values.dataframes import UNNAMED

        if error.stream == UNNAMED:
            error.rename(stream)
        raise


def _is_reader(item: Any) -> bool:
    import pyarrow as pa

    return isinstance(item, pa.RecordBatchReader)


def json_value(value: Any) -> Any:
    """Return a value as Mage sends it.

    Dates and times become ISO 8601 texts and bytes base64; a `Decimal` stays one.
    """
    if value is None or type(value) in {str, int, float, bool}:
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return value


def _as_table(records: Any) -> "pa.Table":
    import pyarrow as pa

    if isinstance(records, pa.Table):
        return records
    if isinstance(records, pa.RecordBatch):
        return pa.Table.from_batches([records])
    from etl_assets.model.values.dataframes import is_pandas, table_of
    from etl_assets.model.values.duckdb_values import is_relation, table_of_relation
    from etl_assets.model.values.polars_frames import is_polars, table_of_polars

    if is_pandas(records):
        return table_of(records)
    if is_polars(records):
        return table_of_polars(records)
    if is_relation(records):
        return table_of_relation(records)
    if hasattr(records, "__arrow_c_stream__") or hasattr(records, "__arrow_c_array__"):
        return pa.table(records)
    raise ArgumentTypeError(
        f"A batch cannot be a {type(records).__name__}: give a list of dicts, a DataFrame, or "
        "anything with the Arrow C stream or array interface."
    )
