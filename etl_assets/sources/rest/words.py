"""The objects of a REST source, said in words: what YAML has in their place."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.sources.rest.auth import ApiKey, Basic, Bearer
from etl_assets.sources.rest.endpoint import Endpoint
from etl_assets.sources.rest.incremental import Since
from etl_assets.sources.rest.oauth import ClientCredentials, RefreshToken, TokenFile
from etl_assets.sources.rest.pages import (
    Cursor,
    LinkHeader,
    NextUrl,
    Offset,
    OnePage,
    PageNumber,
)
from etl_assets.sources.rest.queries import graphql

Makers = Mapping[str, Callable[..., Any]]

AUTH: Makers = {
    "api_key": ApiKey,
    "basic": Basic,
    "bearer": Bearer,
    "client_credentials": ClientCredentials,
    "refresh_token": RefreshToken,
}
PAGES: Makers = {
    "cursor": Cursor,
    "link_header": LinkHeader,
    "next_url": NextUrl,
    "offset": Offset,
    "one_page": OnePage,
    "page_number": PageNumber,
}
SINCE: Makers = {"since": Since}
ENDPOINTS: Makers = {"endpoint": Endpoint, "graphql": graphql}
TOKENS: Makers = {"token_file": TokenFile}


def auth_in(given: Any) -> Any:
    """Return the auth that words say, and anything else as it is."""
    if isinstance(given, Mapping) and isinstance(given.get("refresh_token"), Mapping):
        token = made(given["refresh_token"], TOKENS, "refresh_token", "token_file")
        given = {**given, "refresh_token": token}
    return made(given, AUTH, "auth")


def pages_in(given: Any) -> Any:
    """Return the pages that words say, and anything else as it is."""
    return made(given, PAGES, "pages")


def endpoints_in(given: Any) -> list[Any]:
    """Return the endpoints that words say: a list of them, or their options by name."""
    if isinstance(given, Mapping):
        given = [{"name": name, **(one or {})} for name, one in given.items()]
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ConfigError(
            "streams is no list of endpoints.", hint='For example [Endpoint("users", "/users")].'
        )
    return [_endpoint(one) for one in given]


def _endpoint(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    words = dict(given)
    if "pages" in words:
        words["pages"] = pages_in(words["pages"])
    if isinstance(words.get("incremental"), Mapping):
        words["incremental"] = made(words["incremental"], SINCE, "incremental", "since")
    return made(words, ENDPOINTS, "stream", "endpoint")


def made(given: Any, makers: Makers, called: str, default: str | None = None) -> Any:
    """Return the object that words say.

    Args:
        given: A mapping with its `type` and its arguments, or the type alone; anything else is
            returned.
        makers: By the name of their type.
        called: What it is, for errors.
        default: The type where none is said.

    Raises:
        ConfigError: There is no such type, or it has no such argument.
    """
    if isinstance(given, str) and given in makers:
        given = {"type": given}
    if not isinstance(given, Mapping):
        return given
    words = dict(given)
    kind = words.pop("type", default)
    if kind not in makers:
        raise ConfigError(
            f"{called}: there is no type {kind!r}.", hint=did_you_mean(str(kind), makers)
        )
    known = [name for name in inspect.signature(makers[kind]).parameters if name[0] != "_"]
    if makers[kind] is graphql:
        known += inspect.signature(Endpoint).parameters
    for name in words:
        if name not in known:
            raise ConfigError(
                f"{called}: {kind} has no argument {name!r}.", hint=did_you_mean(name, known)
            )
    try:
        return makers[kind](**words)
    except TypeError as error:
        raise ConfigError(
            f"{called}: {kind} {error}.", hint=f"It takes: {', '.join(known)}."
        ) from (error)
