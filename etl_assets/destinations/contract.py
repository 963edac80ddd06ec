"""Schema contracts: a batch is held against the table as it stands before it is staged.

Nothing of this runs for a contract that evolves. One rule decides what fits: a value does, if
loading it alone would leave its column as it is, or if it is a whole number that the column's
integers hold. A column is converted in one go; only where that fails, or gives another type, are
the offending values looked for, by halves.
"""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from etl_assets.engine.casting import cast, integers_fit
from etl_assets.exceptions import DataError, SchemaConflictError, shorten
from etl_assets.model.batch import Batch, column_to_arrow, declared_schema
from etl_assets.model.contract import ContractMode, Rejection
from etl_assets.model.load import Load
from etl_assets.model.schema.types import merge_types
from etl_assets.model.stream import Stream
from etl_assets.model.values.scalars import to_json
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    import pyarrow as pa

HINT = (
    'Correct the source; or accept the change with schema_contract="evolve" for one sync; or leave '
    'such values out with "discard_value", such rows with "discard_row".'
)
NULL_KEY = "a key is NULL or missing"
NO_COLUMN = "the table has no such column"
NO_TYPE = "cannot be stored exactly"
UNREADABLE = "cannot be read"
MAX_RECORD_DEPTH = 50
"""What is nested deeper has no JSON text here if a value in it has none."""

_SURROGATE = re.compile("[\ud800-\udfff]")
Reject = Callable[[Iterable[Sequence[Rejection]]], None]
"""Takes what was wrong with records, for each one rejection or more."""
_Convert = Callable[[Any], "pa.Array | pa.ChunkedArray | None"]


@dataclass(frozen=True)
class Shape:
    """What a batch has to fit.

    Args:
        types: By column.
        columns_of: Gives the column of each field.
        type_name: What a type is called there.
        exists: It is the shape of a table, not of a schema that was declared for one to be.
    """

    types: "Mapping[str, pa.DataType]"
    columns_of: Callable[[Sequence[str]], Mapping[str, str]]
    type_name: "Callable[[pa.DataType], str]"
    exists: bool

    def of_field(self, names: Sequence[str]) -> "dict[str, pa.DataType]":
        """Return the types of those fields that have a column."""
        columns = self.columns_of(names)
        return {name: self.types[columns[name]] for name in names if columns[name] in self.types}


def declared_shape(load: Load) -> Shape | None:
    """Return the shape that a stream declares, which rules while there is no table.

    None if it declares none.
    """
    declared = declared_schema(load.stream)
    if declared is None:
        return None
    types = {field.name: field.type for field in declared}
    return Shape(types, lambda names: {name: name for name in names}, str, exists=False)


class Screen:
    """Holds the batches of one load against its contract.

    Args:
        load: Whose contract does not evolve.
        shape: What they have to fit; None while nothing is known that they could contradict.
        reject: Takes what was wrong with single records, for those that `take` leaves out.
    """

    def __init__(self, load: Load, shape: Shape | None, reject: Reject) -> None:
        self._load = load
        self._stream = load.stream
        self._contract = load.contract
        self._shape = shape
        self._reject = reject
        stream = load.stream
        self._declared = {field.name: field.type for field in declared_schema(stream) or ()}
        self._naive: dict[str, pa.DataType] = {}
        self._seen: dict[str, None] = {}
        self._keys = {*stream.primary_key, *stream.unique_constraints, *stream.cursor}
        """If one of these fields does not fit, its row is out: it would be another row, or none."""
        self._required = _required(load) if self._contract.data_type.discards else ()

    def take(self, batch: Batch) -> Batch:
        """Return a batch whose columns fit, with what was found wrong.

        Without a replication key a row is out at once.

        Raises:
            SchemaConflictError: The contract freezes the table, and something does not fit.
            DataError: A value cannot be stored, and the contract does not say to leave it out.
        """
        found = _Findings(batch, self._load)
        batch = batch.accepted()
        columns = batch.columns(self._stream)
        if self._shape is not None and not self._shape.exists:
            columns |= {name: [None] * len(batch) for name in self._declared if name not in columns}
        self._seen |= dict.fromkeys(columns)
        known = self._shape.of_field(list(self._seen)) if self._shape is not None else {}
        self._unread(found, columns, known)
        arrays: dict[str, Any] = {}
        adds_columns = self._shape is None or self._contract.columns is ContractMode.EVOLVE
        for name, values in columns.items():
            if name not in known and not adds_columns:
                self._no_column(name, values, found)
            else:
                arrays[name] = self._fitted(name, values, known.get(name), found)
        for name in self._required:
            found.add(_null_rows(arrays.get(name), len(batch)), name, NULL_KEY, whole=True)
        screened = batch.screened(self._table(arrays, batch), found.by_row)
        return self._without_cursor(screened)

    def _without_cursor(self, batch: Batch) -> Batch:
        """Leave out the rows whose replication key did not fit.

        No bookmark could say where they stand.
        """
        cursor = self._stream.cursor
        out = set()
        for index, found in batch.rejections.items():
            if any(one.whole and one.field in cursor for one in found):
                out.add(index)
        if not out:
            return batch
        self._reject(batch.rejections[index] for index in sorted(out))
        return batch.keep([index not in out for index in range(len(batch))])

    def _table(self, arrays: "Mapping[str, Any]", batch: Batch) -> "pa.Table":
        import pyarrow as pa

        if not arrays:
            empty = pa.array([{}] * len(batch), pa.struct([]))
            return pa.Table.from_batches([pa.RecordBatch.from_struct_array(empty)], pa.schema([]))
        return pa.table(arrays)

    # Columns

    def _no_column(self, name: str, values: Any, found: "_Findings") -> None:
        present = _present(values)
        frozen = self._contract.columns is ContractMode.FREEZE
        if frozen or (name in self._keys and present):
            raise self._missing_column(name, values, present)
        whole = self._contract.columns is ContractMode.DISCARD_ROW
        found.add(present, name, NO_COLUMN, whole=whole)

    def _missing_column(
        self, name: str, values: Any, present: Sequence[int]
    ) -> SchemaConflictError:
        mode = self._contract.columns
        is_declared = self._shape is not None and not self._shape.exists
        where = "its schema declares" if is_declared else "the table has"
        value = f" Value: {shorten(_value(values, present[0]))}." if present else ""
        part, hint = "", HINT
        if mode is not ContractMode.FREEZE:
            part = ", and it is part of a key"
            hint = "Add the column to the table, or let columns evolve for one sync."
        return SchemaConflictError(
            f"{where} no such column, and schema_contract says {mode!s}{part}.{value}",
            hint=hint,
            stream=self._stream.name,
            field=name,
        )

    # Values

    def _unread(
        self, found: "_Findings", columns: Container[str], types: "Mapping[str, pa.DataType]"
    ) -> None:
        """Record the values that could not be read.

        Without a contract that leaves them out, one is an error.
        """
        mode = self._contract.data_type
        for row, refusals in found.refused.items():
            for one in refusals:
                if one.field not in columns:
                    continue  # not selected
                if not mode.discards:
                    raise one.error()
                type_ = types.get(one.field)
                reason = UNREADABLE if type_ is None else f"does not fit {self._type_name(type_)}"
                whole = mode is ContractMode.DISCARD_ROW or one.field in self._keys
                found.add([row], one.field, reason, whole=whole, told=one.message)

    def _fitted(
        self, name: str, values: Any, type_: "pa.DataType | None", found: "_Findings"
    ) -> Any:
        convert = partial(
            column_to_arrow, declared=self._declared.get(name), stream=self._stream.name, field=name
        )
        mode = self._contract.data_type
        if mode is ContractMode.EVOLVE:
            return convert(values)
        type_ = self._for_first_load(name, values, type_, convert)
        array = _attempt(values, convert, type_)
        if array is not None:
            return array
        if mode is ContractMode.FREEZE and type_ is None:
            return convert(values)  # raises by name
        slices, bad = _converted(values, partial(_attempt, convert=convert, type_=type_))
        if bad and mode is ContractMode.FREEZE:
            raise self._conflict(
                name, _value(values, bad[0]), _slice(values, bad[0], bad[0] + 1), type_, convert
            )
        if type_ is None:
            array, bad = _joined(values, bad, convert)
        else:
            array = _concatenated(slices, type_)
        reason = NO_TYPE if type_ is None else f"does not fit {self._type_name(type_)}"
        found.add(bad, name, reason, whole=mode is ContractMode.DISCARD_ROW or name in self._keys)
        return array

    def _for_first_load(
        self, name: str, values: Any, type_: "pa.DataType | None", convert: _Convert
    ) -> "pa.DataType | None":
        """Return the type a column has to be of.

        Of a table to be made, the first instant says whether it has a zone.

        JSON Schema's `date-time` is declared for both, and what comes is one of the two throughout.
        """
        import pyarrow as pa

        if type_ is None or pa.types.is_null(type_):
            return None
        if self._shape is None or self._shape.exists or not pa.types.is_timestamp(type_):
            return type_
        if name not in self._naive:
            for index in _present(values)[:1]:
                first = _attempt(_slice(values, index, index + 1), convert, None)
                if first is not None and pa.types.is_timestamp(first.type):
                    self._naive[name] = first.type
        return self._naive.get(name, type_)

    def _type_name(self, type_: "pa.DataType") -> str:
        return self._shape.type_name(type_) if self._shape is not None else str(type_)

    def _conflict(
        self, name: str, value: Any, alone: Any, type_: "pa.DataType | None", convert: _Convert
    ) -> SchemaConflictError:
        try:
            array = convert(alone)
        except DataError as error:
            raise error from None  # it cannot be stored whatever the column is
        kind, column = "", None
        if array is not None and type_ is not None:
            kind = f" ({array.type} into {self._type_name(type_)})"
        if self._shape is not None:
            column = self._shape.columns_of(list(self._seen)).get(name)
        return SchemaConflictError(
            f"a value does not fit its column{kind}, and schema_contract says freeze. "
            f"Value: {shorten(value)}.",
            hint=HINT,
            stream=self._stream.name,
            field=name,
            column=column,
        )


class _Findings:
    """What is wrong with the rows of one batch."""

    def __init__(self, batch: Batch, load: Load) -> None:
        self._batch = batch.accepted()
        self._load = load
        self._records: dict[int, str] = {}
        self.refused = batch.refused
        self.by_row: dict[int, list[Rejection]] = {}

    def add(
        self, rows: Iterable[int], field: str, reason: str, *, whole: bool, told: str | None = None
    ) -> None:
        for row in rows:
            there = self.by_row.setdefault(row, [])
            # A key that did not fit is not also missing.
            if not any(one.field == field for one in there):
                there.append(Rejection(field, reason, whole, self._record(row), told))

    def _record(self, row: int) -> str | None:
        if not self._load.keep_rejected:
            return None
        if row not in self._records:
            unread = {one.field: one.value for one in self.refused.get(row, ())}
            record = self._batch.record(row, self._load.stream)
            self._records[row] = record_text(
                {name: unread.get(name, value) for name, value in record.items()}
            )
        return self._records[row]


def settled(batch: Batch, reject: Reject) -> Batch:
    """Return a screened batch without the rows that are to be left out, and say what was wrong."""
    if not batch.rejections:
        return batch
    reject(batch.rejections.values())
    out = {row for row, found in batch.rejections.items() if any(one.whole for one in found)}
    return batch.keep([row not in out for row in range(len(batch))]) if out else batch


def as_rows(batch: Batch, stream: Stream) -> Batch:
    """Return a screened batch as rows of the source's own values, without what is left out."""
    if batch.rows is None:
        return batch
    kept = set(batch.to_arrow(stream).column_names)
    rows = []
    for index, row in enumerate(batch.rows):
        lost = {one.field for one in batch.rejections.get(index, ()) if not one.whole}
        if lost or not row.keys() <= kept:
            nulls = dict.fromkeys(lost & row.keys())
            row = {n: v for n, v in {**row, **nulls}.items() if n in kept}  # noqa: PLW2901
        rows.append(row)
    made = Batch(rows, bookmark=batch.bookmark)
    made.rejections = batch.rejections
    return made


def record_text(record: Mapping[str, Any]) -> str:
    """Return a record as JSON text, every digit kept.

    What JSON has no form for is there as a text.
    """
    try:
        text = to_json(dict(record))
    except (TypeError, ValueError):
        text = to_json(_with_texts(record, MAX_RECORD_DEPTH))
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _with_texts(value: Any, depth: int) -> Any:
    if depth and isinstance(value, Mapping):
        return {str(name): _with_texts(item, depth - 1) for name, item in value.items()}
    if depth and isinstance(value, list | tuple):
        return [_with_texts(item, depth - 1) for item in value]
    try:
        to_json(value)
    except (TypeError, ValueError):
        return str(value) if isinstance(value, float | Decimal) else shorten(value)
    return value


def _required(load: Load) -> Sequence[str]:
    """Return the fields without which a row has no place, which a merge or its bookmark goes by."""
    stream = load.stream
    if load.strategy is WriteStrategy.MERGE:
        return stream.unique_constraints or stream.primary_key
    return () if stream.primary_key else stream.cursor


# Columns of values, and of Arrow's


def _slice(values: Any, start: int, stop: int) -> Any:
    return values[start:stop] if isinstance(values, list) else values.slice(start, stop - start)


def _value(values: Any, index: int) -> Any:
    return values[index] if isinstance(values, list) else values[index].as_py()


def _present(values: Any) -> list[int]:
    if isinstance(values, list):
        return [index for index, value in enumerate(values) if value is not None]
    return [index for index, valid in enumerate(values.is_valid().to_pylist()) if valid]


def _null_rows(array: Any, length: int) -> list[int]:
    if array is None:
        return list(range(length))
    if not array.null_count:
        return []
    return [index for index, null in enumerate(array.is_null().to_pylist()) if null]


def _attempt(
    values: Any, convert: _Convert, type_: "pa.DataType | None"
) -> "pa.Array | pa.ChunkedArray | None":
    """Convert values; None if one of them cannot be stored, or does not fit the type."""
    try:
        array = convert(values)
    except DataError:
        return None
    return array if type_ is None or array is None else _as_type(array, type_)


def _as_type(
    array: "pa.Array | pa.ChunkedArray", type_: "pa.DataType"
) -> "pa.Array | pa.ChunkedArray | None":
    """Cast an array to a type that holds it exactly; None if it does not."""
    import pyarrow as pa

    if array.type == type_:
        return array
    if array.null_count == len(array):
        return pa.nulls(len(array), type_)  # a NULL fits every column, whatever type its batch says
    try:
        merged = merge_types(type_, array.type, integers_fit=lambda: integers_fit(array))
    except SchemaConflictError:
        return None
    if merged != type_ and not _checked(array.type, type_):
        return None
    try:
        return cast(array, type_)
    except pa.ArrowInvalid:
        return None


def _checked(old: "pa.DataType", new: "pa.DataType") -> bool:
    """Return whether Arrow, when it casts, refuses each value that would not stay exact."""
    from pyarrow import types as t

    if t.is_integer(new):
        return bool(t.is_integer(old) or t.is_floating(old) or t.is_decimal(old))
    if t.is_timestamp(new) and t.is_timestamp(old):
        return bool((old.tz is None) == (new.tz is None))
    return bool(
        (t.is_decimal(new) and t.is_decimal(old)) or (t.is_time64(new) and t.is_time64(old))
    )


def _converted(
    values: Any, attempt: _Convert
) -> "tuple[list[pa.Array | pa.ChunkedArray | None], list[int]]":
    """Convert a column, in slices around the values that do not convert.

    Returns:
        The slices as Arrow, with None for each value that does not convert, and the indexes of
        these values.
    """
    slices: list[Any] = []
    bad: list[int] = []
    spans = [(0, len(values))]
    while spans:
        start, stop = spans.pop()
        array = attempt(_slice(values, start, stop))
        if array is None and stop - start > 1:
            middle = (start + stop) // 2
            spans += [(middle, stop), (start, middle)]
            continue
        slices.append(array)
        if array is None:
            bad.append(start)
    return slices, bad


def _concatenated(
    slices: "Sequence[pa.Array | pa.ChunkedArray | None]", type_: "pa.DataType"
) -> "pa.ChunkedArray":
    import pyarrow as pa

    chunks: list[pa.Array] = []
    for array in slices:
        if array is None:
            chunks.append(pa.nulls(1, type_))
        else:
            chunks += array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    return pa.chunked_array(chunks, type_)


def _joined(values: Any, bad: list[int], convert: _Convert) -> "tuple[Any, list[int]]":
    """Convert what is left without the offending values.

    Of bytes and other values the first one's kind stays.
    """
    kept = _blanked(values, bad)
    try:
        return convert(kept), bad
    except DataError:
        first = next((value for value in kept if value is not None), None)
        bytes_stay = isinstance(first, bytes)
        others = [
            i
            for i, v in enumerate(kept)
            if v is not None and isinstance(v, bytes) is not bytes_stay
        ]
        bad = sorted({*bad, *others})
        return convert(_blanked(kept, others)), bad


def _blanked(values: Any, bad: Iterable[int]) -> Any:
    gone = set(bad)
    if isinstance(values, list):
        return [None if index in gone else value for index, value in enumerate(values)]
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pa.array([index in gone for index in range(len(values))])
    return pc.if_else(mask, pa.nulls(len(values), values.type), values)
