"""OAuth 2: tokens that a server gives for a client's secret, or for a refresh token."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from etl_assets.exceptions import AuthenticationError, ConfigError, RateLimitedError, SourceError
from etl_assets.logs import warn_once
from etl_assets.redaction import remember
from etl_assets.secrets.option import wrap_secrets
from etl_assets.secrets.references import resolve
from etl_assets.sources.rest.auth import Credentials, Send, basic, text
from etl_assets.sources.rest.request import Request

EARLIER = 30.0
"""So many seconds before its end a token is renewed, or in the middle of a shorter life."""


@dataclass(frozen=True)
class ClientCredentials:
    """A token for a client's id and secret.

    Args:
        token_url: Where tokens are given.
        client_id: The id, or a reference.
        client_secret: The secret, or a reference.
        scope: What the token is to be for.
        params: More fields of the form.
        send_as: `body`: id and secret are fields of the form; `basic`: user and password.
    """

    token_url: Any
    client_id: Any
    client_secret: Any = field(repr=False)
    scope: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    send_as: str = "body"

    def __post_init__(self) -> None:
        object.__setattr__(self, "client_secret", wrap_secrets(self.client_secret, secret=True))
        _check_send_as(self.send_as)

    def open(self, send: Send) -> Credentials:
        """Return the credentials of a new connection; the token is asked for when it is needed."""
        return Tokens(lambda: self._ask(send))

    def _ask(self, send: Send) -> "Token":
        form = {"grant_type": "client_credentials", "scope": self.scope, **resolve(self.params)}
        client = (text(self.client_id, "client_id"), text(self.client_secret, "client_secret"))
        return Token.of(send(_request(self.token_url, form, client, self.send_as)).document)


@dataclass(frozen=True)
class RefreshToken:
    """A token for a refresh token, which the server may replace by another each time.

    Args:
        token_url: Where tokens are given.
        refresh_token: The refresh token, or a reference. One with a method `save`, such as a
            `TokenFile`, is given the new one before anything else goes on.
        client_id: The id, or a reference.
        client_secret: The secret, or a reference.
        scope: What the token is to be for.
        params: More fields of the form.
        send_as: `body`: id and secret are fields of the form; `basic`: user and password.
        save: Called with a new refresh token before anything else goes on; what it raises fails the
            read.
    """

    token_url: Any
    refresh_token: Any = field(repr=False)
    client_id: Any = None
    client_secret: Any = field(default=None, repr=False)
    scope: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    send_as: str = "body"
    save: Callable[[str], object] | None = None

    def __post_init__(self) -> None:
        for name in ("refresh_token", "client_secret"):
            object.__setattr__(self, name, wrap_secrets(getattr(self, name), secret=True))
        _check_send_as(self.send_as)

    def open(self, send: Send) -> Credentials:
        """Return the credentials of a new connection; the token is asked for when it is needed."""
        rotated: list[str] = []
        return Tokens(lambda: self._ask(send, rotated))

    def _ask(self, send: Send, rotated: list[str]) -> "Token":
        with self._alone():
            known = rotated[-1] if rotated else text(self.refresh_token, "refresh_token")
            form = {
                "grant_type": "refresh_token",
                "refresh_token": known,
                "scope": self.scope,
                **resolve(self.params),
            }
            client = None
            if self.client_id is not None:
                secret = "" if self.client_secret is None else text(self.client_secret, "secret")
                client = (text(self.client_id, "client_id"), secret)
            token = Token.of(send(_request(self.token_url, form, client, self.send_as)).document)
            if token.refresh is not None and token.refresh != known:
                self._keep(token.refresh)
                if not hasattr(self.refresh_token, "save"):
                    rotated.append(token.refresh)
            return token

    def _alone(self) -> AbstractContextManager[object]:
        """Hold other processes off, where the refresh token is where they see it."""
        lock = getattr(self.refresh_token, "lock", None)
        alone: AbstractContextManager[object] = lock() if callable(lock) else nullcontext()
        return alone

    def _keep(self, refresh: str) -> None:
        save = self.save or getattr(self.refresh_token, "save", None)
        if save is None:
            warn_once(
                f"{self.token_url} has replaced the refresh token, and nothing saves the new one: "
                "the next run will be refused. Give RefreshToken a save=, or a TokenFile."
            )
            return
        save(refresh)


class TokenFile:
    """A refresh token in a file that only its owner can read, replaced whole.

    Args:
        path: The file.
        first: The token to begin with, or a reference, as long as there is no file.
    """

    def __init__(self, path: Path | str, first: Any = None) -> None:
        self.path = Path(path)
        self._first = wrap_secrets(first, secret=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TokenFile) and self.path == other.path

    def __hash__(self) -> int:
        return hash(self.path)

    @property
    def name(self) -> str:
        """What errors call it."""
        return str(self.path)

    def get_value(self) -> str | None:
        """Return the token."""
        if self.path.exists():
            return self.path.read_text(encoding="utf-8").strip()
        return None if self._first is None else text(self._first, str(self.path))

    def save(self, token: str) -> None:
        """Replace the token; it is on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(  # made with mode 0600
            "w", dir=self.path.parent, prefix=f".{self.path.name}.", delete=False, encoding="utf-8"
        ) as file:
            file.write(token)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(self.path)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold other processes off: a refresh token may serve only once."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(f"{self.path.name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class Token:
    """An access token.

    Args:
        access: The token.
        ends: When it ends, by the monotonic clock; None if the server did not say.
        refresh: The new refresh token, if there is one.
        scheme: The word before it in the header.
    """

    access: str = field(repr=False)
    ends: float | None = None
    refresh: str | None = field(default=None, repr=False)
    scheme: str = "Bearer"

    @classmethod
    def of(cls, document: Any) -> "Token":
        """Return the token of a server's answer.

        Raises:
            AuthenticationError: There is none in it.
        """
        access = document.get("access_token") if isinstance(document, Mapping) else None
        if not isinstance(access, str) or not access:
            raise AuthenticationError(
                "The answer of the token server has no access_token.",
                hint="Check token_url, and what the server says to the same request.",
            )
        remember(access)
        refresh = document.get("refresh_token")
        if isinstance(refresh, str):
            remember(refresh)
        try:
            seconds = float(document["expires_in"])
        except (KeyError, TypeError, ValueError):
            return cls(access, None, refresh)
        return cls(access, time.monotonic() + max(seconds - EARLIER, seconds / 2), refresh)


class Tokens:
    """The access token of one connection, asked for when it is needed.

    Args:
        ask: Asks the server for one.
    """

    def __init__(self, ask: Callable[[], Token]) -> None:
        self._ask = ask
        self._token: Token | None = None
        self._lock = threading.Lock()

    def sign(self, request: Request) -> Request:
        """Return the request with the token."""
        with self._lock:
            token = self._token
            if token is None or (token.ends is not None and time.monotonic() >= token.ends):
                token = self._asked()
        return request.with_headers({"Authorization": f"{token.scheme} {token.access}"})

    def renew(self) -> bool:
        """Ask for another token."""
        with self._lock:
            self._asked()
        return True

    def _asked(self) -> Token:
        try:
            self._token = self._ask()
        except RateLimitedError:
            raise  # which may pass
        except SourceError as error:
            raise AuthenticationError(
                f"The token server gave no token: {error.message}",
                hint="Check the client's id and secret, and the refresh token.",
            ) from error
        return self._token


def _request(
    url: Any, form: Mapping[str, Any], client: tuple[str, str] | None, send_as: str
) -> Request:
    fields = {name: value for name, value in form.items() if value is not None}
    asked = Request("POST", str(resolve(url, name="token_url")), form=fields)
    asked = asked.with_headers({"Accept": "application/json"})
    if client is None:
        return asked
    if send_as == "basic":
        return asked.with_headers(basic(*client).headers)
    secret = {"client_secret": client[1]} if client[1] else {}
    return Request(
        "POST",
        asked.url,
        headers=asked.headers,
        form={**fields, "client_id": client[0], **secret},
    )


def _check_send_as(value: str) -> None:
    if value not in {"body", "basic"}:
        raise ConfigError(f"send_as is {value!r}.", hint="Use 'body' or 'basic'.")
