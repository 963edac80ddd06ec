"""The JSON schema of a component, in which what is wrong is found where it stands.

Where a field may be an object or a text, pydantic says `anyOf`, and whoever checks YAML by that can
only tell that no alternative fits. As each alternative is of another type, the type of a value
tells which of them is meant: then a wrong word is an error of its own, on its own line.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

Schema = dict[str, Any]
_DEFINITIONS = "#/$defs/"


class _Plain(BaseModel):
    """A model whose schema has no alternatives that a type can tell apart.

    Its errors do not quote what was given, which may hold a secret.
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> Schema:
        """Return the schema."""
        return without_alternatives(super().model_json_schema(*args, **options))


@cache
def with_plain_schema(model: type[BaseModel]) -> type[BaseModel]:
    """Return a model that takes the same, and whose schema says what is wrong on which line."""
    return create_model(model.__name__, __base__=(_Plain, model), __doc__=model.__doc__)


def without_alternatives(schema: Schema) -> Schema:
    """Return a JSON schema that allows the same values, with its alternatives told by their types.

    Args:
        schema: With its definitions under `$defs`.
    """
    definitions = schema.get("$defs", {})
    made: Schema = _walked(schema, definitions)
    return made


def _walked(part: Any, definitions: Mapping[str, Schema]) -> Any:
    if isinstance(part, list):
        return [_walked(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    walked = {word: _walked(value, definitions) for word, value in part.items()}
    alternatives = walked.get("anyOf")
    if not isinstance(alternatives, list):
        return walked
    by_type = _by_type(alternatives, definitions)
    if by_type is None:
        return walked
    del walked["anyOf"]
    cases = [
        {"if": {"type": type_}, "then": one}
        for type_, one in by_type.items()
        if one.keys() != {"type"}
    ]
    return {**walked, "type": list(by_type), **({"allOf": cases} if cases else {})}


def _by_type(
    alternatives: list[Schema], definitions: Mapping[str, Schema]
) -> dict[str, Schema] | None:
    """Return alternatives by their type; None if two have the same, or one has none."""
    found: dict[str, Schema] = {}
    for one in alternatives:
        name = str(one.get("$ref", "")).removeprefix(_DEFINITIONS)
        type_ = definitions.get(name, one).get("type")
        if not isinstance(type_, str) or type_ in found:
            return None
        found[type_] = one
    # An integer is a number, too.
    return None if {"integer", "number"} <= found.keys() else found
