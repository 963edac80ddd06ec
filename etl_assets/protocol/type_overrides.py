"""Types that somebody has set for fields whose source is wrong about them; they beat whatever the source says."""

import json
from collections.abc import Container, Mapping, Sequence
from typing import Any

from etl_assets.exceptions import ConfigError, DataError, did_you_mean

TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": ["null", "string"]},
    "integer": {"type": ["null", "integer"]},
    "number": {"type": ["null", "number"]},
    "boolean": {"type": ["null", "boolean"]},
    "date": {"type": ["null", "string"], "format": "date"},
    "time": {"type": ["null", "string"], "format": "time"},
    "date-time": {"type": ["null", "string"], "format": "date-time"},
    "object": {"type": ["null", "object"]},
    "array": {"type": ["null", "array"]},
    "json": {},
}
"""What a type can be called, and the JSON Schema that it stands for."""
_WORD_OF = {str: "string", int: "integer", bool: "boolean"}
_NUMBERS = {"int", "float", "Decimal"}


def types_of(given: Any, stream: str) -> dict[str, str | dict[str, Any]]:
    """Read the types that were set for the fields of a stream.

    Args:
        given: By field, one of `TYPES` or a JSON Schema; None for none.
        stream: For errors.

    Raises:
        ConfigError: It is no such mapping; the error names the field.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"stream {stream!r}: types is {given!r}, and is to be a type for each field.",
            hint='Such as {"id": "string"}.',
            stream=stream,
        )
    for field, type_ in given.items():
        if isinstance(type_, Mapping) or (isinstance(type_, str) and type_ in TYPES):
            continue
        raise ConfigError(
            f"stream {stream!r}, field {str(field)!r}: there is no type {type_!r}.",
            hint=f"{did_you_mean(str(type_), TYPES)} Any other is given as a JSON Schema, such as "
            '{"type": "number", "multipleOf": 0.01}.',
            stream=stream,
        )
    return dict(given)


def overridden(schema: Mapping[str, Any] | None, types: Mapping[str, str | Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return a JSON Schema with the given types in place of those that it has; fields it does not have stay unknown."""
    if schema is None or not types:
        return None if schema is None else dict(schema)
    properties = dict(schema.get("properties") or {})
    for field, type_ in types.items():
        if field in properties:
            before = properties[field]
            told = before.get("description") if isinstance(before, Mapping) else None
            wanted = dict(TYPES[type_]) if isinstance(type_, str) else dict(type_)
            properties[field] = {**({"description": told} if isinstance(told, str) else {}), **wanted}
    return {**schema, "properties": properties}


def wrong_types(
    errors: Sequence[DataError], columns: Mapping[str, Sequence[Any]], stream: str, takes_all: Container[str]
) -> DataError:
    """Return the first error as that of all wrong fields of a batch, with the types that would take their values.

    Args:
        errors: One for each field, at least one.
        columns: The values by field.
        stream: The stream's name.
        takes_all: Fields whose types any value has a form in: what is wrong there is no matter of types.
    """
    first, *others = errors
    names = [error.field for error in errors if error.field is not None and error.field not in takes_all]
    words = {name: _word_for(columns[name]) for name in names}
    if not words:
        return first.told_with(others, hint=first.hint)
    types = json.dumps({stream: {"types": words}}, ensure_ascii=False)
    short = json.dumps({stream: words}, ensure_ascii=False)
    return first.told_with(
        others,
        hint=f"Correct the source or its schema, or have the values stored as they are: options={types} of "
        f"stream_assets(); of a connector in a script, types={short} of get_source().",
    )


def _word_for(values: Sequence[Any]) -> str:
    """Return the type that takes these values, and others of their kind."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) == 1 and (word := _WORD_OF.get(next(iter(kinds)))):
        return word
    if kinds & {dict, list, tuple}:
        return "json"
    return "number" if {kind.__name__ for kind in kinds} <= _NUMBERS else "string"
