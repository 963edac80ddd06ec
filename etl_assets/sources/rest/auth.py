"""Who is asking: what makes a request one of somebody who may ask.

An auth is a description without a connection. `open` makes its credentials when the first request
is sent: references are resolved then, never before. A function from a request to a request is an
auth as well, for signatures and the like.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from etl_assets.exceptions import ConfigError
from etl_assets.redaction import remember
from etl_assets.secrets.option import wrap_secrets
from etl_assets.secrets.references import resolve
from etl_assets.sources.rest.request import Request
from etl_assets.sources.rest.responses import Answer

Send = Callable[[Request], Answer]
"""Sends a request without credentials; an answer that is an error is raised."""


class Credentials(Protocol):
    """What an auth has come to, for one connection."""

    def sign(self, request: Request) -> Request:
        """Return the request with the credentials."""
        ...

    def renew(self) -> bool:
        """Return whether there are other credentials now, after the server refused these."""
        ...


class Auth(Protocol):
    """Who is asking."""

    def open(self, send: Send) -> Credentials:
        """Return the credentials of a new connection. Resolves references."""
        ...


@dataclass(frozen=True)
class Bearer:
    """A token in the header `Authorization`.

    Args:
        token: The token, or a reference to it.
        scheme: The word before it.
    """

    token: Any = field(repr=False)
    scheme: str = "Bearer"

    def __post_init__(self) -> None:
        object.__setattr__(self, "token", wrap_secrets(self.token, secret=True))

    def open(self, send: Send) -> Credentials:
        """Return the credentials of a new connection."""
        del send
        return Given(lambda: header("Authorization", f"{self.scheme} {text(self.token, 'token')}"))


@dataclass(frozen=True)
class Basic:
    """A user and a password.

    Args:
        user: The user, or a reference.
        password: The password, or a reference.
    """

    user: Any
    password: Any = field(default="", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "password", wrap_secrets(self.password, secret=True))

    def open(self, send: Send) -> Credentials:
        """Return the credentials of a new connection."""
        del send
        return Given(lambda: basic(text(self.user, "user"), text(self.password, "password")))


@dataclass(frozen=True)
class ApiKey:
    """A key in a header, or as a parameter of the query.

    Args:
        key: The key, or a reference to it.
        header: The header, such as `X-Api-Key`...
        param: ...or the parameter.

    Raises:
        ConfigError: Neither or both are given.
    """

    key: Any = field(repr=False)
    header: str | None = None
    param: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", wrap_secrets(self.key, secret=True))
        if (self.header is None) == (self.param is None):
            raise ConfigError(
                "ApiKey needs a header or a param, and not both.",
                hint='For example ApiKey(dg.EnvVar("KEY"), header="X-Api-Key").',
            )

    def open(self, send: Send) -> Credentials:
        """Return the credentials of a new connection."""
        del send
        return Given(self._added)

    def _added(self) -> "Added":
        key = text(self.key, "key")
        if self.param is not None:
            return Added({}, {self.param: key})
        return header(str(self.header), key)


@dataclass(frozen=True)
class Login:
    """A session that a function begins.

    Args:
        begin: Called when a connection is opened, and again if the server refuses what it gave. It
            is given a function that sends a `Request`, and returns header fields for all others, or
            None where cookies are enough.
    """

    begin: Callable[[Send], Mapping[str, str] | None]

    def open(self, send: Send) -> Credentials:
        """Return the credentials of a new connection."""
        return Given(lambda: Added(_remembered(self.begin(send) or {}), {}), always=True)


@dataclass(frozen=True)
class Signed:
    """A function that signs each request.

    Args:
        sign: From a request to the one that is sent.
    """

    sign: Callable[[Request], Request]

    def open(self, send: Send) -> Credentials:
        """Return the credentials of a new connection, which are the function."""
        del send
        return self

    def renew(self) -> bool:
        """Return that there are no others."""
        return False


@dataclass(frozen=True)
class Added:
    """What is added to a request: header fields and parameters."""

    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, str] = field(repr=False)


class Given:
    """Credentials that are found once, and looked for again when they are refused.

    Args:
        find: Finds them.
        always: What is found is worth a try even if it looks as before.
    """

    def __init__(self, find: Callable[[], Added], *, always: bool = False) -> None:
        self._find = find
        self._always = always
        self._added = find()

    def sign(self, request: Request) -> Request:
        """Return the request with the credentials."""
        added = self._added
        return request.with_headers(added.headers).with_params(added.params)

    def renew(self) -> bool:
        """Return whether there are others now: a secret may have been rotated."""
        before, self._added = self._added, self._find()
        return self._always or self._added != before


class Nobody:
    """No credentials."""

    def open(self, send: Send) -> Credentials:
        """Return no credentials."""
        del send
        return self

    def sign(self, request: Request) -> Request:
        """Return the request."""
        return request

    def renew(self) -> bool:
        """Return that there are none."""
        return False


def auth_of(given: Any) -> Auth:
    """Return an auth, which may be given as a function.

    Raises:
        ConfigError: It is neither.
    """
    if given is None:
        return Nobody()
    if hasattr(given, "open"):
        found: Auth = given
        return found
    if callable(given):
        return Signed(given)
    raise ConfigError(
        f"auth is a {type(given).__name__}.",
        hint="Use Bearer, Basic, ApiKey, ClientCredentials, RefreshToken, Login, or a function "
        "that is given a request and returns the one to send.",
    )


def text(value: Any, name: str) -> str:
    """Return a secret, its reference resolved; it is masked from now on."""
    found = str.__str__(str(resolve(value, name=name)))
    remember(found)
    return found


def header(name: str, value: str) -> Added:
    """Return a header field to add."""
    return Added({name: value}, {})


def basic(user: str, password: str) -> Added:
    """Return the header field of a user and a password."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    remember(pair)
    return header("Authorization", f"Basic {pair}")


def _remembered(headers: Mapping[str, str]) -> dict[str, str]:
    for value in headers.values():
        for part in value.split():
            remember(part)
    return dict(headers)
