"""OpenAPI documents: the schema of a row."""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from etl_assets.exceptions import ConfigError, did_you_mean, shorten

_WORDS = (
    *("type", "format", "description", "enum", "multipleOf", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum"),
)
"""What of a property says its type."""
_DEEPEST = 50


def schema_of(place: str) -> dict[str, Any]:
    """Return the JSON Schema of a row.

    Args:
        place: A file and where in it the schema is: `openapi.json#/components/schemas/User`.

    Raises:
        ConfigError: There is no such file, or nothing in that place.
    """
    path, mark, pointer = place.partition("#")
    if not mark:
        raise ConfigError(
            f"schema is {place!r}.", hint='For example "openapi.json#/components/schemas/User".'
        )
    document = document_of(path)
    return row_schema(followed(document, {"$ref": f"#{pointer}"}, place), document, place)


def document_of(path: Path | str) -> Mapping[str, Any]:
    """Return an OpenAPI document, of JSON or YAML.

    Raises:
        ConfigError: There is no such file, or it is none.
    """
    if "://" in str(path):
        raise ConfigError(
            f"{path} is a URL, and nothing connects when definitions are loaded.",
            hint="Save the document beside the definitions, and commit it.",
        )
    file = Path(path)
    try:
        return _read(str(file.absolute()), file.stat().st_mtime_ns)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", hint="Check the path of the document."
        ) from error


@cache
def _read(path: str, changed: int) -> Mapping[str, Any]:
    del changed
    import simplejson
    import yaml

    text = Path(path).read_text(encoding="utf-8")
    is_yaml = Path(path).suffix in {".yaml", ".yml"}
    try:
        document = yaml.safe_load(text) if is_yaml else simplejson.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} is no OpenAPI document: {error}.") from error
    if not isinstance(document, Mapping):
        raise ConfigError(f"{path} is no OpenAPI document.")
    return document


def row_schema(schema: Any, document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of a row with all references followed, and what is nested cut to its type.

    Raises:
        ConfigError: A reference leads nowhere, or it describes no object.
    """
    found = dict(properties(schema, document, name, 0))
    if not found:
        raise ConfigError(
            f"{name} describes no object with properties.", hint="Name the schema of one record."
        )
    return {
        "type": "object",
        "properties": {
            each: _property(one, document, f"{name}/{each}") for each, one in found.items()
        },
    }


def properties(
    schema: Any, document: Mapping[str, Any], name: str, depth: int
) -> Iterator[tuple[str, Any]]:
    """Yield the properties of a schema, also those of what it is made of."""
    schema = followed(document, schema, name)
    if depth > _DEEPEST:
        raise ConfigError(f"{name} is made of itself.", hint="Correct the document.")
    for part in schema.get("allOf") or ():
        yield from properties(part, document, name, depth + 1)
    yield from (schema.get("properties") or {}).items()


def _property(given: Any, document: Mapping[str, Any], name: str) -> dict[str, Any]:
    schema = followed(document, given, name)
    parts = schema.get("allOf")
    if isinstance(parts, list):
        merged: dict[str, Any] = {}
        for part in parts:
            merged |= followed(document, part, name)
        schema = {**merged, **{key: one for key, one in schema.items() if key != "allOf"}}
    may_be_null = bool(schema.get("nullable"))
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), list):
            each = [followed(document, one, name) for one in schema[word]]
            values = [one for one in each if one.get("type") != "null"]
            if len(values) != 1:
                return _described({}, schema)  # any of several: kept as JSON
            schema, may_be_null = {**schema, **values[0]}, True
    found = {word: schema[word] for word in _WORDS if word in schema}
    types = found.get("type")
    if may_be_null and isinstance(types, str):
        found["type"] = ["null", types]
    if types == "array" or (isinstance(types, list) and "array" in types):
        found["items"] = {}
    if found.get("format") in {"byte", "binary", "password"}:
        found.pop("format")
    return found


def _described(found: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("description"), str):
        found["description"] = schema["description"]
    return found


def followed(document: Mapping[str, Any], schema: Any, name: str) -> Mapping[str, Any]:
    """Return a part of a document with its own reference followed."""
    for _ in range(_DEEPEST):
        if not isinstance(schema, Mapping):
            return {}
        reference = schema.get("$ref")
        if reference is None:
            return schema
        schema = _at(document, str(reference), name)
    raise ConfigError(f"{name}: its $ref goes in a circle.", hint="Correct the document.")


def _at(document: Mapping[str, Any], reference: str, name: str) -> Any:
    found: Any = document
    for part in reference.removeprefix("#").strip("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or key not in found:
            known = found if isinstance(found, Mapping) else ()
            raise ConfigError(
                f"{name}: {shorten(reference)} leads to nothing.", hint=did_you_mean(key, known)
            )
        found = found[key]
    return found
