"""Texts of a CSV file as values of declared types: exactly, or not at all."""

import base64
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import simplejson

from etl_assets.exceptions import DataError
from etl_assets.protocol.columns import to_array
from etl_assets.protocol.messages import nested_too_deep
from etl_assets.protocol.numbers import decimal_of
from etl_assets.protocol.schema import property_type
from etl_assets.protocol.types import is_json, is_nested
from etl_assets.sources.file_notation import rewrite_for
from etl_assets.sources.file_options import Reading

if TYPE_CHECKING:
    import pyarrow as pa

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

Convert = Callable[[str], Any]


def declared_types(reading: Reading) -> dict[str, "pa.DataType"]:
    """Give the types of the columns that the stream's schema declares to be something else than text."""
    import pyarrow as pa

    properties: Mapping[str, Any] = (reading.stream.schema or {}).get("properties") or {}
    types = {}
    for name, declared in properties.items():
        if not declared or declared.get("x-arrow") == "values":
            continue
        type_ = property_type(declared, reading.stream.schema, name)
        if not pa.types.is_string(type_):
            types[name] = type_
    return types


def typed_column(texts: Sequence[str | None], type_: "pa.DataType", reading: Reading, field: str) -> Any:
    """Give a column of texts as values of a type; an empty text is NULL, for it is no number and no date.

    Raises:
        CellError: A text is no value of this type.
    """
    convert, rewrite = converter(type_), rewrite_for(reading.options, type_, field)
    values: list[Any] = []
    for row, text in enumerate(texts):
        try:
            values.append(convert(rewrite(text) if rewrite else text) if text else None)
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise CellError(row, text or "", _said(error)) from error
    try:
        column = to_array(values, type_, stream=reading.stream.name, field=field)
    except DataError as error:
        raise _located(values, type_, texts, error.message) from error
    if _is_number(type_) and _is_text(column):  # a number of more digits than any type of numbers has
        raise _located(values, type_, texts, "numbers that no decimal of 38 digits holds together; declare a text")
    return column


class CellError(Exception):
    """A text is no value of its column's type.

    Args:
        row: Its place in the column.
        text: The text.
        reason: Why.
    """

    def __init__(self, row: int, text: str, reason: str) -> None:
        super().__init__(reason)
        self.row = row
        self.text = text
        self.reason = reason


def _said(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _located(values: list[Any], type_: "pa.DataType", texts: Sequence[str | None], reason: str) -> CellError:
    for row, value in enumerate(values):
        try:
            alone = to_array([value], type_, stream="", field="")
            fits = value is None or not (_is_number(type_) and _is_text(alone))
        except DataError:
            fits = False
        if not fits:
            return CellError(row, texts[row] or "", f"does not fit {type_}")
    return CellError(0, texts[0] or "", reason)


def _is_number(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    return bool(t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_))


def _is_text(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(column.type))


def converter(type_: "pa.DataType") -> Convert:
    """Give what turns a text into a value of a type; it raises ValueError where the text is none."""
    from pyarrow import types as t

    if is_json(type_) or is_nested(type_):
        return _json
    if t.is_integer(type_):
        return _integer
    if t.is_floating(type_):
        return _floating
    if t.is_decimal(type_):
        return _decimal
    if t.is_boolean(type_):
        return _boolean
    if t.is_binary(type_):
        return lambda text: base64.b64decode(text, validate=True)
    return lambda text: text  # dates, times, ...: their text is read by `to_array`


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        return _whole(text)
    try:
        return int(text)
    except ValueError:
        digits, limit = len(text.lstrip("+-")), sys.get_int_max_str_digits()
        raise ValueError(f"an integer of {digits:,} digits, at most {limit:,}; declare it as a text") from None


def _whole(text: str) -> int:
    """Read a whole number that is written as others are: programs write `3.0` where a column has empty cells, too."""
    number = decimal_of(text) if _NUMBER.fullmatch(text) else None
    if number is None or number != number.to_integral_value():
        raise ValueError("not an integer")
    return int(number)


def _decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    return decimal_of(text)


def _floating(text: str) -> float | Decimal:
    return float(text) if _NOT_FINITE.fullmatch(text) else _decimal(text)


def _boolean(text: str) -> bool:
    found = _BOOLEANS.get(text.lower())
    if found is None:
        raise ValueError("not a boolean (true, false, 1, 0)")
    return found


def _json(text: str) -> Any:
    if nested_too_deep(text):
        raise ValueError("JSON nested too deep")
    try:
        return simplejson.loads(text, use_decimal=True, allow_nan=False)
    except simplejson.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg}") from error
