"""Lists of plain Python values as Arrow arrays, by their buffers, and back.

pyarrow's own way imports pandas first, and that costs more than a small sync. Where pandas is there
already, pyarrow's own way is taken, which is quicker on long lists. Decimals are here, too: Arrow
alone does not always keep them.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import MAX_PREC, MIN_EMIN, Decimal, localcontext
from typing import TYPE_CHECKING, Any

from etl_assets.model.limits import MAX_ZEROS
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS

if TYPE_CHECKING:
    import pyarrow as pa

_OFFSETS_END = 2**31 - 1
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - of clocks without a zone
_EPOCH_UTC = _EPOCH.replace(tzinfo=UTC)
_FIRST_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)


def array_of(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
    """Return an array just as `pa.array(values, type_)` does.

    Args:
        values: Each None or of a type that `pa.array` takes for it.
        type_: Any type; arrays of those that JSON has are made without pandas.

    Raises:
        pyarrow.ArrowException: As `pa.array` raises.
        OverflowError: An integer is too large.
        UnicodeEncodeError: A text is not Unicode.
    """
    import pyarrow as pa

    if pa.types.is_decimal(type_):
        return decimals_of(values, type_)
    made = None if "pandas" in sys.modules else from_buffers(values, type_)
    return pa.array(values, type_) if made is None else made


def scalar_of(value: Any, type_: "pa.DataType") -> "pa.Scalar":
    """Return one value as `pa.scalar(value, type_)` does, but never cut off to a coarser unit.

    Raises:
        pyarrow.ArrowException: The type has no such value.
        OverflowError: An integer is too large.
    """
    import pyarrow as pa

    if pa.types.is_timestamp(type_) and type(value) is datetime:
        return array_of([value], pa.timestamp("us", type_.tz)).cast(type_)[0]
    return array_of([value], type_)[0]


def integer_scalar(value: int) -> "pa.Scalar":
    """Return an integer for a function of Arrow, which would import pandas to make it one."""
    import pyarrow as pa

    return scalar_of(value, pa.int64())


def text_scalar(value: str) -> "pa.Scalar":
    """Return a text for a function of Arrow, as `integer_scalar` does."""
    import pyarrow as pa

    return scalar_of(value, pa.string())


# Arrow makes other numbers, without a word, of decimals whose digits overflow 128 bits while it
# brings them to another scale: 0.00 of 1E-41, 0.99 of 7.8 as decimal128(38, 38). What follows lets
# nothing near that.


def decimals_of_texts(
    texts: "pa.Array | pa.ChunkedArray", type_: "pa.DataType"
) -> "pa.Array | pa.ChunkedArray":
    """Read texts of numbers as decimals.

    Raises:
        pyarrow.ArrowInvalid: One is no number, does not fit, or is written with an exponent.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest > type_.precision - type_.scale:
        digits = pc.utf8_ltrim(texts, "-")
        length, point = pc.binary_length(digits), pc.find_substring(digits, ".")
        whole = pc.max(pc.if_else(pc.less(point, integer_scalar(0)), length, point)).as_py()
        if whole > type_.precision - type_.scale or pc.max(length).as_py() > MAX_DECIMAL_DIGITS:
            raise pa.ArrowInvalid(f"a number has more digits than {type_}")
    if pc.any(pc.match_substring(texts, "e", ignore_case=True)).as_py():
        raise pa.ArrowInvalid("a number has an exponent")
    return texts.cast(type_)


def decimals_of(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
    """Return an array of decimals, of integers and `Decimal`s.

    Raises:
        pyarrow.ArrowException: A value does not fit exactly.
    """
    import pyarrow as pa

    # Arrow counts its way through an exponent, and crashes at one of nine digits.
    if any(abs(value.adjusted()) > MAX_ZEROS for value in values if type(value) is Decimal):
        raise pa.ArrowInvalid(f"a number has more digits than {type_}")
    array = pa.array(values, type_)
    with localcontext(prec=MAX_PREC, Emin=MIN_EMIN):
        finest = sum(filter(None, values), Decimal(0)).as_tuple().exponent
    if -int(finest) > type_.scale and array.to_pylist() != list(values):
        raise pa.ArrowInvalid(f"a number has more decimals than {type_}")
    return array


def cast_exactly(column: "pa.ChunkedArray", type_: "pa.DataType") -> "pa.ChunkedArray":
    """Cast values to another type; texts to decimals are for `decimals_of_texts`.

    Raises:
        pyarrow.ArrowInvalid: One does not fit exactly.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    is_number = pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)
    if pa.types.is_decimal(type_) and is_number:
        limit = 10 ** (type_.precision - type_.scale)
        bounds = [bound for bound in pc.min_max(column).as_py().values() if bound is not None]
        if any(abs(bound) >= limit for bound in bounds):
            raise pa.ArrowInvalid(f"a number has more digits than {type_}")
    return column.cast(type_)


def rows_of(table: "pa.Table") -> list[dict[str, Any]]:
    """Return rows as `pa.Table.to_pylist` does."""
    columns = [list_of(column) for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def list_of(column: "pa.Array | pa.ChunkedArray") -> list[Any]:
    """Return values as `to_pylist` does; instants have Python's own UTC."""
    import pyarrow as pa

    if is_utc(column.type):
        counts = column.cast(pa.int64()).to_pylist()
        return [None if count is None else instant_of(count) for count in counts]
    values: list[Any] = column.to_pylist()
    return values


def is_utc(type_: "pa.DataType") -> bool:
    """Return whether it is the type of instants in microseconds, as the library has them."""
    import pyarrow as pa

    return bool(pa.types.is_timestamp(type_) and type_.tz == "UTC" and type_.unit == "us")


def instant_of(microseconds: int) -> datetime:
    """Return an instant by its microseconds since 1970.

    Raises:
        OverflowError: It is not in the years that Python has.
    """
    return _EPOCH_UTC + timedelta(microseconds=microseconds)


def from_buffers(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array | None":
    """Return an array of one of JSON's types, or None.

    It is None where the type is another, or a value is not exactly of its Python type.
    """
    import pyarrow as pa

    if type_ == pa.int64():
        return _numbers(values, int, type_)
    if type_ == pa.float64():
        return _numbers(values, float, type_)
    if type_ == pa.string():
        return _texts(values, str, type_)
    if type_ == pa.binary():
        return _texts(values, bytes, type_)
    if type_ == pa.date32():
        return _days(values)
    if pa.types.is_timestamp(type_) and type_.unit == "us":
        return _moments(values, type_)
    if type_ == pa.bool_():
        return _booleans(values)
    return None


def _only(values: Sequence[Any], kind: type) -> tuple[bool, bool]:
    """Return whether all values are None or exactly of a type, and whether there is a None."""
    kinds = set(map(type, values))
    return kinds <= {kind, type(None)}, type(None) in kinds


def _validity(values: Sequence[Any], *, nulls: bool) -> "pa.Buffer | None":
    import numpy as np
    import pyarrow as pa

    if not nulls:
        return None
    return pa.py_buffer(np.packbits([value is not None for value in values], bitorder="little"))


def _numbers(values: Sequence[Any], kind: type, type_: "pa.DataType") -> "pa.Array | None":
    import numpy as np
    import pyarrow as pa

    plain, nulls = _only(values, kind)
    if not plain:
        return None
    filled = values
    if nulls:
        filled = [0 if value is None else value for value in values]
    data = np.array(filled, np.int64 if kind is int else np.float64)
    buffers = [_validity(values, nulls=nulls), pa.py_buffer(data)]
    return pa.Array.from_buffers(type_, len(values), buffers)


def _booleans(values: Sequence[Any]) -> "pa.Array | None":
    import numpy as np
    import pyarrow as pa

    plain, nulls = _only(values, bool)
    if not plain:
        return None
    bits = np.packbits(np.array(values, np.bool_), bitorder="little")  # None is false
    buffers = [_validity(values, nulls=nulls), pa.py_buffer(bits)]
    return pa.Array.from_buffers(pa.bool_(), len(values), buffers)


def _days(values: Sequence[Any]) -> "pa.Array | None":
    import pyarrow as pa

    if not _only(values, date)[0]:
        return None
    counts = [None if value is None else value.toordinal() - _FIRST_DAY for value in values]
    days = _numbers(counts, int, pa.int64())
    return None if days is None else days.cast(pa.int32()).view(pa.date32())


def _moments(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array | None":
    import pyarrow as pa

    if not _only(values, datetime)[0]:
        return None
    counts = [None if value is None else _microseconds(value) for value in values]
    moments = _numbers(counts, int, pa.int64())
    return None if moments is None else moments.view(type_)


def _microseconds(value: datetime) -> int:
    """Count the microseconds since 1970; without a zone, those on the clock itself."""
    begin = _EPOCH if value.tzinfo is None else _EPOCH_UTC
    return (value - begin) // _MICROSECOND


def _texts(values: Sequence[Any], kind: type, type_: "pa.DataType") -> "pa.Array | None":
    import numpy as np
    import pyarrow as pa

    plain, nulls = _only(values, kind)
    if not plain:
        return None
    present = list(filter(None, values)) if nulls else values
    if kind is bytes:
        data, coded = b"".join(present), values
    else:
        text = "".join(present)
        data = text.encode()
        is_ascii = len(data) == len(text)
        coded = values if is_ascii else [value and value.encode() for value in values]
    if len(data) > _OFFSETS_END:
        return None  # it takes chunks
    offsets = np.zeros(len(values) + 1, np.int32)
    lengths: Iterable[int] = map(len, coded)
    if nulls:
        lengths = [0 if value is None else len(value) for value in coded]
    np.cumsum(np.fromiter(lengths, np.int32, len(values)), out=offsets[1:])
    buffers = [_validity(values, nulls=nulls), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(type_, len(values), buffers)
