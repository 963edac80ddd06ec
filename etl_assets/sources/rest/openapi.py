"""OpenAPI documents: the schema of a row, and the streams that an API may have."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError, did_you_mean, shorten

if TYPE_CHECKING:
    from etl_assets.sources.rest.endpoint import Endpoint

_WORDS = (
    *("type", "format", "description", "enum", "multipleOf", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum"),
)
"""What of a property says its type."""
_DEEPEST = 50
_RECORDS = ("data", "items", "results", "records", "values", "entries", "content")
_NOT_A_WORD = re.compile(r"\W+")


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
    return row_schema(_followed(document, {"$ref": f"#{pointer}"}, place), document, place)


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
    text = Path(path).read_text(encoding="utf-8")
    try:
        if Path(path).suffix in {".yaml", ".yml"}:
            import yaml

            document = yaml.safe_load(text)
        else:
            import simplejson

            document = simplejson.loads(text)
    except ValueError as error:
        raise ConfigError(f"{path} is no OpenAPI document: {error}.") from error
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise ConfigError(f"{path} is no YAML: {error}.") from error
        raise
    if not isinstance(document, Mapping):
        raise ConfigError(f"{path} is no OpenAPI document.")
    return document


def row_schema(schema: Any, document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the schema of a row with all references followed, and what is nested cut to its type.

    Raises:
        ConfigError: A reference leads nowhere, or it describes no object.
    """
    properties = dict(_properties(schema, document, name, 0))
    if not properties:
        raise ConfigError(
            f"{name} describes no object with properties.", hint="Name the schema of one record."
        )
    return {
        "type": "object",
        "properties": {
            each: _property(one, document, f"{name}/{each}") for each, one in properties.items()
        },
    }


def _properties(
    schema: Any, document: Mapping[str, Any], name: str, depth: int
) -> Iterator[tuple[str, Any]]:
    schema = _followed(document, schema, name)
    if depth > _DEEPEST:
        raise ConfigError(f"{name} is made of itself.", hint="Correct the document.")
    for part in schema.get("allOf") or ():
        yield from _properties(part, document, name, depth + 1)
    yield from (schema.get("properties") or {}).items()


def _property(given: Any, document: Mapping[str, Any], name: str) -> dict[str, Any]:
    schema = _followed(document, given, name)
    parts = schema.get("allOf")
    if isinstance(parts, list):
        merged: dict[str, Any] = {}
        for part in parts:
            merged |= _followed(document, part, name)
        schema = {**merged, **{key: one for key, one in schema.items() if key != "allOf"}}
    may_be_null = bool(schema.get("nullable"))
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), list):
            each = [_followed(document, one, name) for one in schema[word]]
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


def _followed(document: Mapping[str, Any], schema: Any, name: str) -> Mapping[str, Any]:
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


def proposed(document: Mapping[str, Any]) -> "list[Endpoint]":
    """Return an endpoint for each path that gives a list and asks for nothing that nobody knows.

    Which of its parameters ask for what is new, and how its pages follow each other, the document
    does not say.
    """
    found: dict[str, Endpoint] = {}
    for path, operations in (document.get("paths") or {}).items():
        if not isinstance(operations, Mapping) or "{" in path:
            continue
        operation = operations.get("get")
        if not isinstance(operation, Mapping) or _asks_for_more(operations, operation, document):
            continue
        endpoint = _endpoint(path, operation, document)
        if endpoint is not None:
            found.setdefault(endpoint.name, endpoint)
    return list(found.values())


def _asks_for_more(
    operations: Mapping[str, Any], operation: Mapping[str, Any], document: Mapping[str, Any]
) -> bool:
    given: Sequence[Any] = [
        *(operations.get("parameters") or ()),
        *(operation.get("parameters") or ()),
    ]
    parameters = [_followed(document, one, "parameters") for one in given]
    return any(one.get("required") and one.get("in") in {"query", "path"} for one in parameters)


def _endpoint(
    path: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> "Endpoint | None":
    from etl_assets.sources.rest.endpoint import Endpoint

    answered = _followed(document, (operation.get("responses") or {}).get("200"), path)
    content = answered.get("content") or {"application/json": answered}  # of version 2
    body = next((one for kind, one in content.items() if "json" in kind), None)
    schema = _followed(document, (body or {}).get("schema"), path)
    place, row = _list_in(schema, document, path)
    if row is None:
        return None
    try:
        described = row_schema(row, document, path)
    except ConfigError:
        return None
    words = operation.get("summary") or operation.get("description")
    return Endpoint(
        _NOT_A_WORD.sub("_", path.strip("/")),
        path,
        records=place,
        primary_key="id" if "id" in described["properties"] else (),
        schema=described,
        description=words if isinstance(words, str) else None,
    )


def _list_in(
    schema: Mapping[str, Any], document: Mapping[str, Any], path: str
) -> tuple[str | None, Any]:
    """Return where in an answer the list of records is, and the schema of one."""
    if schema.get("type") == "array":
        return None, schema.get("items")
    lists = {
        name: one
        for name, given in _properties(schema, document, path, 0)
        if (one := _followed(document, given, path)).get("type") == "array"
    }
    named = next((name for name in _RECORDS if name in lists), None)
    if named is None and len(lists) == 1:
        named = next(iter(lists))
    return (named, lists[named].get("items")) if named else (None, None)
