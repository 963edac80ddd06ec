"""Python values to Arrow columns, exactly: what becomes of every value is decided here.

An Arrow library's own inference is never used: it looks at a few values, drops keys and rounds.
Each column is built with its declared type, or with the join over all its values, and a value that
does not fit exactly either widens the column (numbers, and instants with more digits than
microseconds hold) or is a `DataError` that names it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.limits import MAX_COLUMNS, MAX_ZEROS
from etl_assets.model.schema.type_overrides import of_all_columns
from etl_assets.model.schema.types import (
    MAX_DECIMAL_DIGITS,
    is_json,
    is_nested,
    is_uuid,
    logical,
    merge_types,
)
from etl_assets.model.values.arrays import array_of, decimals_of
from etl_assets.model.values.exact_numbers import all_exact_doubles, all_whole
from etl_assets.model.values.numbers import TooLongError
from etl_assets.model.values.scalars import (
    FinerError,
    NotFiniteError,
    plain_value,
    to_date,
    to_instant,
    to_json,
    to_text,
    to_time,
)

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_DAY = date(1, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
DAY_MICROSECONDS = 86_400_000_000

_PLAIN = {int, float, str, bool, Decimal, datetime, date, time, timedelta, bytes, dict, list, tuple}
_NUMBERS = {int, float, Decimal}


def rows_to_arrow(
    rows: Sequence[Mapping[str, Any]], declared: "pa.Schema | None", *, stream: str
) -> "pa.Table":
    """Return rows as an Arrow table: the declared fields first, then those that only the rows have.

    A key that a row misses is NULL there.

    Raises:
        DataError: A value cannot be stored exactly; names stream, field and value.
    """
    columns = columns_of(rows, declared, stream=stream)
    return columns_to_arrow(columns, declared, stream=stream, length=len(rows))


def columns_of(
    rows: Sequence[Mapping[str, Any]], declared: "pa.Schema | None", *, stream: str
) -> dict[str, list[Any]]:
    """Return the values of rows by field: the declared fields first, then the others.

    Raises:
        DataError: A field's name is no Unicode text.
    """
    found = _columns_of(rows)
    names = dict.fromkeys(declared.names if declared is not None else ())
    names.update(dict.fromkeys(found))
    if len(names) > MAX_COLUMNS:
        raise DataError(
            f"the rows have {len(names):,} fields, at most {MAX_COLUMNS:,}.",
            stream=stream,
            hint="Have the source send what belongs together as one object: it is kept as JSON.",
        )
    columns: dict[str, list[Any]] = {}
    for name in names:
        if not isinstance(name, str) or not _encodes(name):
            raise DataError(
                "a field's name must be Unicode text.",
                stream=stream,
                field=repr(name),
                value=name,
                hint="Rename it at the source; such names come of text that was decoded wrongly.",
            )
        columns[name] = found[name] if name in found else [None] * len(rows)
    return columns


def _columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    plain = set(map(type, rows)) <= {dict}  # a subclass may make up what it does not have
    if plain and len(set(map(len, rows))) == 1:
        with suppress(KeyError):  # as many keys each, and all those of the first: the same keys
            return {name: list(map(itemgetter(name), rows)) for name in rows[0]}
    names = dict.fromkeys(chain.from_iterable(rows))
    return {name: _column_of(rows, name, plain=plain) for name in names}


def _column_of(rows: Sequence[Mapping[str, Any]], name: str, *, plain: bool) -> list[Any]:
    if plain:
        with suppress(KeyError):
            return list(map(itemgetter(name), rows))
    return [row.get(name) for row in rows]


def columns_to_arrow(
    columns: Mapping[str, list[Any]],
    declared: "pa.Schema | None",
    *,
    stream: str,
    length: int | None = None,
) -> "pa.Table":
    """Return columns of Python values as an Arrow table, in the order of `columns`.

    Args:
        columns: All of one length.
        declared: Types by field name; a field that is not in it gets the join over its values.
        stream: For errors.
        length: The number of rows; needed only where there are no columns.
    """
    import pyarrow as pa

    types = {field.name: field for field in declared} if declared is not None else {}
    arrays, fields = [], []
    wrong: list[DataError] = []
    for name, values in columns.items():
        field = types.get(name)
        if field is None:
            array, metadata = to_array(values, None, stream=stream, field=name), None
        else:
            try:
                array = to_array(values, field.type, stream=stream, field=name)
            except DataError as error:
                wrong.append(error)
                continue
            metadata = field.metadata
        arrays.append(array)
        fields.append(pa.field(name, array.type, metadata=metadata))
    if wrong:
        raise of_all_columns(wrong, columns, types, stream) from wrong[0].__cause__
    if not fields:
        # A table without columns has no length of its own: an empty struct array gives it one.
        empty = pa.array([{}] * (length or 0), pa.struct([]))
        return pa.Table.from_batches([pa.RecordBatch.from_struct_array(empty)], pa.schema([]))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def to_array(
    values: list[Any], declared: "pa.DataType | None", *, stream: str, field: str
) -> "pa.Array | pa.ChunkedArray":
    """Return one column; its type is the declared one, or a wider one if a value needs it."""
    import pyarrow as pa

    kinds = set(map(type, values))
    kinds.discard(type(None))
    column = _Column(values, kinds, stream, field)
    if not kinds <= _PLAIN:
        column.make_plain()
    if declared is not None:
        declared = logical(declared)
    if not column.kinds:
        # The column's type is told by its first value, or is the declared one.
        return pa.nulls(len(values))
    if declared is None or pa.types.is_null(declared):
        if column.kinds == {int}:
            with suppress(OverflowError):  # wider ones have their bounds looked at below
                return array_of(column.values, pa.int64())
        return column.build(column.joined_type())
    return column.declared(declared)


class _Column:
    """One column on its way: its values, and the set of their Python types."""

    def __init__(self, values: list[Any], kinds: set[type], stream: str, field: str) -> None:
        self.values = values
        self.kinds = kinds
        self.stream = stream
        self.field = field

    def error(self, message: str, value: object, *, hint: str | None = None) -> DataError:
        return DataError(message, stream=self.stream, field=self.field, value=value, hint=hint)

    def make_plain(self) -> None:
        """Turn subclasses and other libraries' scalars into the plain values they stand for."""
        values = []
        for value in self.values:
            try:
                values.append(plain_value(value))
            except TypeError as error:
                raise self.error(str(error), value, hint="Convert it in the source.") from error
        self.values = values
        self.kinds = set(map(type, values)) - {type(None)}

    def map(self, convert: Callable[[Any], Any]) -> list[Any]:
        """Convert every value but None; what cannot be is an error that names the value."""
        converted = []
        for value in self.values:
            try:
                converted.append(None if value is None else convert(value))
            except FinerError:
                raise
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                hint = error.hint if isinstance(error, TooLongError | NotFiniteError) else None
                said = str(error).rstrip(".")
                message = f"{said}." if said else type(error).__name__
                raise self.error(message, value, hint=hint) from error
        return converted

    def first(self, wrong: Callable[[Any], bool]) -> Any:
        return next((value for value in self.values if value is not None and wrong(value)), None)

    # The type

    def joined_type(self) -> "pa.DataType":
        """Return the join over all values, which is what a column without a declared type gets."""
        import pyarrow as pa

        kinds = self.kinds
        if kinds <= _NUMBERS:
            return self._number_type()
        if len(kinds) == 1 or kinds == {date, datetime}:
            return self._single_type()
        if bytes in kinds:
            text = self.first(lambda value: type(value) is not bytes)
            raise self.error("bytes and other values in one column have no common type.", text)
        return pa.json_(pa.utf8())

    def _single_type(self) -> "pa.DataType":
        import pyarrow as pa

        if datetime in self.kinds:
            zones = _zones(self.values)
            if len(zones) > 1:
                return pa.string()
            return pa.timestamp("us", "UTC" if zones == {True} else None)
        by_kind: dict[type, pa.DataType] = {
            bool: pa.bool_(),
            str: pa.string(),
            date: pa.date32(),
            timedelta: pa.duration("us"),
            bytes: pa.binary(),
        }
        kind = next(iter(self.kinds))
        if kind is time:
            has_offset = any(v is not None and v.utcoffset() is not None for v in self.values)
            return pa.string() if has_offset else pa.time64("us")
        return by_kind.get(kind) or pa.json_(pa.utf8())

    def _number_type(self) -> "pa.DataType":
        import pyarrow as pa

        if self.kinds == {float}:
            return pa.float64()
        present = [value for value in self.values if value is not None]
        if self.kinds == {int}:
            low, high = min(present), max(present)
            if max(-low - 1, high) < 2**63:
                return pa.int64()
            largest = max(-low, high)
            if largest >= 10**MAX_DECIMAL_DIGITS:
                return pa.string()
            return pa.decimal128(len(str(largest)), 0)
        if float in self.kinds or not all(isinstance(v, int) or v.is_finite() for v in present):
            return pa.float64() if all_exact_doubles(present) else pa.string()
        return _decimal_for(present) or pa.string()

    # A declared type

    def declared(self, type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
        """Build with the declared type, or a wider one for numbers and finer instants.

        What contradicts the type is refused.
        """
        from pyarrow import types as t

        if t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_):
            self._refuse_unless(_NUMBERS, type_)
            return self._declared_number(type_)
        if t.is_boolean(type_):
            self._refuse_unless({bool}, type_)
        elif t.is_binary(type_):
            self._refuse_unless({bytes}, type_)
        elif is_nested(type_):
            return self._declared_nested(type_)
        return self.build(type_)

    def _refuse_unless(self, allowed: set[type], type_: "pa.DataType") -> None:
        if not self.kinds <= allowed:
            value = self.first(lambda v: type(v) not in allowed)
            raise self.error(f"{type(value).__name__} in a column declared {type_}.", value)

    def _declared_number(self, type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa
        from pyarrow import types as t

        if t.is_integer(type_) and self.kinds != {int} and all_whole(self.values):
            self.values = [None if value is None else int(value) for value in self.values]
            self.kinds = {int}
        if self.kinds <= _kinds_of(type_):
            try:
                return self._numbers(type_)
            except (pa.ArrowInvalid, OverflowError):
                pass  # a value does not fit exactly: widen below
        present = [value for value in self.values if value is not None]
        if t.is_floating(type_):
            # Doubles are the narrowest type here: decimals that are exact doubles stay with it.
            if all_exact_doubles(present, whole=True):
                return self.build(pa.float64())
            return self.build(_decimal_for(present) or pa.string())
        needed = self._number_type()
        if t.is_decimal(type_) and float in self.kinds:
            needed = _decimal_for(present) or pa.string()
        if t.is_integer(type_) and t.is_floating(needed):
            return self.build(needed)  # all values are exact as doubles: that was looked at
        return self.build(merge_types(type_, needed))

    def _declared_nested(self, type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa

        if _holds_far_number(self.values):
            return self.build(pa.json_(pa.utf8()))  # Arrow would crash
        try:
            array = pa.array(self.values, type_)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            # Such as JSON inside of it, of which Arrow makes no list.
            return self.build(pa.json_(pa.utf8()))
        # Arrow drops the keys of a dict that its struct does not name.
        is_whole = array.to_pylist() == self.values
        return array if is_whole else self.build(pa.json_(pa.utf8()))

    # The array

    def build(self, type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
        """Build an array of exactly this type."""
        import pyarrow as pa
        from pyarrow import types as t

        if is_json(type_):
            return pa.ExtensionArray.from_storage(type_, self._texts(to_json))
        if t.is_string(type_):
            return self._texts(to_text)
        if t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_):
            return self._numbers(type_)
        if t.is_timestamp(type_):
            return self._instants()
        if t.is_date(type_):
            return self._dates(type_)
        if t.is_time(type_):
            return self._times(type_)
        if is_uuid(type_):
            return self._texts(to_text)
        try:
            return array_of(self.values, type_)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            first = self.first(lambda _: True)
            raise self.error(f"does not fit {type_}: {error}", first) from error

    def _texts(self, convert: Callable[[Any], str]) -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa

        are_texts = convert is to_text and self.kinds == {str}
        values = self.values if are_texts else self.map(convert)
        try:
            array = array_of(values, pa.string())
        except UnicodeEncodeError as error:
            bad = next(v for v in values if v is not None and not _encodes(v))
            message = "holds an unpaired surrogate, which is no Unicode text."
            raise self.error(message, bad) from error
        if isinstance(array, pa.Array):
            return array
        return array.cast(pa.large_string()).combine_chunks()  # too long for offsets of 32 bits

    def _numbers(self, type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa
        from pyarrow import types as t

        values = self.values
        if t.is_decimal(type_) and float in self.kinds:
            values = self.map(lambda v: Decimal(repr(v)) if isinstance(v, float) else v)
        elif t.is_floating(type_) and Decimal in self.kinds:
            values = self.map(lambda v: float(v) if isinstance(v, Decimal) else v)
        array = decimals_of(values, type_) if t.is_decimal(type_) else array_of(values, type_)
        if t.is_float32(type_) and _without_nan(values) != _without_nan(array.to_pylist()):
            raise pa.ArrowInvalid(f"a value is not exact as {type_}")
        return array

    def _instants(self) -> "pa.Array | pa.ChunkedArray":
        """Return timestamps: with a zone as UTC, without one as they are.

        Where some have one and some have none, or some are finer than microseconds, all are texts.
        """
        import pyarrow as pa

        if self.kinds == {str}:
            fast = _parse_instants(self.values)
            if fast is not None:
                return fast
        try:
            values = self.values if self.kinds == {datetime} else self.map(to_instant)
        except FinerError:
            return self._texts(to_text)
        zones = _zones(values)
        if len(zones) > 1:
            return self._texts(to_text)
        return array_of(values, pa.timestamp("us", "UTC" if zones == {True} else None))

    def _dates(self, type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
        if self.kinds == {str}:
            fast = _parse_dates(self.values)
            if fast is not None:
                return fast
        days = self.values if self.kinds == {date} else self.map(to_date)
        return array_of(days, type_)

    def _times(self, type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa

        try:
            return pa.array(self.map(to_time), type_)
        except FinerError:
            return self._texts(to_text)


def _kinds_of(type_: "pa.DataType") -> set[type]:
    """Return which of Python's numbers a type of numbers may take as they are."""
    from pyarrow import types as t

    if t.is_integer(type_):
        return {int}
    return {float, int} if t.is_floating(type_) else {Decimal, int}


def _without_nan(numbers: list[Any]) -> list[Any]:
    """Return numbers with None in place of NaN, which is not equal to itself."""
    return [number if number == number else None for number in numbers]  # noqa: PLR0124 - see above


def _parse_dates(texts: list[str | None]) -> "pa.Array | None":
    import pyarrow as pa

    try:
        return dates_of(array_of(texts, pa.string()))
    except UnicodeEncodeError:
        return None


def dates_of(texts: "pa.Array") -> "pa.Array | None":
    """Return texts as dates; None where one is not just `YYYY-MM-DD`."""
    import pyarrow as pa

    dates = _cast_or_none(texts, pa.date32())
    return None if dates is None or is_before_year_one(dates) else dates


def _parse_instants(texts: list[str | None]) -> "pa.Array | None":
    """Parse ISO 8601 texts in one go; return None when they are not all of one plain kind."""
    import pyarrow as pa

    try:
        return instants_of(array_of(texts, pa.string()))
    except UnicodeEncodeError:
        return None


def instants_of(texts: "pa.Array") -> "pa.Array | None":
    """Return ISO 8601 texts as timestamps; None when they are not all of one plain kind."""
    import pyarrow as pa
    import pyarrow.compute as pc

    shortest = pc.min(pc.utf8_length(texts)).as_py() or 0
    if shortest < len("2026-01-01T00:00"):
        return None  # a date alone; Arrow would take it for local midnight
    kinds = (pa.timestamp("us", "UTC"), pa.timestamp("us"))
    first = texts.drop_null().slice(0, 1)
    # Each text is of one kind at most. To try the wrong one on all of them takes thirty times as
    # long as the right one does.
    found = next((kind for kind in kinds if _cast_or_none(first, kind) is not None), None)
    moments = None if found is None else _cast_or_none(texts, found)
    return None if moments is None or is_before_year_one(moments) else moments


def _cast_or_none(texts: "pa.Array", type_: "pa.DataType") -> "pa.Array | None":
    import pyarrow as pa

    try:
        return texts.cast(type_)
    except pa.ArrowInvalid:
        return None


def is_before_year_one(times: "pa.Array") -> bool:
    """Return whether a date or timestamp (in microseconds) is before the year 1.

    Python does not have those years. Not every destination has them either, and the others do not
    agree on which they are.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date(times.type):
        numbers, first = times.cast(pa.int32()), FIRST_DAY
    else:
        numbers, first = times.cast(pa.int64()), FIRST_DAY * DAY_MICROSECONDS
    lowest = pc.min(numbers).as_py()
    return lowest is not None and lowest < first


def _zones(values: Iterable[Any]) -> set[bool]:
    """Return which kinds of date and time there are.

    True is with a zone, False without one or a date alone.
    """
    try:
        zones = set(map(attrgetter("tzinfo"), filter(None, values)))  # no date or time is false
    except AttributeError:  # a date alone has none
        zones = {getattr(value, "tzinfo", None) for value in values if value is not None}
    return {zone is not None for zone in zones}


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _holds_far_number(value: Any) -> bool:
    """Return whether a number inside of a value has an exponent beyond any of Arrow's decimals."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Decimal):
            if abs(one.adjusted()) > MAX_ZEROS:
                return True
        elif isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list | tuple):
            waiting += one
    return False


def _decimal_for(numbers: Sequence[int | float | Decimal]) -> "pa.DataType | None":
    """Return the narrowest decimal that holds all these numbers, or None."""
    whole, scale = 1, 0
    for number in numbers:
        value = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
        if not value.is_finite() or abs(value.adjusted()) > MAX_ZEROS:
            return None
        _, digits, exponent = value.as_tuple()
        if isinstance(exponent, int):
            scale = max(scale, -exponent)
            whole = max(whole, len(digits) + exponent)
    if whole + scale > MAX_DECIMAL_DIGITS:
        return None
    import pyarrow as pa

    return pa.decimal128(whole + scale, scale)
