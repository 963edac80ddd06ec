"""One request of an API: what is asked, before credentials are added to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Self
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit

import msgspec

from etl_assets.exceptions import ConfigError, shorten

_json = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Request:
    """One request.

    Args:
        method: `GET`, `POST` or another.
        url: An absolute URL, which may have parameters of its own.
        params: Parameters of the query. One that is None is left out; a list is repeated. They
            replace those of the same name in the URL.
        headers: Header fields.
        json: The body, as JSON.
        form: The body, as a form.
    """

    method: str
    url: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    form: Mapping[str, Any] | None = field(default=None, repr=False)

    def with_params(self, params: Mapping[str, Any]) -> Self:
        """Return the request with more parameters, which replace others of the same name."""
        return replace(self, params={**self.params, **params})

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return the request with more header fields, which replace others of the same name."""
        names = {name.lower() for name in headers}
        others = {name: text for name, text in self.headers.items() if name.lower() not in names}
        return replace(self, headers={**others, **headers})

    def with_json(self, path: str, value: Any) -> Self:
        """Return the request with a value in its JSON body.

        Args:
            path: Where it is, such as `page.cursor`. Objects on the way are made if they lack.
            value: The value.
        """
        return replace(self, json=_placed(self.json, path.split("."), value))

    def with_value(self, value: Any, param: str | None, body: str | None) -> Self:
        """Return the request with a value as a parameter, in its body, or both."""
        asked = self if param is None else self.with_params({param: value})
        return asked if body is None else asked.with_json(body, value)

    @property
    def path(self) -> str:
        """The path of the URL, for people."""
        return urlsplit(self.url).path or "/"

    @property
    def full_url(self) -> str:
        """The URL with all parameters."""
        pairs = urlencode(list(_pairs(self.params)), quote_via=quote)
        parts = urlsplit(self.url)
        kept = [
            one
            for one in parts.query.split("&")
            if one and unquote_plus(one.partition("=")[0]) not in self.params
        ]
        query = "&".join([*kept, pairs] if pairs else kept)
        return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))

    @property
    def content(self) -> bytes | None:
        """The body as it is sent."""
        if self.form is not None:
            return urlencode(list(_pairs(self.form))).encode()
        return None if self.json is None else _json.encode(self.json)

    @property
    def content_type(self) -> str | None:
        """What the body is."""
        if self.form is not None:
            return "application/x-www-form-urlencoded"
        return None if self.json is None else "application/json"

    @property
    def identity(self) -> bytes:
        """What tells the request from others of the same endpoint."""
        told = (self.method, self.full_url, self.content, sorted(self.headers.items()))
        return blake2b(repr(told).encode(), digest_size=16).digest()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def origin(url: str) -> tuple[str, str, int | None]:
    """Return what tells a host from others: the scheme, the name and the port."""
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def text_of(value: Any, name: str) -> str:
    """Return a value as it is written in a URL.

    Raises:
        ConfigError: It is no text, number or boolean.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | float | Decimal):
        return _json.encode(value).decode()
    raise ConfigError(
        f"{name} is {shorten(value)}, which cannot be written in a URL.",
        hint="Use a text, a number or a boolean.",
    )


def _pairs(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        values = value if isinstance(value, list | tuple) else [value]
        yield from ((name, text_of(one, name)) for one in values if one is not None)


def _placed(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    if document is not None and not isinstance(document, Mapping):
        raise ConfigError(
            f"The body has no object where {'.'.join(path)!r} is to be set.",
            hint="Correct the path, or the endpoint's json.",
        )
    inner = (document or {}).get(path[0])
    return {**(document or {}), path[0]: _placed(inner, path[1:], value)}
