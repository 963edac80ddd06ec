"""Texts of a CSV file as values of declared types: exactly, or not at all."""

import base64
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Union

import simplejson

from etl_assets.exceptions import DataError
from etl_assets.model.json.depth import nested_too_deep
from etl_assets.model.refused import refused_by, without
from etl_assets.model.schema.json_schema import property_type
from etl_assets.model.schema.types import is_json, is_nested
from etl_assets.model.values.columns import to_array
from etl_assets.model.values.numbers import decimal_of
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.text.notation import rewrite_for
from etl_assets.sources.files.text.typed_columns import typed_at_once

if TYPE_CHECKING:
    import pyarrow as pa

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}

Convert = Callable[[str], Any]
Refuse = Callable[[int, str, str], None]


def declared_types(reading: Reading) -> dict[str, "pa.DataType"]:
    """Return the types of the columns that the stream's schema declares as anything but text."""
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


def typed_column(
    texts: Union[Sequence[str | None], "pa.Array"],
    type_: "pa.DataType",
    reading: Reading,
    field: str,
    refuse: Refuse,
) -> Any:
    """Return a column of texts as values of a type.

    An empty text is NULL, for it is no number and no date.

    Args:
        texts: The texts.
        type_: The type.
        reading: What is read.
        field: The column's name.
        refuse: Takes the place of a text that is no value of this type, the text, and why; it is
            NULL here.
    """
    import pyarrow as pa

    read, rewrite = converter(type_), rewrite_for(reading.options, type_, field)
    if isinstance(texts, pa.Array) and rewrite is None:
        found = typed_at_once(texts, type_)
        if found is not None:
            return found
    texts = as_list(texts)
    values: list[Any] = []
    for row, text in enumerate(texts):
        try:
            values.append(read(rewrite(text) if rewrite else text) if text else None)
        except (ValueError, ArithmeticError, RecursionError) as error:
            refuse(row, text or "", _said(error))
            values.append(None)
    convert = partial(_exactly, type_=type_, reading=reading, field=field)
    try:
        return convert(values)
    except DataError:
        bad = refused_by(convert, values)
    for row in bad:
        refuse(row, texts[row] or "", f"does not fit {type_}")
    return convert(without(values, bad))


def as_list(texts: Union[Sequence[str | None], "pa.Array"]) -> Sequence[str | None]:
    """Return the texts of a column one by one."""
    import pyarrow as pa

    return texts.to_pylist() if isinstance(texts, pa.Array) else texts


def _exactly(values: list[Any], *, type_: "pa.DataType", reading: Reading, field: str) -> Any:
    """Return a column of a type.

    Text in place of numbers, which those of too many digits would be, is refused.
    """
    import pyarrow as pa
    from pyarrow import types as t

    column = to_array(values, type_, stream=reading.stream.name, field=field)
    is_number = t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_)
    if is_number and pa.types.is_string(column.type):
        raise reading.error(
            "numbers that no decimal of 38 digits holds together; declare a text.", field=field
        )
    return column


def _said(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__


def converter(type_: "pa.DataType") -> Convert:
    """Return what turns a text into a value of a type.

    It raises ValueError where the text is none.
    """
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
        raise ValueError(
            f"an integer of {digits:,} digits, at most {limit:,}; declare it as a text"
        ) from None


def _whole(text: str) -> int:
    """Read a whole number; programs write `3.0` where a column has empty cells, too."""
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
