"""The bookmark of a stream whose source gives none: the largest replication key, and its rows.

A source reads `>=` the bookmark, so that ties are never lost. A merge by the primary key takes the
repeated rows away. Where rows are appended, those already loaded are recognised (`appending.py`).
"""

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from etl_assets.exceptions import BookmarkError
from etl_assets.model.batch import Batch, json_value
from etl_assets.model.bookmarks.appending import BOUNDARY, AppendedRows, Appending, names_of, shown
from etl_assets.model.bookmarks.keys import Key, Keys, comparable, keys_of, source_value
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.values.scalars import FinerError, to_instant

FAR_AHEAD = timedelta(days=1)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?\Z")
FINGERPRINT = "~fingerprint"
"""The key of what the source said of all that is at and after the bookmark.

While it says the same, there is nothing to read.
"""


def plain(bookmark: Bookmark | None) -> dict[str, Any] | None:
    """Return the bookmark as a source is to see it: its values only."""
    if bookmark is None:
        return None
    ours = {BOUNDARY, FINGERPRINT}
    return {name: value for name, value in bookmark.items() if name not in ours} or None


def without_fingerprint(bookmark: Bookmark | None) -> Bookmark | None:
    """Return the bookmark as it is reported: the fingerprint is for the next read alone."""
    if not bookmark:
        return bookmark
    return {name: value for name, value in bookmark.items() if name != FINGERPRINT}


class BookmarkTracker:
    """Follows the replication key through a read. It never goes back, and never becomes NULL.

    Args:
        stream: Has a cursor.
        bookmark: Where the read began.
        appending: Set where rows are appended, so that those at the bookmark must be recognised
            when they come again.
        check_order: The first row out of order is an error.
        ordered: The engine orders the rows, so once a larger key has come the boundary of the last
            sync lies behind.
        given: The bookmark is the caller's, who wants the rows from there on.

    Raises:
        BookmarkError: What the bookmark says of its rows cannot be read.
    """

    def __init__(
        self,
        stream: Stream,
        bookmark: Bookmark | None,
        *,
        appending: Appending | None = None,
        check_order: bool,
        ordered: bool,
        given: bool = False,
    ) -> None:
        self.stream = stream
        self._check_order = check_order
        self._ordered = ordered
        self._began_at = bookmark
        self._best: Key | None = None
        self._best_values: Key | None = None
        if bookmark and all(bookmark.get(name) is not None for name in stream.cursor):
            self._best_values = tuple(bookmark[name] for name in stream.cursor)
        self._appended: AppendedRows | None = None
        if appending is not None:
            self._appended = AppendedRows(stream, bookmark, appending, given=given)
        self._last: Key | None = None
        self._unmarked: str | None = None
        """Why the rows at a bookmark of the source's own are not stored with it."""

    def take(self, batch: Batch) -> Batch:
        """Follow a batch, and return it without the rows that are not to be loaded again.

        Raises:
            BookmarkError: The keys cannot be compared, or are out of order though the source
                promised one.
        """
        try:
            return self._take(batch)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise BookmarkError(
                f"stream {self.stream.name!r}: values of its replication key "
                f"{names_of(self.stream)} cannot be compared: {error}.",
                hint="Give the key one type in the stream's schema; correct rows where it is NaN.",
                stream=self.stream.name,
            ) from error

    @property
    def settled(self) -> bool:
        """Whether what came so far may be committed (`AppendedRows.settled`)."""
        return self._appended is None or self._appended.settled

    @property
    def late(self) -> int:
        """How many rows came from before the bookmark.

        They were left out or loaded, as `Appending` says.
        """
        return self._appended.late if self._appended is not None else 0

    def remarks(self) -> list[tuple[str, int]]:
        """Return what people should know of this read.

        These are sentences for its log, each with the number of late rows it is about.
        """
        said = [] if self._appended is None else self._appended.remarks()
        if self._unmarked is not None:
            doubles = "A source that gives the rows at its bookmark again doubles them."
            said.append((f"{self._unmarked} {doubles}", 0))
        first = None if self._best is None else self._best[0]
        if is_far_ahead(first):
            said.append((self._hides(first), 0))
        return said

    def _hides(self, value: Any) -> str:
        return (
            f"the bookmark is in the future ({self.stream.cursor[0]!r} = {json_value(value)}), so "
            "rows that come with a smaller one are not read. Correct that row and run once with "
            "full_refresh; or, of a SQL source, keep the bookmark back with "
            "max_bookmark=timedelta(0)"
        )

    def bookmark(self) -> Bookmark | None:
        """Return the bookmark that covers everything taken so far.

        If nothing was taken, it is the one that the read began from.

        Raises:
            BookmarkError: Too many rows share the largest key, or nothing tells which of them are
                loaded already.
        """
        stored = {} if self._appended is None else self._appended.stored(self._best)
        values = self.position()
        if stored and self._best_values is not None:
            return {**(values or {}), **stored}
        return values

    def with_boundary(self, given: Bookmark) -> Bookmark:
        """Return the source's own bookmark, with the rows at it where it is the largest key.

        The source gives these rows once more, as it does behind a bookmark of ours. Any other word
        of its own (a token, a page) says which rows come next, and nothing is put beside it. Nor is
        anything where too many rows share the largest key: the source may well go on behind them,
        and a remark tells what happens if it does not.
        """
        if self._appended is None or self._best is None or set(given) != set(self.stream.cursor):
            return given
        try:
            reached = tuple(
                comparable(given[name], one)
                for name, one in zip(self.stream.cursor, self._best, strict=True)
            )
        except (TypeError, ValueError, ArithmeticError):
            return given
        if reached != self._best:
            return given
        try:
            return {**given, **self._appended.stored(self._best)}
        except BookmarkError as error:
            self._unmarked = error.message
            return given

    def position(self) -> Bookmark | None:
        """Return the bookmark for people to see, without what tells its rows apart.

        That would take longer.
        """
        if self._best_values is None:
            return self._began_at
        pairs = zip(self.stream.cursor, self._best_values, strict=True)
        return {name: json_value(value) for name, value in pairs}

    def _take(self, batch: Batch) -> Batch:
        keys = keys_of(batch, self.stream)
        if self._appended is not None:
            self._appended.refuse_null(batch, keys)
        largest = keys.largest()
        if largest is None:
            return batch
        key, index = largest
        if self._best is None and self._best_values is not None:
            self._begin_at(self._best_values, key)
        if self._check_order:
            self._check(keys)
        left_out = set() if self._appended is None else self._appended.left_out(batch, keys)
        self._advance(batch, key, index)
        if self._appended is not None and key == self._best:
            self._appended.load(batch, keys, key, left_out)
        if not left_out:
            return batch
        return batch.keep([row not in left_out for row in range(len(batch))])

    def _begin_at(self, stored: Key, like: Key) -> None:
        """Read the stored bookmark in the form of the keys that come."""
        self._best = tuple(comparable(value, one) for value, one in zip(stored, like, strict=True))
        if self._appended is not None:
            self._appended.begin_at(self._best)

    def _advance(self, batch: Batch, largest: Key, index: int) -> None:
        if self._best is not None and largest <= self._best:
            return
        self._best = largest
        self._best_values = source_value(batch, self.stream, index)
        self._refuse_endless(self._best_values)
        if self._appended is not None:
            self._appended.move(ordered=self._ordered)

    def _check(self, keys: Keys) -> None:
        found = keys.disorder(self._last)
        if found:
            raise BookmarkError(
                f"stream {self.stream.name!r}: rows came out of order: {names_of(self.stream)} "
                f"{shown(found[0])} after {shown(found[1])}.",
                hint="Have the source order them, or set `is_sorted = False` on it: the bookmark "
                "is then saved once, when the stream has ended.",
                stream=self.stream.name,
            )
        self._last = keys.last()

    def _refuse_endless(self, values: Key) -> None:
        """Refuse a key above which no row can ever come, and which JSON has no word for."""
        for name, value in zip(self.stream.cursor, values, strict=True):
            if not is_finite(value):
                raise BookmarkError(
                    f"stream {self.stream.name!r}: its largest replication key {name!r} = {value} "
                    "stands above every number, so no bookmark can be made of it.",
                    hint="Correct that row, or choose another replication key.",
                    stream=self.stream.name,
                )


def is_far_ahead(value: Any, now: datetime | None = None) -> bool:
    """Return whether a value of a replication key is a time more than a day from now.

    No clock can have set it.

    Args:
        value: A date or time, or its text in ISO 8601; nothing else is one.
        now: By default the present.
    """
    now = now or datetime.now(UTC)
    if isinstance(value, str):
        if not _TIME.match(value):
            return False
        try:
            value = to_instant(value)
        except (FinerError, ValueError):
            return False
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            value = value.replace(tzinfo=UTC)
        return bool(value - now > FAR_AHEAD)
    return isinstance(value, date) and bool(value - now.date() > FAR_AHEAD)


def is_finite(value: Any) -> bool:
    """Return whether a value of a replication key is no NaN and no infinity."""
    if isinstance(value, Decimal):
        return value.is_finite()  # as a float, a number beyond 1.8e308 would be infinite
    return not isinstance(value, float) or math.isfinite(value)
