"""Which rows of a page belong to what is asked for, by the replication key."""

from typing import Any

from etl_assets.exceptions import BookmarkError, SourceError, shorten
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.keys import Key, Keys, comparable, keys_of
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.rest.incremental import Since, Span

Row = dict[str, Any]


class Belonging:
    """Looks at the rows of one series of pages.

    Args:
        stream: The stream.
        since: How new rows are asked for; None where all are read.
        span: What was asked for.
        bookmark: Where the read began.
        asked: By what the API was asked for the span, also where all rows are read.
    """

    def __init__(
        self,
        stream: Stream,
        since: Since | None,
        span: Span,
        bookmark: Bookmark | None,
        *,
        asked: Since | None = None,
    ) -> None:
        self._stream = stream
        self._since = since
        self._asked = asked
        self._span = span
        self._smallest: Key | None = None
        self._start = self._end = None
        if since is None:
            return
        known = (bookmark or {}).get(since.field)
        if span.drops_before or (span.start is not None and (since.filters or self._descends)):
            self._start = self._stored(span.start, known)
        if span.drops_after:
            self._end = self._stored(span.end, None)

    @property
    def _descends(self) -> bool:
        return self._since is not None and self._since.order == "desc"

    def _stored(self, value: Any, known: Any) -> Any:
        """Return a bound in the form of a bookmark, which keys are compared with."""
        assert self._since is not None  # noqa: S101 - only then is there a bound
        if hasattr(value, "isoformat"):
            return self._since.stored(value)
        return known if value is None else value

    def of(self, rows: list[Row]) -> tuple[list[Row], bool]:
        """Return the rows that belong to it, and whether no others follow.

        Raises:
            SourceError: A row cannot be told to belong to it, or comes in another order than said.
        """
        if self._span.needs_zone:
            self._refuse_naive(rows)
        needs_look = self._start is not None or self._end is not None or self._descends
        if self._since is None or not rows or not needs_look:
            return rows, False
        try:
            return self._looked_at(rows, keys_of(Batch(rows), self._stream))
        except (TypeError, ValueError, ArithmeticError) as error:
            raise BookmarkError(
                f"stream {self._stream.name!r}: values of {self._since.field!r} cannot be "
                f"compared: {error}.",
                hint="Say what the field is, with Since(type=...), and give its initial value in "
                "the same form.",
                stream=self._stream.name,
            ) from error

    def _looked_at(self, rows: list[Row], keys: Keys) -> tuple[list[Row], bool]:
        without = keys.rows_without()
        if without and (self._span.drops_before or self._span.drops_after):
            raise SourceError(
                f"stream {self._stream.name!r}: a row has no {self._field!r}, so that it belongs "
                f"to no window: {shorten(rows[without[0]])}.",
                hint="Read the stream without a window.",
                stream=self._stream.name,
            )
        largest = keys.largest()
        if largest is None:
            return rows, False
        if self._descends:
            self._check_order(rows, largest[0])
        start, end = self._bound(self._start, largest[0]), self._bound(self._end, largest[0])
        before = set(() if start is None else keys.rows_before(start))
        inside = set(range(len(rows)) if end is None else [*keys.rows_before(end), *without])
        taken = [row for index, row in enumerate(rows) if index not in before and index in inside]
        return taken, bool(self._descends and before)

    def _refuse_naive(self, rows: list[Row]) -> None:
        """Refuse times without a zone in a window that is not of UTC.

        The API reads what it is asked for by a clock of its own, which may be another one.
        """
        since = self._asked
        if since is None or since.type != "date-time":
            return
        known = next((row[since.field] for row in rows if row.get(since.field)), None)
        if known is not None and since.moment(known).tzinfo is None:
            raise SourceError(
                f"stream {self._stream.name!r}: the times of {since.field!r} have no zone "
                f"({shorten(known)}), so that nobody knows which of them are in a window of "
                "another zone.",
                hint="Use partitions in UTC, or leave out the parameters of Since.",
                stream=self._stream.name,
            )

    def _bound(self, stored: Any, like: Key) -> Key | None:
        return None if stored is None else (comparable(stored, like[0]),)

    def _check_order(self, rows: list[Row], largest: Key) -> None:
        """Refuse rows that are not the newest first."""
        backwards = keys_of(Batch(rows[::-1]), self._stream)
        wrong = backwards.disorder(None)
        smallest = backwards.smallest()
        if wrong is not None or (self._smallest is not None and largest > self._smallest):
            one, other = wrong or (self._smallest, largest)
            raise SourceError(
                f"stream {self._stream.name!r}: rows came out of order: {self._field!r} "
                f"{shorten(other)} after {shorten(one)}, and order is 'desc'.",
                hint="Have the API order them, or leave the order out.",
                stream=self._stream.name,
            )
        self._smallest = self._smallest if smallest is None else smallest[0]

    @property
    def _field(self) -> str:
        return "" if self._since is None else self._since.field
