"""Which type a column of texts gets, by all that was seen of it and by the table that it goes into.

And its values.
"""

from typing import TYPE_CHECKING

from etl_assets.model.request import TableTypes
from etl_assets.model.schema.types import INTEGER_DIGITS, MAX_DECIMAL_DIGITS
from etl_assets.model.values.arrays import (
    array_of,
    decimals_of,
    decimals_of_texts,
    scalar_of,
    text_scalar,
)
from etl_assets.model.values.numbers import decimal_of
from etl_assets.sources.files.text.inference import Seen, look, temporal_type, without_plus

if TYPE_CHECKING:
    import pyarrow as pa


def type_for(
    seen: Seen, field: str, there: "pa.DataType | None", table: TableTypes | None
) -> "pa.DataType":
    """Return the type of a column: that of its table if all texts fit, or one that holds them.

    Args:
        seen: What is known of all texts of the column.
        field: Its name.
        there: The type that it has in the table, if it has one.
        table: Where the rows go, if that is known.
    """
    import pyarrow as pa

    if seen.kind == "text" or (there is not None and pa.types.is_string(there)):
        return pa.string()
    if seen.kind is None:
        return (
            pa.null()
        )  # of empty texts alone nothing is known: the first others give the column its type
    type_ = _of_itself(seen)
    stored = type_ if table is None else table.stored(type_)
    if table is not None and there is not None and there != stored:
        type_ = _beside(seen, there, type_, table, field)
        stored = table.stored(type_)
    # What the destination would only keep as text is kept as the text it is.
    return pa.string() if pa.types.is_string(stored) else type_


def fits(seen: Seen, type_: "pa.DataType") -> bool:
    """Return whether all texts are values of a type, each of which says what its text does."""
    import pyarrow as pa
    from pyarrow import types as t

    if seen.kind is None or t.is_string(type_) or t.is_null(type_):
        return True
    if t.is_integer(type_):
        low, high = _bounds(type_)
        if seen.kind == "integer":
            return low <= seen.low and seen.high <= high
        return seen.is_number and seen.integral and low < 0 and 10**seen.whole <= high
    if t.is_floating(type_):
        return seen.is_number and seen.exact and type_ == pa.float64()
    if t.is_decimal(type_):
        return (
            seen.is_number
            and seen.whole <= type_.precision - type_.scale
            and seen.scale <= type_.scale
        )
    if t.is_boolean(type_):
        return seen.kind == "boolean"
    if t.is_timestamp(type_):
        return seen.kind == ("moment" if type_.tz is None else "instant")
    return t.is_date(type_) and seen.kind == "date"


def can_hold(type_: "pa.DataType") -> bool:
    """Return whether a type is one that texts are taken for."""
    from pyarrow import types as t

    number = t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_)
    return bool(number or t.is_boolean(type_) or t.is_date(type_) or t.is_timestamp(type_))


def converted(
    texts: "pa.Array | pa.ChunkedArray", type_: "pa.DataType", *, signs_zeros: bool = True
) -> "pa.Array | pa.ChunkedArray":
    """Return texts as values of a type that holds them.

    An empty one is NULL, but in a column of texts.

    Args:
        texts: The texts.
        type_: The type.
        signs_zeros: The double of `-0` is -0.0, and not 0.0.

    Raises:
        pyarrow.ArrowInvalid: One is no such value.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types as t

    if t.is_string(type_):
        return texts
    if t.is_null(type_):
        return pa.nulls(len(texts), type_)
    empty = pc.equal(texts, text_scalar(""))
    if pc.any(empty).as_py():
        texts = pc.if_else(empty, scalar_of(None, pa.string()), texts)
    if t.is_boolean(type_):
        return pc.equal(texts, text_scalar("true"))
    if t.is_date(type_) or t.is_timestamp(type_):
        return texts.cast(type_)
    texts = without_plus(texts)
    if t.is_integer(type_):
        return _integers(texts, type_)
    if not t.is_decimal(type_):
        doubles = texts.cast(type_)
        return (
            doubles if signs_zeros else pc.add(doubles, scalar_of(0.0, type_))
        )  # -0.0 + 0.0 is 0.0
    try:
        return decimals_of_texts(texts, type_)
    except pa.ArrowInvalid:  # of exponents, and at the limit of 38 digits
        return decimals_of(
            [None if text is None else decimal_of(text) for text in texts.to_pylist()], type_
        )


def _integers(
    texts: "pa.Array | pa.ChunkedArray", type_: "pa.DataType"
) -> "pa.Array | pa.ChunkedArray":
    """Read whole numbers, however they are written."""
    import pyarrow as pa
    import pyarrow.compute as pc

    pointed = pc.match_substring(texts, ".")
    whole = pc.replace_substring_regex(texts, r"\.0*$", "") if pc.any(pointed).as_py() else texts
    try:
        return whole.cast(type_)
    except pa.ArrowInvalid:
        numbers = [None if text is None else decimal_of(text) for text in texts.to_pylist()]
    if any(number is not None and number != number.to_integral_value() for number in numbers):
        raise pa.ArrowInvalid(f"a number has more decimals than {type_}")
    return array_of([None if number is None else int(number) for number in numbers], type_)


def parts(
    texts: "pa.Array | pa.ChunkedArray", type_: "pa.DataType", *, signs_zeros: bool = True
) -> "list[tuple[bool, pa.Array | pa.ChunkedArray]]":
    """Part texts, in order, into runs that fit a type (converted) and others (as they are)."""
    if fits(look(texts), type_):
        return [(True, converted(texts, type_, signs_zeros=signs_zeros))]
    if len(texts) == 1:
        return [(False, texts)]
    middle = len(texts) // 2
    halves = (texts.slice(0, middle), texts.slice(middle))
    return [part for half in halves for part in parts(half, type_, signs_zeros=signs_zeros)]


def _of_itself(seen: Seen) -> "pa.DataType":
    """Return the type of a column that is nowhere yet."""
    import pyarrow as pa

    if not seen.is_number:
        return temporal_type(seen.kind) or pa.bool_()
    if seen.kind == "integer" and fits(seen, pa.int64()):
        return pa.int64()
    if seen.kind == "number" and seen.exact:
        return pa.float64()
    return _decimal(seen.whole, seen.scale)


def _beside(
    seen: Seen, there: "pa.DataType", alone: "pa.DataType", table: TableTypes, field: str
) -> "pa.DataType":
    """Return the type of a column whose table has another type than the texts alone would have."""
    import pyarrow as pa
    from pyarrow import types as t

    if not can_hold(there):
        return alone  # JSON and the like: the destination says how the two meet
    if fits(seen, there):
        return there
    if table.is_replaced:
        return alone
    if not seen.is_number:
        return pa.string()
    if t.is_integer(there):
        if seen.kind == "integer" or (seen.exact and table.integers_fit(field)):
            return alone
        return _decimal(max(seen.whole, INTEGER_DIGITS), seen.scale)
    if t.is_decimal(there):
        return _decimal(
            max(seen.whole, there.precision - there.scale), max(seen.scale, there.scale)
        )
    return alone if t.is_float32(there) and seen.exact and seen.kind == "number" else pa.string()


def _decimal(whole: int, scale: int) -> "pa.DataType":
    """Return a decimal type, or text where no destination has one of so many digits."""
    import pyarrow as pa

    if whole + scale > MAX_DECIMAL_DIGITS:
        return pa.string()
    # One digit more for the 0 before a point, where there is room for it.
    return pa.decimal128(max(whole, 0 if scale == MAX_DECIMAL_DIGITS else 1) + scale, scale)


def _bounds(type_: "pa.DataType") -> tuple[int, int]:
    from pyarrow import types as t

    if t.is_signed_integer(type_):
        return -(2 ** (type_.bit_width - 1)), 2 ** (type_.bit_width - 1) - 1
    return 0, int(2**type_.bit_width - 1)
