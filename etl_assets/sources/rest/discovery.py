"""The streams that an API may have, as its OpenAPI document describes them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from etl_assets.exceptions import ConfigError
from etl_assets.sources.rest.endpoint import Endpoint
from etl_assets.sources.rest.openapi import followed, properties, row_schema

_RECORDS = ("data", "items", "results", "records", "values", "entries", "content")
_NOT_A_WORD = re.compile(r"\W+")


def proposed(document: Mapping[str, Any]) -> list[Endpoint]:
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
    parameters = [followed(document, one, "parameters") for one in given]
    return any(one.get("required") and one.get("in") in {"query", "path"} for one in parameters)


def _endpoint(
    path: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Endpoint | None:
    answered = followed(document, (operation.get("responses") or {}).get("200"), path)
    content = answered.get("content") or {"application/json": answered}  # of version 2
    body = next((one for kind, one in content.items() if "json" in kind), None)
    schema = followed(document, (body or {}).get("schema"), path)
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
        for name, given in properties(schema, document, path, 0)
        if (one := followed(document, given, path)).get("type") == "array"
    }
    named = next((name for name in _RECORDS if name in lists), None)
    if named is None and len(lists) == 1:
        named = next(iter(lists))
    return (named, lists[named].get("items")) if named else (None, None)
