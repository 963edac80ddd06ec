"""The read of one stream: which requests are sent, and which rows and bookmarks come of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec

from etl_assets.exceptions import DataError, ProtocolError, SourceError
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.tracker import BookmarkTracker
from etl_assets.model.partitions import Partitions, TimeWindow
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.rest.concurrency import in_order
from etl_assets.sources.rest.connection import Connection
from etl_assets.sources.rest.endpoint import Endpoint
from etl_assets.sources.rest.incremental import ALL, Since, Span
from etl_assets.sources.rest.pages import OnePage, Page, Pages, speaks_of_more
from etl_assets.sources.rest.parent_bookmarks import OwnBookmark, ParentBookmarks
from etl_assets.sources.rest.parents import Row, Values, filled, kept, parent_of, values_of
from etl_assets.sources.rest.records import Records
from etl_assets.sources.rest.request import Request, origin
from etl_assets.sources.rest.responses import Answer
from etl_assets.sources.rest.sorting import Belonging

BATCH_ROWS = 5_000
"""Pages are joined until there are so many rows."""
_GONE = (404, 410)
_NO_CONTENT = 204
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Api:
    """What all streams of an API share.

    Args:
        url: The URL.
        endpoints: By the names of their streams.
        pages: How one page leads to the next, where an endpoint does not say it.
        params: Parameters of all requests.
        headers: Header fields of all requests.
        concurrency: How many parents are read at once.
    """

    url: str
    endpoints: Mapping[str, Endpoint]
    pages: Pages | None = None
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    concurrency: int = 1

    def request(self, endpoint: Endpoint) -> Request:
        """Return the request of an endpoint, before anything is filled in."""
        path, shared = endpoint.path, self.params
        url = path if "://" in path else f"{self.url.rstrip('/')}/{path.lstrip('/')}"
        if origin(url) != origin(self.url):
            shared = {}  # a key may be among them
        return Request(
            endpoint.method,
            url,
            {**shared, **endpoint.params},
            dict(endpoint.headers),
            endpoint.json,
            endpoint.form,
        )


@dataclass(frozen=True)
class Wanted:
    """What of a stream is read.

    Args:
        bookmark: From where on; None for all.
        partitions: The partitions that are read whole, if it is those.
        eager: Hand on each page at once.
    """

    bookmark: Bookmark | None = None
    partitions: Partitions | None = None
    eager: bool = False


class EndpointRead:
    """A read of one stream.

    Args:
        api: The API.
        connection: To it.
        stream: The stream.
    """

    def __init__(self, api: Api, connection: Connection, stream: Stream) -> None:
        self._api = api
        self._connection = connection
        self._stream = stream
        self._endpoint = api.endpoints[stream.name]
        self._records = Records(self._endpoint, stream)
        self._skipped = 0
        self._undelimited = False

    def batches(self, wanted: Wanted) -> Iterator[Batch]:
        """Yield the rows, and the bookmarks that cover them where the API's order allows any."""
        own = self._endpoint.since
        if own is not None and own.per_parent and self._stream.method == "INCREMENTAL":
            yield from self._by_parents(own, wanted)
            yield from self._remarks()
            return
        since = self._since(wanted)
        spans = self._spans(since, wanted)
        if self._endpoint.parents:
            rows = self._of_parents(since, spans, wanted)
            yield from _joined(rows, eager=wanted.eager)
        elif since is not None and since.window is not None and wanted.partitions is None:
            yield from self._by_windows(since, spans, wanted)
        elif since is not None and since.order == "asc" and wanted.partitions is None:
            rows = self._spanned(since, spans[0], {}, wanted)
            yield from self._as_checkpoints(rows, wanted)
        else:
            for span in spans:
                rows = self._spanned(since, span, {}, wanted)
                yield from _joined(rows, eager=wanted.eager)
        yield from self._remarks()

    def rows(self, values: Values) -> Iterator[list[Row]]:
        """Yield all rows, page by page: those that other streams are asked for by."""
        since = self._endpoint.since
        spans = [ALL] if since is None else [Span(since.start(None))]
        wanted = Wanted()
        for span in spans:
            for rows, _ in self._spanned(since, span, values, wanted):
                yield rows

    def first_page(self) -> None:
        """Read one page of an endpoint without parents, to see that it can be read."""
        self._records.check()
        for _ in self._spanned(None, ALL, {}, Wanted()):
            return

    @property
    def _followed(self) -> Stream:
        """The stream, with the replication key that its parents are followed by."""
        own = self._endpoint.since
        if own is None or not own.per_parent:
            return self._stream
        return self._stream.replace(replication_key=own.field)

    # What is asked for

    def _since(self, wanted: Wanted) -> Since | None:
        """Return how new rows are asked for; None where the stream is read whole."""
        if not self._stream.cursor:
            return None
        since = self._endpoint.since
        if since is not None and self._stream.cursor == (since.field,):
            return since
        if len(self._stream.cursor) > 1 or (since is not None and wanted.bookmark):
            asked = "nothing" if since is None else repr(since.field)
            raise SourceError(
                f"stream {self._stream.name!r}: its replication key is "
                f"{list(self._stream.cursor)}, and the endpoint asks by {asked}.",
                hint="Give the endpoint incremental=Since(...) with the field of the replication "
                "key.",
                stream=self._stream.name,
            )
        return Since(self._stream.cursor[0])

    def _spans(self, since: Since | None, wanted: Wanted) -> list[Span]:
        if since is None and wanted.partitions is not None:
            since = self._endpoint.since
        if since is None:
            return [ALL]
        if wanted.partitions is not None:
            return _of_partitions(since, wanted.partitions)
        return list(since.spans(since.start(wanted.bookmark), datetime.now(UTC)))

    # Spans

    def _by_windows(self, since: Since, spans: Sequence[Span], wanted: Wanted) -> Iterator[Batch]:
        """Yield the rows window by window, each of which is a checkpoint."""
        tracker = BookmarkTracker(self._stream, wanted.bookmark, check_order=False, ordered=False)
        for span in spans:
            for batch in _joined(self._spanned(since, span, {}, wanted), eager=wanted.eager):
                tracker.take(Batch(batch.rows or []))
                yield batch
            # Not the window's end: a row may still come that is behind the last one, and before it.
            if tracker.position() is not None:
                yield Batch([], bookmark=tracker.position())

    def _as_checkpoints(
        self, rows: "Iterator[tuple[list[Row], bool]]", wanted: Wanted
    ) -> Iterator[Batch]:
        """Yield rows that come in order: what came so far is covered by the last of them."""
        stream = self._stream
        tracker = BookmarkTracker(stream, wanted.bookmark, check_order=True, ordered=False)
        for batch in _joined(rows, eager=wanted.eager):
            tracker.take(Batch(batch.rows or []))
            batch.bookmark = tracker.position()
            yield batch

    def _of_parents(
        self, since: Since | None, spans: Sequence[Span], wanted: Wanted
    ) -> Iterator[tuple[list[Row], bool]]:
        reads = (partial(self._of_one, since, spans, one, wanted) for one in self._parents())
        workers = self._endpoint.concurrency or self._api.concurrency
        yield from in_order(reads, workers, self._connection.stop)

    def _by_parents(self, since: Since, wanted: Wanted) -> Iterator[Batch]:
        """Yield the rows of each parent behind its own bookmark, and the bookmarks of all."""
        marks = ParentBookmarks(self._stream, since, wanted.bookmark)

        def of_one(values: Values) -> Iterator[tuple[list[Row], OwnBookmark | None]]:
            mark = marks.begin(values)
            own = Wanted(mark.bookmark, wanted.partitions, wanted.eager)
            for span in self._spans(since, own):
                for rows, _ in self._spanned(since, span, values, own):
                    yield mark.take(rows), None
            yield [], mark

        reads = (partial(of_one, values) for values in self._parents())
        workers = self._endpoint.concurrency or self._api.concurrency
        waiting: list[Row] = []
        for rows, done in in_order(reads, workers, self._connection.stop):
            waiting += rows
            if done is not None:
                marks.end(done)
            if waiting and done is not None and (wanted.eager or len(waiting) >= BATCH_ROWS):
                yield Batch(waiting, bookmark=marks.stored())
                waiting = []
            elif len(waiting) >= BATCH_ROWS:
                yield Batch(waiting)
                waiting = []
        yield Batch(waiting, bookmark=marks.stored(complete=True))

    def _of_one(
        self, since: Since | None, spans: Sequence[Span], values: Values, wanted: Wanted
    ) -> Iterator[tuple[list[Row], bool]]:
        for span in spans:
            yield from self._spanned(since, span, values, wanted)

    def _parents(self) -> Iterator[dict[str, Any]]:
        """Yield what is taken of each parent; two that give the same are one."""
        seen: set[bytes] = set()
        for parents in rows_of_parents(self._api, self._connection, self._endpoint):
            values = values_of(self._endpoint, parents)
            told = blake2b(_encoder.encode(sorted(values.items())), digest_size=16).digest()
            if told not in seen:
                seen.add(told)
                yield values

    def _spanned(
        self, since: Since | None, span: Span, values: Values, wanted: Wanted
    ) -> Iterator[tuple[list[Row], bool]]:
        """Yield the rows of one series of pages that belong to what is asked for.

        Each comes with whether it is the last.
        """
        request = self._api.request(self._endpoint)
        asks = since or (self._endpoint.since if wanted.partitions is not None else None)
        if asks is not None:
            # As it is stored where the span begins right there.
            is_first = wanted.partitions is None and not span.drops_before
            raw = (wanted.bookmark or {}).get(asks.field) if is_first else None
            request = asks.asked(request, span, raw=raw)
        request = filled(request, values, self._stream.name)
        belonging = Belonging(self._followed, since, span, wanted.bookmark, asked=asks)
        for page in self._pages(request):
            rows = kept(self._endpoint, list(page.records), values)  # type: ignore[arg-type]
            taken, is_last = belonging.of(rows)
            yield taken, is_last
            if is_last:
                return

    # Pages

    def _pages(self, request: Request) -> Iterator[Page]:
        """Yield the pages that follow a request.

        Raises:
            SourceError: A page comes again, or the pages end before all records have come.
        """
        pages = self._endpoint.pages or self._api.pages
        following: Pages = pages or OnePage()
        first = following.begin(request)
        asked: Request | None = first
        seen_requests, seen_pages = set[bytes](), set[bytes]()
        number = before = 0
        totals: list[int] = []
        page: Page | None = None
        while asked is not None:
            seen_requests.add(asked.identity)
            last_status = getattr(following, "last_status", None)
            beyond = () if last_status is None or number == 0 else (last_status,)
            found = self._page(asked, first, number, before, beyond)
            if found is None:
                break
            page = found
            if page.total is not None:
                totals.append(page.total)
            self._refuse_repeated(page, seen_pages)
            if pages is None:
                self._refuse_more(page)
            yield page
            number, before = number + 1, page.so_far
            asked = following.after(page)
            if asked is not None and asked.identity in seen_requests:
                raise page.error(
                    "leads to a page that was read already, so the pages would never end.",
                    hint="Correct pages=: the cursor of a page must not be that of another.",
                )
        if page is not None:
            _refuse_partial(page, totals)

    def _page(
        self, asked: Request, first: Request, number: int, before: int, beyond: tuple[int, ...]
    ) -> Page | None:
        """Return one page; None where the API says that there is none."""
        skips = number == 0 and self._endpoint.parents and self._endpoint.not_found == "skip"
        accepted = (*beyond, *(_GONE if skips else ()))
        answer = self._asked(asked, accepted)
        if answer.status in accepted:
            self._skipped += number == 0
            return None
        found = self._records.of(answer)
        self._undelimited |= not answer.is_delimited and answer.format(self._endpoint.format) in {
            "csv",
            "jsonl",
        }
        return Page(
            number,
            first,
            asked,
            answer,
            found.document,
            found.rows,
            found.count,
            before,
            found.total,
        )

    def _asked(self, asked: Request, accepted: tuple[int, ...]) -> Answer:
        try:
            return self._connection.ask(asked, accepted=accepted, check=self._look)
        except DataError as error:
            if error.stream != self._stream.name:
                error.rename(self._stream.name)  # an answer knows no stream
            raise

    def _look(self, answer: Answer) -> None:
        """Read the body: one that is cut may be whole when it is asked for again."""
        if not 200 <= answer.status < 300:  # noqa: PLR2004 - what is accepted has no records
            return
        kind = answer.format(self._endpoint.format)
        if kind == "json" and answer.content.strip():
            _ = answer.document
        elif kind == "json" and self._endpoint.missing != "empty":
            wrong = answer.error("has no body.", hint='If that means no records: missing="empty".')
            if answer.status != _NO_CONTENT:
                raise ProtocolError(wrong.message, hint=wrong.hint)  # it may be cut
            raise wrong
        elif kind == "jsonl":
            _ = answer.lines

    def _refuse_repeated(self, page: Page, seen: set[bytes]) -> None:
        if not page.count or self._endpoint.repeated == "allow":
            return
        sent = page.records or page.document  # all of it may have been filtered
        told = blake2b(_encoder.encode(sent), digest_size=16).digest()
        if told in seen:
            raise page.error(
                "has the same records as a page before it.",
                hint="Correct pages=: the API may not know its parameter. If pages may be alike, "
                'repeated="allow".',
            )
        seen.add(told)

    def _refuse_more(self, page: Page) -> None:
        place = speaks_of_more(page.answer, page.document)
        if place is not None and page.count:
            raise page.error(
                f"speaks of another page ({place}), and the endpoint has no pages.",
                hint="Give it pages=, such as LinkHeader(), Cursor(...) or PageNumber(); or "
                "OnePage() if this one is all.",
            )

    def _remarks(self) -> Iterator[Batch]:
        if self._skipped:
            yield Batch(
                [], remark=f"{self._skipped} parents were skipped, as the API knows them no more"
            )
        if self._undelimited:
            yield Batch(
                [],
                remark="the API does not say where an answer ends, so that one that was cut would "
                "not be noticed",
            )


def rows_of_parents(
    api: Api, connection: Connection, endpoint: Endpoint
) -> Iterator[dict[str, Row]]:
    """Yield a row of the parent of an endpoint, with the rows that this one was asked for by."""
    name = parent_of(endpoint, api.endpoints)
    if name is None:
        yield {}
        return
    parent = api.endpoints[name]
    for around in rows_of_parents(api, connection, parent):
        read = EndpointRead(api, connection, parent.stream)
        for rows in read.rows(values_of(parent, around)):
            for row in rows:
                yield {**around, name: row}


def _of_partitions(since: Since, partitions: Partitions) -> list[Span]:
    """Return what is asked for of partitions: windows of the field, else all rows."""
    windows = [conditions.get(since.field) for conditions in partitions.joined]
    spans: list[Span] = []
    is_exact = True
    for window in windows:
        if not isinstance(window, TimeWindow) or not since.asks or since.type is None:
            return [ALL]
        start, end = window.start.astimezone(UTC), window.end.astimezone(UTC)
        is_utc = not window.start.utcoffset() and not window.end.utcoffset()
        spans.append(Span(start, since.until(end), needs_zone=not is_utc))
        is_exact &= since.until(start) == start and since.until(end) == end
    if is_exact or len(spans) == 1:
        return spans
    # What the API can be asked for may overlap: rows of one would come with the other, too.
    first, last = min(one.start for one in spans), max(one.end for one in spans)
    return [Span(first, last, needs_zone=any(one.needs_zone for one in spans))]


def _joined(rows: Iterator[tuple[list[Row], bool]], *, eager: bool) -> Iterator[Batch]:
    """Yield the rows of pages as batches of some thousand."""
    waiting: list[Row] = []
    for page, _ in rows:
        waiting += page
        if waiting and (eager or len(waiting) >= BATCH_ROWS):
            yield Batch(waiting)
            waiting = []
    if waiting:
        yield Batch(waiting)


def _refuse_partial(page: Page, totals: Sequence[int]) -> None:
    """Refuse pages that end before as many records have come as they say there are.

    Raises:
        SourceError: They do; or there are more, though the number has not changed.
    """
    if not totals:
        return
    least, most = min(totals[0], totals[-1]), max(totals[0], totals[-1])
    if least <= page.so_far <= most or page.so_far > most != least:
        return
    raise page.error(
        f"is the last one, and {page.so_far:,} records have come of {totals[-1]:,}.",
        hint="Correct pages= (the API may give fewer records than it is asked for), or total=.",
    )
