"""Types that somebody has set for fields, because the source is wrong about them: they prevail."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError, DataError, did_you_mean
from etl_assets.model.schema.types import is_json

if TYPE_CHECKING:
    import pyarrow as pa

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


def overridden(
    schema: Mapping[str, Any] | None, types: Mapping[str, str | Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Return a JSON Schema with the given types in place of those that it has.

    A type for a field that the schema does not have is passed over.
    """
    if schema is None:
        return None
    if not types:
        return dict(schema)
    properties = dict(schema.get("properties") or {})
    for field, type_ in types.items():
        if field in properties:
            wanted = TYPES[type_] if isinstance(type_, str) else type_
            properties[field] = {**_description_of(properties[field]), **wanted}
    return {**schema, "properties": properties}


def _description_of(prop: Any) -> dict[str, str]:
    description = prop.get("description") if isinstance(prop, Mapping) else None
    return {"description": description} if isinstance(description, str) else {}


def wrong_types(
    errors: Sequence[DataError],
    kinds: Mapping[str, Collection[type]],
    stream: str,
    counts: Mapping[str | None, str] | None = None,
) -> DataError:
    """Return the first error as that of all wrong fields, with types that would take their values.

    Args:
        errors: One for each field, at least one.
        kinds: The types of the values that a field has, that of None left out. A field of a type
            that has a form for any value is not among them: what is wrong there is no matter of
            types.
        stream: The stream's name.
        counts: By field, how many values are wrong, in words.
    """
    first, *others = errors
    names = [error.field for error in errors if error.field in kinds]
    words = {name: _word_for(kinds[name]) for name in names if name is not None}
    if not words:
        return first.told_with(others, hint=first.hint, counts=counts)
    types = json.dumps({stream: {"types": words}}, ensure_ascii=False)
    short = json.dumps({stream: words}, ensure_ascii=False)
    return first.told_with(
        others,
        counts=counts,
        hint="Correct the source or its schema, or have the values stored as they are: "
        f"options={types} of stream_assets(); of a connector in a script, types={short} of "
        "get_source().",
    )


@dataclass(frozen=True)
class WrongColumn:
    """A declared column of a batch with values that its type does not take.

    Args:
        error: The first of them.
        values: The column.
        declared: Its type.
    """

    error: DataError
    values: Sequence[Any]
    declared: "pa.DataType"

    @property
    def kinds(self) -> set[type] | None:
        """The types of its values, or None where its type takes all of them.

        What is wrong there is no matter of types.
        """
        import pyarrow as pa

        if is_json(self.declared) or pa.types.is_string(self.declared):
            return None
        return set(map(type, self.values)) - {type(None)}


def of_all_columns(
    errors: Sequence[DataError],
    columns: Mapping[str, list[Any]],
    types: "Mapping[str, pa.Field]",
    stream: str,
) -> DataError:
    """Return one error for all wrong columns; it holds them."""
    found: dict[str, WrongColumn] = {}
    kinds: dict[str, set[type]] = {}
    for error in errors:
        name = str(error.field)
        found[name] = WrongColumn(error, columns[name], types[name].type)
        its_kinds = found[name].kinds
        if its_kinds is not None:
            kinds[name] = its_kinds
    told = wrong_types(errors, kinds, stream)
    told.columns = found
    return told


def _word_for(kinds: Collection[type]) -> str:
    """Return the type that takes values of these kinds."""
    kinds = set(kinds)
    if len(kinds) == 1:
        word = _WORD_OF.get(next(iter(kinds)))
        if word is not None:
            return word
    if kinds & {dict, list, tuple}:
        return "json"
    are_numbers = {kind.__name__ for kind in kinds} <= _NUMBERS
    return "number" if are_numbers else "string"
