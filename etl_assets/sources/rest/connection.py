"""A connection to an API: requests are sent, sent again where that may help, and answered whole."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    EtlAssetsError,
    ProtocolError,
    RateLimitedError,
    SourceError,
    UnavailableError,
)
from etl_assets.packages import require
from etl_assets.redaction import redact
from etl_assets.redaction.logs import masked_logger
from etl_assets.secrets.option import wrap_secrets
from etl_assets.secrets.references import resolve
from etl_assets.sources.rest import body
from etl_assets.sources.rest.auth import Auth, Credentials
from etl_assets.sources.rest.limits import Limiter, asked_pause, used_up
from etl_assets.sources.rest.request import Request, origin
from etl_assets.sources.rest.responses import Answer
from etl_assets.sources.rest.transport import transport

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 10
_log = masked_logger("etl_assets.sources.rest")
_THEIR_LOGGERS = (
    *("httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy"),
    *("httpcore.socks", "hpack.hpack", "hpack.table", "h2"),
)
"""They log URLs and header fields, and a key may be in one."""
_REDIRECTS = {301, 302, 303, 307, 308}
_KEEP_METHOD = {307, 308}
_RATE_LIMITED = {429}
_FORBIDDEN = 403
_REFUSED = {401, _FORBIDDEN}
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0


@dataclass(frozen=True)
class Options:
    """How requests are sent.

    Args:
        timeout: Seconds to connect, and to wait for the next piece of an answer.
        retries: How often a request is sent again.
        max_wait: How many seconds it is waited at most where the API asks for a pause.
        max_bytes: How large an answer may be, decompressed.
        http2: Use HTTP/2 where the server has it.
        proxy: A proxy; by default as the environment says.
        verify: How the server's certificate is checked: True, or a path to certificates.
        trusted_hosts: Other hosts that are given the credentials.
        headers: Header fields of all requests.
    """

    timeout: float = 30.0
    retries: int = 5
    max_wait: float = 300.0
    max_bytes: int = 2**28
    http2: bool = False
    proxy: Any = field(default=None, repr=False)
    verify: bool | str = True
    trusted_hosts: Sequence[str] = ()
    headers: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name, value in wrap_secrets({"proxy": self.proxy, "headers": self.headers}).items():
            object.__setattr__(self, name, value)

    def resolved(self) -> Self:
        """Return the options with their references resolved."""
        headers = resolve(dict(self.headers), name="headers")
        plain = {name: str.__str__(text) for name, text in headers.items()}
        return replace(self, proxy=resolve(self.proxy, name="proxy"), headers=plain)


class _AgainError(Exception):
    """The request may be sent again.

    Args:
        error: What to raise if that does not help.
        pause: Seconds that the API asks to wait.
    """

    def __init__(self, error: EtlAssetsError, pause: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause = pause


class Connection:
    """A connection to an API, which several threads may use.

    Args:
        client: Sends.
        url: The API's URL: only its host, and trusted ones, are given the credentials.
        auth: Who is asking.
        options: How requests are sent.
        limiter: Has them wait for their turn.
    """

    def __init__(
        self, client: "httpx.Client", url: str, auth: Auth, options: Options, limiter: Limiter
    ) -> None:
        self._client = client
        self._options = options
        self._limiter = limiter
        self._origins = {origin(url), *map(_origin_of_host, options.trusted_hosts)}
        self._lock = threading.Lock()
        self._renewals = 0
        self._stopped = threading.Event()
        self._auth = auth
        self._credentials: Credentials | None = None

    def stop(self) -> None:
        """Wake up whoever waits; nothing more is sent."""
        self._stopped.set()

    def ask(
        self, request: Request, *, accepted: tuple[int, ...] = (), check: Callable[[Answer], Any]
    ) -> Answer:
        """Return the answer to a request.

        Args:
            request: The request, without credentials.
            accepted: Statuses beside those of success that are no error.
            check: Looks at the answer; what it raises as a `ProtocolError` may be a cut answer,
                and is asked for again.

        Raises:
            AuthenticationError: The API refuses the credentials.
            RateLimitedError: It asks for a longer pause than may be waited.
            UnavailableError: It cannot be reached, or fails, also when it is asked again.
            SourceError: It answers with another error.
        """
        return self._sent(request, accepted=accepted, check=check, signs=True)

    def send(self, request: Request) -> Answer:
        """Return the answer to a request without credentials, such as one for a token."""
        return self._sent(request, accepted=(), check=lambda answer: answer.status, signs=False)

    def _sent(
        self,
        request: Request,
        *,
        accepted: tuple[int, ...],
        check: Callable[[Answer], Any],
        signs: bool,
    ) -> Answer:
        tenacity = require("tenacity", "RestSource")
        longest = self._options.max_wait
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_AgainError),
            stop=tenacity.stop_after_attempt(self._options.retries + 1)
            | (lambda state: (_pause(state) or 0) > longest),
            wait=_Waits(
                tenacity.wait_exponential(multiplier=_FIRST_WAIT, max=_LONGEST_WAIT)
                + tenacity.wait_random(0, _FIRST_WAIT)
            ),
            sleep=self._sleep,
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            answer: Answer = retrying(self._once, request, accepted, check, signs)
        except _AgainError as error:
            raise error.error from error.__cause__
        return answer

    def _once(
        self,
        request: Request,
        accepted: tuple[int, ...],
        check: Callable[[Answer], Any],
        signs: bool,  # noqa: FBT001 - handed on by tenacity
    ) -> Answer:
        renewals = self._renewals
        answer = self._followed(request, signs=signs)
        if answer.status == 401 and signs and self._renewed(renewals):  # noqa: PLR2004 - Unauthorized
            answer = self._followed(request, signs=signs)
        self._judge(answer, accepted, signs=signs)
        try:
            check(answer)
        except ProtocolError as error:
            wrong = answer.error(f"answered what cannot be read: {error.message}", hint=error.hint)
            raise _AgainError(wrong) from error
        return answer

    def _judge(self, answer: Answer, accepted: tuple[int, ...], *, signs: bool) -> None:
        """Raise the error of a status that is one."""
        status, headers = answer.status, answer.headers
        pause = used_up(headers)
        if pause is not None and pause <= self._options.max_wait:
            self._limiter.pause(pause)
        if 200 <= status < 300 or status in accepted:  # noqa: PLR2004 - success
            return
        asked = asked_pause(headers)
        if status in _RATE_LIMITED or (status == _FORBIDDEN and pause is not None):
            self._raise_limited(answer, asked if asked is not None else pause)
        if status >= 500 or status in {408, 425}:  # noqa: PLR2004 - the server's errors
            error = UnavailableError(
                f"{answer} answered {status}. It said: {answer.shown}",
                hint="Try again later, or ask whoever runs the API.",
            )
            if asked is not None:
                self._limiter.pause(min(asked, self._options.max_wait))
            raise _AgainError(error, asked)
        if status in _REFUSED:
            raise AuthenticationError(
                f"{answer} answered {status}. It said: {answer.shown}",
                hint=self._hint(answer, signs),
            )
        raise SourceError(
            f"{answer} answered {status}. It said: {answer.shown}",
            hint="Check the path and the parameters of the endpoint against the API's own pages.",
        )

    def _raise_limited(self, answer: Answer, pause: float | None) -> None:
        if pause is not None and pause <= self._options.max_wait:
            self._limiter.pause(pause)
        raise _AgainError(
            RateLimitedError(
                f"{answer} answered {answer.status}: too many requests. It said: {answer.shown}",
                retry_after=pause,
                hint='Give the source a rate, such as rate="5/s".',
            ),
            pause,
        )

    def _hint(self, answer: Answer, signs: bool) -> str:  # noqa: FBT001 - passed on
        if signs and not self._trusts(answer.url):
            scheme = urlsplit(answer.url).scheme
            return (
                f"{scheme}://{_host(answer.url)} is another host than the API's, and was given no "
                "credentials. If it may have them, name it in trusted_hosts."
            )
        return "Check the credentials, and what they are allowed to read."

    # One request

    def _followed(self, request: Request, *, signs: bool) -> Answer:
        """Send a request, and follow where it is led."""
        for _ in range(MAX_REDIRECTS):
            answer = self._exchanged(request, signs=signs)
            place = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not place:
                return answer
            request = _redirected(request, answer, urljoin(answer.url, place))
        raise answer.error(f"was led on more than {MAX_REDIRECTS} times.")

    def _exchanged(self, request: Request, *, signs: bool) -> Answer:
        import httpx

        if urlsplit(request.url).scheme not in {"http", "https"}:
            raise SourceError(f"{request.url!r} is no URL of HTTP.")
        self._limiter.wait(self._sleep)
        if self._stopped.is_set():
            raise SourceError("The read has ended.")
        trusted = not signs or self._trusts(request.url)
        asked = self._signed(request, signs=signs) if trusted else _stripped(request)
        try:
            return self._answer(asked, trusted=trusted)
        except httpx.InvalidURL as error:
            raise SourceError(f"{request.url!r} is no URL: {error}.") from error
        except httpx.UnsupportedProtocol as error:
            raise SourceError(f"{request}: {error}.") from error
        except (httpx.TransportError, body.CutBodyError) as error:
            raise _AgainError(
                UnavailableError(
                    f"{request}: no whole answer from {_host(request.url)}: "
                    f"{type(error).__name__}: {redact(str(error))}",
                    hint="Check the url, the network and the proxy, or raise timeout=.",
                )
            ) from error
        except body.TooLargeError:
            raise SourceError(
                f"{request}: the answer is larger than {self._options.max_bytes:,} bytes.",
                hint="Ask for smaller pages, or raise max_bytes.",
            ) from None

    def _answer(self, request: Request, *, trusted: bool) -> Answer:
        content, kind = request.content, request.content_type
        headers = {"Accept-Encoding": "gzip, deflate", "Accept": "application/json, */*;q=0.5"}
        if kind is not None:
            headers["Content-Type"] = kind
        if trusted:
            headers |= self._options.headers
        names = {name.lower() for name in request.headers}
        headers = {name: one for name, one in headers.items() if name.lower() not in names}
        made = self._client.build_request(
            request.method,
            request.full_url,
            content=content,
            headers={**headers, **request.headers},
        )
        response = self._client.send(made, stream=True)
        try:
            limit = self._options.max_bytes
            if response.is_stream_consumed:  # of a transport that a test has made
                told = body.whole([response.content], "", limit)
            else:
                coding = response.headers.get("content-encoding", "")
                told = body.whole(response.iter_raw(), coding, limit)
            found = {name.lower(): text for name, text in response.headers.items()}
            ends = "content-length" in found or "chunked" in found.get("transfer-encoding", "")
            is_two = response.http_version == "HTTP/2"
            return Answer(
                request.method,
                str(made.url),
                response.status_code,
                found,
                body.unzipped(told, limit),
                ends or is_two,
            )
        finally:
            response.close()

    def _signed(self, request: Request, *, signs: bool) -> Request:
        if not signs:
            return request
        with self._lock:
            if self._credentials is None:
                self._credentials = self._auth.open(self.send)
        return self._credentials.sign(request)

    def _renewed(self, renewals: int) -> bool:
        """Return whether there are other credentials than those that were refused."""
        with self._lock:
            if self._renewals != renewals:
                return True  # another thread was faster
            if self._credentials is None or not self._credentials.renew():
                return False
            self._renewals += 1
            return True

    def _trusts(self, url: str) -> bool:
        return origin(url) in self._origins

    # Waiting

    def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            self._stopped.wait(seconds)

    def _tell(self, state: Any) -> None:
        error = state.outcome.exception()
        if self._stopped.is_set():
            return
        _log.warning(
            "%s Trying again in %.1f s (%d of %d).",
            error.error.message,
            state.next_action.sleep,
            state.attempt_number,
            self._options.retries,
        )


@contextmanager
def connected(url: str, auth: Auth, options: Options, limiter: Limiter) -> Iterator[Connection]:
    """Open a connection; nothing is sent yet.

    Raises:
        ConfigError: A package is missing, or an option is none of httpx's.
    """
    httpx = require("httpx", "RestSource")
    if options.http2:
        require("h2", "http2=True")
    for name in _THEIR_LOGGERS:
        masked_logger(name)
    try:
        client = httpx.Client(
            timeout=options.timeout,
            http2=options.http2,
            verify=_certificates(options.verify),
            proxy=options.proxy,
            transport=transport(),
            follow_redirects=False,
            headers={"User-Agent": "etl-assets"},
        )
    except (ValueError, TypeError, OSError) as error:
        raise ConfigError(f"No connection can be made: {redact(str(error))}.") from error
    with client:
        connection = Connection(client, url, auth, options, limiter)
        try:
            yield connection
        finally:
            connection.stop()


@cache
def _certificates(verify: bool | str) -> Any:  # noqa: FBT001 - httpx's own argument
    """Return how certificates are checked; to read those of the system takes a while."""
    import httpx

    return httpx.create_ssl_context(verify=verify)


class _Waits:
    """How long is waited: longer each time, and at least as long as the API asks.

    Args:
        otherwise: How long where the API asks for nothing.
    """

    def __init__(self, otherwise: Callable[[Any], float]) -> None:
        self._otherwise = otherwise

    def __call__(self, state: Any) -> float:
        return max(_pause(state) or 0.0, self._otherwise(state))


def _pause(state: Any) -> float | None:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.pause if isinstance(error, _AgainError) else None


def _redirected(request: Request, answer: Answer, url: str) -> Request:
    """Return the request that an answer leads to.

    Raises:
        SourceError: It would be another request than the one that was asked.
    """
    if request.method in {"GET", "HEAD"} or answer.status in _KEEP_METHOD:
        return replace(request, url=url, params={})
    raise answer.error(
        f"answered {answer.status}, which leads a {request.method} to {urlsplit(url).path!r}.",
        hint="Give the endpoint the path that it leads to.",
    )


def _stripped(request: Request) -> Request:
    """Return a request for a host that is to learn nothing: without header fields of the user's.

    Raises:
        SourceError: It has a body, which may hold what is secret.
    """
    if request.json is not None or request.form is not None:
        raise SourceError(
            f"{request} would send its body to {_host(request.url)}, which is another host than "
            "the API's.",
            hint="If it may have it, name the host in trusted_hosts.",
        )
    return replace(request, headers={})


def _host(url: str) -> str:
    """Return the host of a URL and its port, without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _origin_of_host(host: str) -> tuple[str, str, int | None]:
    return origin(host if "://" in host else f"https://{host}")
