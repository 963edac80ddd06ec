"""Some records of one stream in one encoding, converted at most once."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal

from etl_assets.exceptions import ArgumentTypeError, ConfigError, DataError
from etl_assets.model.contract import Rejection
from etl_assets.model.encoded import Encoded
from etl_assets.model.json.lines import exact_decoder, exact_json
from etl_assets.model.json.repeated_keys import refuse_repeats
from etl_assets.model.schema.json_schema import to_arrow
from etl_assets.model.schema.types import is_json
from etl_assets.model.selection import column_selector
from etl_assets.model.stream import Stream
from etl_assets.model.values.arrays import array_of
from etl_assets.model.values.arrow_columns import (
    as_declared,
    normalised,
    refuse_equal_names,
    refuse_wide_cursor,
)
from etl_assets.model.values.columns import columns_of, rows_to_arrow, to_array
from etl_assets.model.values.dataframes import UNNAMED, is_pandas, table_of
from etl_assets.model.values.duckdb_values import is_relation, table_of_relation
from etl_assets.model.values.polars_frames import is_polars, table_of_polars

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.model.refused import Refusal

Encoding = Literal["rows", "arrow"]
"""How a destination wants its batches.

What a source has left encoded (`Batch.encoded`) is decoded for both.
"""


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
        """Whether the source has seen that all texts of its Arrow are UTF-8, and all JSON is JSON."""
        self.left_out: tuple[str, ...] = ()
        """Columns that the stream's schema does not name and its selection does not take, once converted."""
        self.rejections: Mapping[int, Sequence[Rejection]] = {}
        """What a schema contract has found wrong, by the row's index."""
        self.emitted: list[Any] | None = None
        """When the source emitted each record, in milliseconds since 1970, where it says so."""
        self.meta: Mapping[int, Any] = {}
        """What the source says of a record, such as which values it has changed, by the row's index."""
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
        return len(self._encoded) if self._encoded is not None else int(self._arrow.num_rows)

    @property
    def _arrow(self) -> "pa.Table":
        if self._table is None and self._encoded is not None:
            self._table = self._encoded.table()
        if self._table is None:
            raise AssertionError("a batch holds rows, a table or bytes")
        return self._table

    @property
    def has_columns_only(self) -> bool:
        """Whether there is no record, but a schema: the columns of one that had some."""
        return (
            not len(self)
            and self._table is not None
            and self._rows is None
            and bool(self._table.num_columns)
        )

    def __repr__(self) -> str:
        return f"Batch({len(self)} records, {self.encoding}, bookmark={'yes' if self.bookmark else 'no'})"

    def head(self, rows: int) -> "Batch":
        """Return the first `rows` records; a cut batch is no checkpoint."""
        if rows >= len(self):
            return self
        cut = self.slice(0, rows)
        cut.remark = self.remark
        return cut

    def slice(self, start: int, stop: int) -> "Batch":
        """Return the records from `start` up to `stop`, without a bookmark."""
        records = (
            self._rows[start:stop]
            if self._rows is not None
            else self._arrow.slice(start, stop - start)
        )
        made = Batch(records, settled=self.settled)
        made.texts_are_known = self.texts_are_known or self._encoded is not None
        if self.emitted is not None:
            made.emitted = self.emitted[start:stop]
        made.meta = {row - start: said for row, said in self.meta.items() if start <= row < stop}
        made.refused = {
            row - start: said for row, said in self.refused.items() if start <= row < stop
        }
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
            kept = Batch(
                self._arrow.filter(_mask(mask)), bookmark=self.bookmark, settled=self.settled
            )
            kept._normal, kept.texts_are_known = self._normal, self.texts_are_known
        else:
            rows = [row for row, keep in zip(self._rows, mask, strict=True) if keep]
            kept = Batch(rows, bookmark=self.bookmark, settled=self.settled)
            if self._table is not None:
                kept._table, kept._normal = self._table.filter(_mask(mask)), self._normal
        if isinstance(self.emitted, list):
            kept.emitted = [moment for moment, keep in zip(self.emitted, mask, strict=True) if keep]
        if self.rejections or self.meta or self.refused:
            places = {
                old: new for new, old in enumerate(index for index, keep in enumerate(mask) if keep)
            }
            kept.rejections = {
                places[old]: found for old, found in self.rejections.items() if old in places
            }
            kept.meta = {places[old]: said for old, said in self.meta.items() if old in places}
            kept.refused = {
                places[old]: said for old, said in self.refused.items() if old in places
            }
        return kept

    def screened(self, table: "pa.Table", rejections: Mapping[int, Sequence[Rejection]]) -> "Batch":
        """Return this batch with the table into which its records were converted, and what was found wrong."""
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

    def columns(self, stream: Stream) -> "dict[str, list[Any] | pa.ChunkedArray]":
        """Return the selected columns as they came, before any conversion.

        Of rows, those that are declared come first.

        Raises:
            DataError: Two columns have one name, or a name is no text.
        """
        self._refuse()
        if self._rows is not None:
            found: Mapping[str, Any] = columns_of(
                self._rows, declared_schema(stream), stream=stream.name
            )
        else:
            refuse_equal_names(self._arrow, stream.name)
            found = {name: self._arrow.column(name) for name in self._arrow.column_names}
        selects = column_selector(stream)
        return {name: values for name, values in found.items() if selects(name)}

    def record(self, index: int, stream: Stream) -> dict[str, Any]:
        """Return the selected fields of one record."""
        self._refuse()
        row = (
            self._rows[index]
            if self._rows is not None
            else _table_rows(self._arrow.slice(index, 1), stream.name)[0]
        )
        selects = column_selector(stream)
        return {name: value for name, value in row.items() if selects(name)}

    @property
    def converted(self) -> bool:
        """Whether the Arrow table is at hand."""
        return self._table is not None

    def to_arrow(self, stream: Stream) -> "pa.Table":
        """Return the records as an Arrow table with logical types, by the stream's schema where it has one.

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

    def _converted(self, declared: "pa.Schema | None", stream: Stream) -> "pa.Table":
        known = self.texts_are_known or self._encoded is not None
        try:
            if self._rows is not None and self._table is None:
                return rows_to_arrow(self._rows, declared, stream=stream.name)
            refuse_wide_cursor(self._arrow, stream.cursor, stream.name)
            return as_declared(
                normalised(self._arrow, stream.name, texts_are_known=known), declared, stream.name
            )
        except DataError as error:
            if (
                not stream.disable_column_type_check
                or declared is None
                or error.field not in declared.names
            ):
                raise
            # Nobody vouches for what is declared: the values say what the column is, and it grows
            # by them.
            return self._converted(declared.remove(declared.get_field_index(error.field)), stream)

    def encoded(self, stream: Stream) -> Encoded | None:
        """Return the records in the bytes they came in, where `to_arrow` would give the same columns and types."""
        self._refuse()
        if self._encoded is None or self._normal:
            return None
        schema = self._encoded.schema
        return (
            self._encoded
            if Batch(schema.empty_table()).to_arrow(stream).schema.equals(schema)
            else None
        )

    def some(
        self, stream: Stream, names: Sequence[str] | None = None, rows: Sequence[int] | None = None
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

    def _selected(self, stream: Stream, names: Iterable[str]) -> list[str]:
        declared = (stream.schema or {}).get("properties") or {}
        selects = column_selector(stream)
        chosen = {name: selects(name) for name in names}
        if declared:
            left_out = (
                name for name, selected in chosen.items() if not selected and name not in declared
            )
            self.left_out = tuple(dict.fromkeys((*self.left_out, *left_out)))
        return [name for name, selected in chosen.items() if selected]

    def to_rows(self, stream: Stream, *, native_types: bool = False) -> list[dict[str, Any]]:
        """Return the records as dicts that all have the same keys, in the schema's order, a missing one as None.

        Args:
            stream: Whose schema orders the keys.
            native_types: Leave dates, times and bytes as Python's own; else they become JSON values
                (ISO 8601 text, base64). Decimals stay `Decimal`.

        Raises:
            DataError: A JSON text of a column has a key twice in one object.
        """
        self._refuse()
        rows = (
            self._rows
            if self._rows is not None
            else _table_rows(self.to_arrow(stream), stream.name)
        )
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


def declared_schema(stream: Stream) -> "pa.Schema | None":
    """Return the Arrow schema a stream declares, cut to its selected columns, or None.

    Raises:
        ConfigError: Its schema cannot be read; names stream and property.
    """
    if not stream.schema or not stream.schema.get("properties"):
        return None
    return stream.remembered("declared", lambda: _declared(stream))


def _declared(stream: Stream) -> "pa.Schema":
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
    """Name the stream in errors about DataFrames, which were made before they were known to be of one."""
    try:
        yield
    except DataError as error:
        if error.stream == UNNAMED:
            error.rename(stream)
        raise


def _is_reader(item: Any) -> bool:
    import pyarrow as pa

    return isinstance(item, pa.RecordBatchReader)


def json_value(value: Any) -> Any:
    """Return a value as Mage sends it: JSON types, dates and times as ISO 8601 text, bytes as base64, Decimal kept."""
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
    if is_pandas(records):
        return table_of(records)
    if is_polars(records):
        return table_of_polars(records)
    if is_relation(records):
        return table_of_relation(records)
    if hasattr(records, "__arrow_c_stream__") or hasattr(records, "__arrow_c_array__"):
        return pa.table(records)
    raise ArgumentTypeError(
        f"A batch cannot be a {type(records).__name__}: give a list of dicts, a DataFrame, or anything with the "
        "Arrow C stream or array interface."
    )


def _table_rows(table: "pa.Table", stream: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.to_pylist()
    for field in table.schema:
        if is_json(field.type):
            for row in rows:
                text = row[field.name]
                row[field.name] = None if text is None else _json_value(text, stream, field.name)
    return rows


def _json_value(text: str, stream: str, field: str) -> Any:
    """Read a JSON text: numbers as `float` where that is exact, as in the rows of a source, else as `Decimal`."""
    try:
        value = exact_decoder.decode(text)
    except (ValueError, RecursionError):
        value = exact_json(text)
    refuse_repeats(text, value, stream, field=field)
    return value
