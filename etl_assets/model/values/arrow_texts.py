"""Texts that come in Arrow: nobody has checked that they are UTF-8, nor that JSON is JSON."""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from etl_assets.model.schema.types import is_json

if TYPE_CHECKING:
    import pyarrow as pa

    from etl_assets.exceptions import DataError


class Refused(Protocol):
    """Makes the error that a value cannot be stored: of a message, the value, and a hint."""

    def __call__(self, message: str, value: object, *, hint: str) -> "DataError":
        """Return the error."""
        ...


def refuse_no_texts(column: "pa.ChunkedArray", refused: Refused) -> None:
    """Refuse a column with a text that is not UTF-8, or a JSON text that is no JSON.

    Whole columns are looked at, as fast as memory.

    Raises:
        DataError: What `refused` makes, with the first such value.
    """
    import pyarrow as pa

    if not holds_texts(column.type):
        return
    for chunk in column.chunks:
        try:
            chunk.validate(full=True)
            if pa.types.is_run_end_encoded(chunk.type):  # into which pyarrow 19 does not look
                chunk.values.validate(full=True)
        except pa.ArrowInvalid as error:
            value = _undecodable(chunk)
            if value is None:
                message = f"is no valid array of Arrow's: {error}."
                hint = "Correct what makes it."
            else:
                message = "is not UTF-8 text."
                hint = "Decode it at the source, or send it as bytes (pa.binary())."
            raise refused(message, value, hint=hint) from error
        if is_json(column.type):
            _refuse_no_json(chunk.storage, refused)


@lru_cache(1024)
def holds_texts(type_: "pa.DataType") -> bool:
    """Return whether values of a type are texts, or have some inside."""
    from pyarrow import types as t

    if is_json(type_):
        return True
    if t.is_dictionary(type_) or t.is_run_end_encoded(type_):
        return holds_texts(type_.value_type)
    if t.is_nested(type_):
        return any(holds_texts(type_.field(at).type) for at in range(type_.num_fields))
    return bool(t.is_string(type_) or t.is_large_string(type_) or t.is_string_view(type_))


def _undecodable(array: Any) -> bytes | None:
    """Return the first bytes in an array, or inside of its values, that are no text, or None."""
    import pyarrow as pa
    from pyarrow import types as t

    type_ = array.type
    if is_json(type_):
        return _undecodable(array.storage)
    if t.is_dictionary(type_):
        return _undecodable(array.dictionary)
    if t.is_run_end_encoded(type_):
        parts = [array.values]
    elif t.is_struct(type_) or t.is_union(type_):
        parts = [array.field(at) for at in range(type_.num_fields)]
    elif t.is_map(type_):
        parts = [array.keys, array.items]
    elif t.is_nested(type_):
        parts = [array.flatten()]
    elif holds_texts(type_):
        texts = array.cast(pa.large_string()) if t.is_string_view(type_) else array
        return _first_undecodable(texts.cast(pa.large_binary()))
    else:
        return None
    return next((found for found in map(_undecodable, parts) if found is not None), None)


def _first_undecodable(texts: Any) -> bytes | None:
    for value in texts:
        found: bytes | None = value.as_py()
        try:
            (found or b"").decode()
        except UnicodeDecodeError:
            return found
    return None


def _refuse_no_json(texts: Any, refused: Refused) -> None:
    for text in texts.to_pylist():
        try:
            if text is not None:
                json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            hint = "Send it as a text (pa.string())."
            raise refused(f"is no JSON: {error}.", text, hint=hint) from error


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"JSON has no {word}")
