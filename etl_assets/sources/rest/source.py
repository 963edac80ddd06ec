"""An HTTP API as a source."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from etl_assets.arguments import OBJECT, check, check_number, refuse_unknown_options
from etl_assets.exceptions import ConfigError, did_you_mean, naming_stream
from etl_assets.model.batch import Batch
from etl_assets.model.catalog import Catalog
from etl_assets.model.request import NO_REQUEST, ReadRequest
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.redaction import remember
from etl_assets.secrets.option import wrap_secrets
from etl_assets.secrets.references import is_reference, resolve
from etl_assets.sources.base import Source
from etl_assets.sources.rest.auth import auth_of
from etl_assets.sources.rest.connection import Connection, Options, connected
from etl_assets.sources.rest.discovery import proposed
from etl_assets.sources.rest.endpoint import Endpoint
from etl_assets.sources.rest.limits import interval_of, limiter_of
from etl_assets.sources.rest.openapi import document_of
from etl_assets.sources.rest.pages import pages_of
from etl_assets.sources.rest.parents import parent_of
from etl_assets.sources.rest.reading import Api, EndpointRead, Wanted
from etl_assets.sources.rest.records import refuse_filter
from etl_assets.sources.rest.words import auth_in, endpoints_in, pages_in
from etl_assets.sources.tap.verbs import MODES

_OTHERS = (*MODES, "properties", "state_message_every", "verbose")
"""What every source takes beside what its constructor names."""


class RestSource(Source):
    """An HTTP API, whose endpoints are streams.

    ```python
    api = RestSource(
        name="crm", url="https://api.example.com/v2", auth=Bearer(dg.EnvVar("CRM_TOKEN")),
        streams=[Endpoint("users", "/users", records="data", pages=LinkHeader())],
    )
    ```

    A read is whole or fails: an answer that lacks its records, changes its shape, leads back to a
    page that was read, or ends before its total is an error.

    Args:
        name: Unique in a project; part of the key under which state is stored.
        url: Where the paths begin, or a reference.
        streams: The endpoints. Each may also be a mapping with the arguments of `Endpoint`, as in
            YAML; names are those of streams that `openapi` proposes.
        auth: Who is asking: `Bearer`, `Basic`, `ApiKey`, `ClientCredentials`, `RefreshToken`,
            `Login`, or a function from a request to the request that is sent.
        pages: How one page leads to the next, where an endpoint does not say it.
        params: Parameters of all requests. May hold references.
        headers: Header fields of all requests. May hold references.
        rate: How often it is asked at most, such as `10/s`: all its streams in this process
            together.
        concurrency: How many parents of an endpoint are read at once.
        timeout: Seconds to connect, and to wait for the next piece of an answer.
        retries: How often a request is sent again that failed in passing.
        max_wait: How many seconds it is waited at most where the API asks for a pause. A longer
            one is an error, and Dagster's retries wait.
        max_bytes: How large one answer may be.
        http2: Use HTTP/2 where the server has it.
        proxy: A proxy, or a reference; by default as the environment says.
        verify: How the server's certificate is checked: True, or a path to certificates.
        trusted_hosts: Other hosts that are given the credentials, where pages or redirects lead.
        openapi: An OpenAPI document, from which `discover` proposes streams.
        options: What every source takes (`catalog`, `config`, ...).

    Raises:
        ConfigError: An option is not known, or not of its kind.
    """

    is_sorted = False
    filters_partitions = True
    storage_kind = "rest"

    def __init__(  # noqa: PLR0913 - each is an option of its own, by keyword
        self,
        name: str | None = None,
        url: Any = None,
        *,
        streams: Sequence[Any] | Mapping[str, Any] | None = None,
        auth: Any = None,
        pages: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        rate: str | None = None,
        concurrency: int = 1,
        timeout: float = 30.0,
        retries: int = 5,
        max_wait: float = 300.0,
        max_bytes: int = 2**28,
        http2: bool = False,
        proxy: Any = None,
        verify: bool | str = True,
        trusted_hosts: Sequence[str] = (),
        openapi: Any = None,
        **options: Any,
    ) -> None:
        own = type(self).__name__
        refuse_unknown_options(own, type(self), options, _OTHERS)
        _check_options(own, locals())
        super().__init__(name=name, **options)
        self._url = _given(own, self._config.get("url") if url is None else url)
        self.openapi = openapi
        self._auth = auth_of(auth_in(auth))
        self._interval = interval_of(rate)
        self._pages = pages_of(pages_in(pages))
        self._params = wrap_secrets(dict(params or {}))
        self._concurrency = concurrency
        self._sending = Options(
            timeout,
            retries,
            max_wait,
            max_bytes,
            http2,
            proxy,
            verify,
            trusted_hosts,
            headers or {},
        )
        self._endpoints = self._declared(streams)
        self.streams = [one.stream for one in self._endpoints.values()]

    # Hooks

    def test_connection(self) -> None:
        """Read one page of the first stream that has no parent.

        Raises:
            ConnectError: The API cannot be reached, or does not let us in.
            SourceError: It answers with an error, or the answer lacks its records.
        """
        for endpoint in self._all().values():
            if not endpoint.parents:
                with naming_stream(endpoint.name), self._connected() as connection:
                    EndpointRead(self._api(), connection, endpoint.stream).first_page()
                return

    def discover(self, streams: Sequence[str] | None = None) -> Catalog:
        """Return the declared streams, or those that the OpenAPI document proposes."""
        catalog = Catalog([one.stream for one in self._all().values()])
        return catalog if streams is None else Catalog(catalog.select(streams))

    def load_data(
        self,
        stream: Stream,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        *,
        request: ReadRequest = NO_REQUEST,
        **kwargs: Any,
    ) -> Iterator[Batch]:
        """Yield the stream's rows, page by page.

        Raises:
            ConfigError: There is no such endpoint, or it cannot do what it is asked for.
            ConnectError: The API cannot be reached, or does not let us in.
            SourceError: It answers with an error, or with less than all.
            DataError: A value cannot be read exactly.
        """
        refuse_filter(query, str(self.name))
        self._refuse_unknown(stream)
        is_sample = bool(kwargs.get("sample_data")) or "_limit" in (query or {})
        wanted = Wanted(bookmarks, request.partitions, is_sample)
        with naming_stream(stream.name), self._connected() as connection:
            yield from EndpointRead(self._api(), connection, stream).batches(wanted)

    # Inside

    def _declared(self, given: Any) -> dict[str, Endpoint]:
        if given is None:
            if self.openapi is None and self.catalog is None:
                raise ConfigError(
                    "RestSource needs streams.",
                    hint='For example streams=[Endpoint("users", "/users")], or an OpenAPI '
                    "document to discover them from.",
                )
            return {}
        found: dict[str, Endpoint] = {}
        offered = {} if self.openapi is None else self._proposed()
        for one in endpoints_in(given):
            endpoint = offered.get(one) if isinstance(one, str) else one
            if not isinstance(endpoint, Endpoint):
                raise ConfigError(
                    f"streams has a {type(one).__name__} that is no endpoint.",
                    hint='Use Endpoint("users", "/users"), or the name of a stream of openapi=.',
                )
            if endpoint.name in found:
                raise ConfigError(
                    f"Two streams are called {endpoint.name!r}.", hint="Rename one of them."
                )
            found[endpoint.name] = endpoint
        for endpoint in found.values():
            parent_of(endpoint, found)
        return found

    def _proposed(self) -> dict[str, Endpoint]:
        given = self.openapi
        document = given if isinstance(given, Mapping) else document_of(given)
        return {one.name: one for one in proposed(document)}

    def _all(self) -> Mapping[str, Endpoint]:
        return self._endpoints or ({} if self.openapi is None else self._proposed())

    def _refuse_unknown(self, stream: Stream) -> None:
        known = self._all()
        if stream.name not in known:
            raise ConfigError(
                f"There is no endpoint for the stream {stream.name!r}.",
                hint=did_you_mean(stream.name, known),
                stream=stream.name,
            )

    def _api(self) -> Api:
        params = resolve(self._params, name="params")
        endpoints = {
            name: one if not _has_references(one) else _resolved(one)
            for name, one in self._all().items()
        }
        return Api(self._address(), endpoints, self._pages, params, self._concurrency)

    def _address(self) -> str:
        url = str.__str__(resolve(self._url, name="url"))
        remember(url)  # it may have a password
        if "://" not in url:
            raise ConfigError(
                f"The url of {self.name!r} is no URL.", hint="It begins with https://."
            )
        return url

    def _connected(self) -> AbstractContextManager[Connection]:
        url = self._address()
        options = self._sending.resolved()
        limiter = limiter_of(f"{self.name} {url}", self._interval)
        return connected(url, self._auth, options, limiter)


def _given(own: str, url: Any) -> Any:
    """Refuse a source without a URL."""
    if url is None:
        raise ConfigError(
            f"{own} needs a url.", hint='For example RestSource(url="https://api.example.com").'
        )
    return url


def _has_references(endpoint: Endpoint) -> bool:
    held = (endpoint.params, endpoint.headers, endpoint.form, endpoint.json)
    return any(map(_holds_reference, held))


def _holds_reference(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_reference, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_reference, value))
    return is_reference(value)


def _resolved(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint with its references resolved."""
    names = ("params", "headers", "form", "json")
    found = {name: resolve(getattr(endpoint, name), name=name) for name in names}
    return replace(endpoint, **found)


def _check_options(own: str, given: Mapping[str, Any]) -> None:
    for name in ("params", "headers"):
        if given[name] is not None:
            check(own, name, given[name], OBJECT)
    for name in ("concurrency", "timeout", "max_wait", "max_bytes"):
        check_number(own, name, given[name], (int | float, "a number"))
    check(own, "retries", given["retries"], (int, "a whole number"))
