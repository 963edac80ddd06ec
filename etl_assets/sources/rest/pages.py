"""How one page leads to the next. Each is a description; what has been read is in the `Page`.

A function is one as well: it is given a `Page`, and returns the parameters of the next request, its
URL, the `Request` itself, or None at the end.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Protocol
from urllib.parse import urljoin

from etl_assets.exceptions import ConfigError, SourceError
from etl_assets.sources.rest.request import Request
from etl_assets.sources.rest.responses import Answer
from etl_assets.sources.rest.selector import MISSING, Selector

END = "end"


@dataclass(frozen=True)
class Page:
    """One page.

    Args:
        number: From 0 on.
        first: The request of the first page.
        request: The request of this page.
        answer: The answer.
        document: What the body says.
        records: The records in it.
        count: How many records the API has sent: more than `records` where the selector filters
            them.
        before: How many it has sent on the pages before.
        total: How many there are in all, where the page says so.
    """

    number: int
    first: Request
    request: Request
    answer: Answer
    document: Any = field(repr=False)
    records: Sequence[Mapping[str, Any]] = field(repr=False)
    count: int
    before: int
    total: int | None = None

    @property
    def so_far(self) -> int:
        """How many records the API has sent, with this page."""
        return self.before + self.count

    @property
    def is_complete(self) -> bool:
        """Whether the page says a total, and that many records have come."""
        return self.total is not None and self.so_far >= self.total

    def error(self, why: str, *, hint: str | None = None) -> SourceError:
        """Return the error of a page that cannot be gone on from."""
        return self.answer.error(f"(page {self.number + 1}) {why}", hint=hint)


class Pages(Protocol):
    """How one page leads to the next."""

    def begin(self, request: Request) -> Request:
        """Return the request of the first page."""
        ...

    def after(self, page: Page) -> Request | None:
        """Return the request of the page after one, or None at the end."""
        ...


@dataclass(frozen=True)
class OnePage:
    """One page is all. An answer that speaks of another one is nobody's mistake then."""

    def begin(self, request: Request) -> Request:
        """Return the request."""
        return request

    def after(self, page: Page) -> Request | None:
        """Return that there is none."""
        del page
        return None


@dataclass(frozen=True)
class PageNumber:
    """A number of the page as a parameter. The end is an empty page.

    Args:
        param: The parameter...
        start: The first page's number.
        size: How many records a page is to have; None leaves it to the API.
        size_param: The parameter of that.
        body: ...or where in a JSON body the number is.
        size_body: The same of the size.
        pages: Where a page says how many pages there are; the last one is then the end.
        short_page_ends: A page with fewer records than `size` is the last: one request less, where
            the API never gives fewer for another reason.
        last_status: The status that the API answers behind its last page, such as 404.
    """

    param: str | None = "page"
    _: KW_ONLY
    start: int = 1
    size: int | None = None
    size_param: str | None = "per_page"
    body: str | None = None
    size_body: str | None = None
    pages: str | None = None
    short_page_ends: bool = False
    last_status: int | None = None

    def begin(self, request: Request) -> Request:
        """Return the request of the first page."""
        asked = request
        if self.size is not None:
            param = None if self.size_body else self.size_param
            asked = asked.with_value(self.size, param, self.size_body)
        return asked.with_value(self.start, self._param, self.body)

    def after(self, page: Page) -> Request | None:
        """Return the request of the page after one, or None at the end."""
        if not page.count or page.is_complete or _is_short(page, self.size, self.short_page_ends):
            return None
        if self.pages is not None and page.number + 1 >= _number(page, self.pages, "pages"):
            return None
        number = self.start + page.number + 1
        return page.first.with_value(number, self._param, self.body)

    @property
    def _param(self) -> str | None:
        return None if self.body else self.param


@dataclass(frozen=True)
class Offset:
    """How many records come before the page, as a parameter. The end is an empty page.

    The next offset is the number of records that have come, also where the API gives fewer than it
    is asked for.

    Args:
        param: The parameter...
        size: How many records a page is to have.
        size_param: The parameter of that.
        start: The first record's number.
        body: ...or where in a JSON body the offset is.
        size_body: The same of the size.
        short_page_ends: A page with fewer records than `size` is the last.
        last_status: The status that the API answers behind its last page, such as 404.
    """

    param: str | None = "offset"
    _: KW_ONLY
    size: int | None = 100
    size_param: str | None = "limit"
    start: int = 0
    body: str | None = None
    size_body: str | None = None
    short_page_ends: bool = False
    last_status: int | None = None

    def begin(self, request: Request) -> Request:
        """Return the request of the first page."""
        asked = request
        if self.size is not None:
            param = None if self.size_body else self.size_param
            asked = asked.with_value(self.size, param, self.size_body)
        return asked.with_value(self.start, self._param, self.body)

    def after(self, page: Page) -> Request | None:
        """Return the request of the page after one, or None at the end."""
        if not page.count or page.is_complete or _is_short(page, self.size, self.short_page_ends):
            return None
        return page.first.with_value(self.start + page.so_far, self._param, self.body)

    @property
    def _param(self) -> str | None:
        return None if self.body else self.param


@dataclass(frozen=True)
class Cursor:
    """A word of the API's own in each page, which the next request repeats.

    Args:
        at: Where in the page it is, as a JMESPath expression.
        param: The parameter of the next request...
        body: ...or where in its JSON body the cursor goes...
        header: ...or its header field.
        from_header: The header field of the answer that has the cursor, in place of `at`.
        more: Where a page says whether there is another one.
        missing: What it means if a page has no such place at all: `error`, or `end`. Null, "" and
            false are the end.

    Raises:
        ConfigError: It is not said where the cursor is, or where it goes.
    """

    at: str | None = None
    param: str | None = None
    _: KW_ONLY
    body: str | None = None
    header: str | None = None
    from_header: str | None = None
    more: str | None = None
    missing: str = "error"

    def __post_init__(self) -> None:
        if (self.at is None) == (self.from_header is None):
            raise ConfigError(
                "A Cursor is either in the page (at) or in a header (from_header).",
                hint='For example Cursor("meta.next", param="after").',
            )
        if self.param is None and self.body is None and self.header is None:
            raise ConfigError(
                "It is not said where the Cursor goes.", hint="Give it param=, body= or header=."
            )
        _check_missing("Cursor", self.missing)

    def begin(self, request: Request) -> Request:
        """Return the request of the first page."""
        return request

    def after(self, page: Page) -> Request | None:
        """Return the request of the page after one, or None at the end."""
        if self.more is not None and not _says_more(page, self.more):
            return None
        cursor = self._cursor(page)
        if cursor in _NOTHING:
            if self.more is not None:
                raise page.error(f"says that there is more ({self.more}), and has no cursor.")
            return None
        if self.header is not None:
            return page.first.with_headers({self.header: str(cursor)})
        return page.first.with_value(cursor, self.param, self.body)

    def _cursor(self, page: Page) -> Any:
        if self.from_header is not None:
            return page.answer.headers.get(self.from_header.lower())
        missing = END if self.more is not None else self.missing
        return _found(page, str(self.at), missing, "Cursor")


@dataclass(frozen=True)
class LinkHeader:
    """The header `Link`, as GitHub has it.

    Args:
        rel: The relation of the next page.
    """

    rel: str = "next"

    def begin(self, request: Request) -> Request:
        """Return the request of the first page."""
        return request

    def after(self, page: Page) -> Request | None:
        """Return the request of the page after one, or None at the end."""
        return _following(page, page.answer.link(self.rel))


@dataclass(frozen=True)
class NextUrl:
    """The URL of the next page, in the page.

    Args:
        at: Where it is, as a JMESPath expression.
        missing: What it means if a page has no such place at all: `error`, or `end`.
    """

    at: str = "next"
    _: KW_ONLY
    missing: str = "error"

    def __post_init__(self) -> None:
        _check_missing("NextUrl", self.missing)

    def begin(self, request: Request) -> Request:
        """Return the request of the first page."""
        return request

    def after(self, page: Page) -> Request | None:
        """Return the request of the page after one, or None at the end."""
        url = _found(page, self.at, self.missing, "NextUrl")
        if url in _NOTHING:
            return None
        if not isinstance(url, str):
            raise page.error(f"has no URL at {self.at!r}.")
        return _following(page, url)


@dataclass(frozen=True)
class ByFunction:
    """A function from a page to what comes next.

    Args:
        function: The function.
    """

    function: Callable[[Page], Request | Mapping[str, Any] | str | None]

    def begin(self, request: Request) -> Request:
        """Return the request of the first page."""
        return request

    def after(self, page: Page) -> Request | None:
        """Return the request of the page after one, or None at the end."""
        found = self.function(page)
        if found is None or isinstance(found, Request):
            return found
        if isinstance(found, str):
            return _following(page, found)
        return page.first.with_params(found)


def pages_of(given: Any) -> Pages | None:
    """Return how pages follow each other, which may be given as a function.

    Raises:
        ConfigError: It is neither.
    """
    if given is None or hasattr(given, "after"):
        found: Pages | None = given
        return found
    if callable(given):
        return ByFunction(given)
    raise ConfigError(
        f"pages is a {type(given).__name__}.",
        hint="Use PageNumber, Offset, Cursor, LinkHeader, NextUrl, OnePage, or a function.",
    )


_NOTHING = (None, "", False)
_NO = (*_NOTHING, "0", "false")


def speaks_of_more(answer: Answer, document: Any) -> str | None:
    """Return where a page says that there is another one; None if it does not seem to."""
    if answer.link("next") is not None:
        return "the header Link"
    if not isinstance(document, Mapping):
        return None
    places = [(name, document.get(name)) for name in _MORE]
    for around in ("meta", "paging", "pagination", "links", "_links", "response_metadata"):
        inner = document.get(around)
        if isinstance(inner, Mapping):
            places += [(f"{around}.{name}", inner.get(name)) for name in _MORE]
    return next((name for name, value in places if value not in _NO), None)


_MORE = (
    *("next", "next_page", "nextPage", "next_url", "next_cursor", "nextCursor"),
    *("nextPageToken", "next_page_token", "nextToken", "has_more", "hasMore", "hasNextPage"),
)


def _following(page: Page, url: str | None) -> Request | None:
    """Return the request of a URL that a page gives: all that is asked is in it."""
    if not url:
        return None
    first = page.first
    return Request(
        first.method, urljoin(page.answer.url, url), {}, first.headers, first.json, first.form
    )


def _found(page: Page, at: str, missing: str, called: str) -> Any:
    selector = Selector(at)
    value = selector.value(page.document)
    if value is not MISSING:
        return value
    if missing == END or not selector.is_path:
        return None
    raise page.error(
        f"has nothing at {at!r}, not even null.",
        hint=f"Correct {called}({at!r}); or if the API leaves it out on its last page, give it "
        'missing="end".',
    )


def _says_more(page: Page, at: str) -> bool:
    value = Selector(at).value(page.document)
    if value is MISSING:
        raise page.error(f"does not say at {at!r} whether there is more.", hint="Correct more=.")
    return value not in _NO


def _number(page: Page, at: str, called: str) -> int:
    value = Selector(at).value(page.document)
    number = whole_number(value)
    if number is None:
        raise page.error(f"has no whole number at {at!r}.", hint=f"Correct {called}=.")
    return number


def whole_number(value: Any) -> int | None:
    """Return a whole number, also one that is given as text, or None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isdecimal() else None


def _is_short(page: Page, size: int | None, ends: bool) -> bool:  # noqa: FBT001 - an option, passed on
    return ends and size is not None and page.count < size


def _check_missing(called: str, value: str) -> None:
    if value not in {"error", END}:
        raise ConfigError(f"{called}: missing is {value!r}.", hint="Use 'error' or 'end'.")
