"""Endpoints that are asked for once for each row of another: what they take from it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from etl_assets.exceptions import ConfigError, DataError, did_you_mean
from etl_assets.sources.rest.endpoint import TEMPLATE, Endpoint
from etl_assets.sources.rest.request import Request, text_of

Values = Mapping[str, Any]
"""Values of the parents, by `stream.field`."""
Row = dict[str, Any]


def parent_of(endpoint: Endpoint, endpoints: Mapping[str, Endpoint]) -> str | None:
    """Return the stream whose rows an endpoint is asked for by: the lowest, if there are several.

    Raises:
        ConfigError: There is no such stream, none of them is below all others, or they go in a
            circle.
    """
    named = endpoint.parents
    for name in named:
        if name not in endpoints:
            raise ConfigError(
                f"stream {endpoint.name!r}: there is no stream {name!r} to be its parent.",
                hint=did_you_mean(name, endpoints),
                stream=endpoint.name,
            )
    for name in named:
        if named <= {name, *ancestors(name, endpoints)}:
            return name
    if named:
        raise ConfigError(
            f"stream {endpoint.name!r}: its parents {sorted(named)} are not below each other.",
            hint="Name one of them in the path of the other, or read them as two streams.",
            stream=endpoint.name,
        )
    return None


def ancestors(name: str, endpoints: Mapping[str, Endpoint]) -> set[str]:
    """Return the parents of a stream, theirs, and so on.

    Raises:
        ConfigError: They go in a circle.
    """
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for parent in endpoints[waiting.pop()].parents & endpoints.keys():
            if parent == name:
                raise ConfigError(
                    f"stream {name!r} is a parent of itself.",
                    hint="Correct the paths of its parents.",
                    stream=name,
                )
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def values_of(endpoint: Endpoint, parents: Mapping[str, Row]) -> dict[str, Any]:
    """Return what an endpoint needs of its parents.

    Args:
        endpoint: The endpoint.
        parents: A row of its parent, and those that this one was asked for by, by stream.

    Raises:
        DataError: A row lacks a field, or has no value in it that could be named in a request.
    """
    found = {}
    for reference, (stream, name) in endpoint.references.items():
        value: Any = parents[stream]
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None or isinstance(value, Mapping | list):
            raise DataError(
                f"a row of {stream!r}, its parent, has no single value at {name!r}.",
                stream=endpoint.name,
                field=reference,
                value=value,
                hint="Correct the path or keep, or have `records` of the parent leave such rows "
                "out.",
            )
        found[reference] = value
    return found


def filled(request: Request, values: Values, stream: str) -> Request:
    """Return a request in which the values of parents stand in their places."""
    if not values:
        return request
    return replace(
        request,
        url=TEMPLATE.sub(lambda found: _in_path(found[0], values, stream), request.url),
        params=_replaced(request.params, values),
        headers={name: str(_replaced(text, values)) for name, text in request.headers.items()},
        json=_replaced(request.json, values),
        form=None if request.form is None else _replaced(request.form, values),
    )


def kept(endpoint: Endpoint, rows: list[Row], values: Values) -> list[Row]:
    """Return rows with the fields that they take from their parents.

    Raises:
        DataError: A row has such a field with another value.
    """
    if not endpoint.keep:
        return rows
    taken = {name: values[reference] for name, reference in endpoint.keep.items()}
    for row in rows:
        for name, value in taken.items():
            if name in row and row[name] != value:
                raise DataError(
                    f"the row has another value than its parent's ({value!r}).",
                    stream=endpoint.name,
                    field=name,
                    value=row[name],
                    hint="Keep the parent's under a name that the rows do not have.",
                )
    return [{**row, **taken} for row in rows]


def _in_path(template: str, values: Values, stream: str) -> str:
    value = values[template[1:-1]]
    text = text_of(value, template)
    if text in {"", ".", ".."}:
        raise DataError(
            "the value cannot be a part of a path: it would be another one.",
            stream=stream,
            field=template[1:-1],
            value=value,
            hint="Have `records` of the parent leave such rows out.",
        )
    return quote(text, safe="")


def _replaced(value: Any, values: Values) -> Any:
    if isinstance(value, str):
        whole = TEMPLATE.fullmatch(value)
        if whole is not None:
            return values[value[1:-1]]  # a number stays one
        return TEMPLATE.sub(lambda found: text_of(values[found[0][1:-1]], found[0]), value)
    if isinstance(value, Mapping):
        return {name: _replaced(one, values) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(one, values) for one in value]
    return value
