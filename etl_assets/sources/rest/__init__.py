"""HTTP APIs: a source in a few lines, exact and never silently partial."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.sources.rest.auth import ApiKey, Basic, Bearer, Login
    from etl_assets.sources.rest.endpoint import Endpoint
    from etl_assets.sources.rest.incremental import Since
    from etl_assets.sources.rest.oauth import ClientCredentials, RefreshToken, TokenFile
    from etl_assets.sources.rest.pages import (
        Cursor,
        LinkHeader,
        NextUrl,
        Offset,
        OnePage,
        Page,
        PageNumber,
    )
    from etl_assets.sources.rest.queries import graphql
    from etl_assets.sources.rest.request import Request
    from etl_assets.sources.rest.responses import Answer
    from etl_assets.sources.rest.source import RestSource

_HOME = {
    "Answer": "responses",
    "ApiKey": "auth",
    "Basic": "auth",
    "Bearer": "auth",
    "ClientCredentials": "oauth",
    "Cursor": "pages",
    "Endpoint": "endpoint",
    "LinkHeader": "pages",
    "Login": "auth",
    "NextUrl": "pages",
    "Offset": "pages",
    "OnePage": "pages",
    "Page": "pages",
    "PageNumber": "pages",
    "RefreshToken": "oauth",
    "Request": "request",
    "RestSource": "source",
    "Since": "incremental",
    "TokenFile": "oauth",
    "graphql": "queries",
}

__all__ = [
    "Answer",
    "ApiKey",
    "Basic",
    "Bearer",
    "ClientCredentials",
    "Cursor",
    "Endpoint",
    "LinkHeader",
    "Login",
    "NextUrl",
    "Offset",
    "OnePage",
    "Page",
    "PageNumber",
    "RefreshToken",
    "Request",
    "RestSource",
    "Since",
    "TokenFile",
    "graphql",
]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
