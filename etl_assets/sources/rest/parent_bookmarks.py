"""A bookmark for each parent of a stream: how far its own children are read."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from etl_assets.exceptions import SourceError
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.tracker import BookmarkTracker
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.rest.incremental import Since
from etl_assets.sources.rest.parents import Row, Values

PARENTS = "parents"
"""The key under which a bookmark has those of the parents."""
MOST_PARENTS = 10_000
MOST_TIES = 1_000
_encoder = msgspec.json.Encoder(decimal_format="number")


class OwnBookmark:
    """The bookmark of one parent on its way.

    Args:
        key: What tells the parent from the others.
        known: What is stored: the value, and the marks of the rows at it.
        stream: The stream, followed by the field.
        field: The field.
    """

    def __init__(self, key: str, known: Any, stream: Stream, field: str) -> None:
        self.key = key
        self._field = field
        value, marks = known or (None, ())
        self._begun = set(marks)
        self._at: dict[Any, list[str]] = {value: list(marks)}
        self.bookmark: Bookmark | None = None if value is None else {field: value}
        self._tracker = BookmarkTracker(stream, self.bookmark, check_order=False, ordered=False)

    def take(self, rows: list[Row]) -> list[Row]:
        """Return the rows without those that were read at the bookmark, as they were then."""
        if not rows:
            return rows
        self._tracker.take(Batch(rows))
        marked = [(row, _mark(row)) for row in rows]
        position = (self._tracker.position() or {}).get(self._field)
        kept = self._at.get(position, [])
        kept += [mark for row, mark in marked if row.get(self._field) == position]
        self._at = {position: list(dict.fromkeys(kept))}
        return [row for row, mark in marked if mark not in self._begun]

    def stored(self, stream: str) -> list[Any] | None:
        """Return what is stored of it; None if nothing was read.

        Raises:
            SourceError: Too many rows share the largest value.
        """
        ((value, marks),) = self._at.items()
        if len(marks) > MOST_TIES:
            raise SourceError(
                f"stream {stream!r}: more than {MOST_TIES:,} rows of one parent have "
                f"{self._field!r} = {value!r}, its largest value.",
                hint="Use a finer field, or leave per_parent out.",
                stream=stream,
            )
        return None if value is None else [value, marks]


class ParentBookmarks:
    """The bookmarks of all parents.

    Args:
        stream: The stream.
        since: How new rows are asked for.
        bookmark: What is stored.
    """

    def __init__(self, stream: Stream, since: Since, bookmark: Bookmark | None) -> None:
        self._name = stream.name
        self._stream = stream.replace(replication_key=since.field)
        self._field = since.field
        known = (bookmark or {}).get(PARENTS)
        self._known: dict[str, Any] = dict(known) if isinstance(known, Mapping) else {}
        self._reached: dict[str, Any] = {}

    def begin(self, values: Values) -> OwnBookmark:
        """Return the bookmark of a parent that is read now."""
        key = _encoder.encode(dict(sorted(values.items()))).decode()
        return OwnBookmark(key, self._known.get(key), self._stream, self._field)

    def end(self, own: OwnBookmark) -> None:
        """Called when a parent has been read.

        Raises:
            SourceError: There are too many.
        """
        reached = own.stored(self._name)
        if reached is not None:
            self._reached[own.key] = reached
        if len(self._reached) > MOST_PARENTS:
            raise SourceError(
                f"stream {self._name!r}: there are more than {MOST_PARENTS:,} parents, whose "
                "bookmarks would make too large a state.",
                hint="Leave per_parent out: all parents have one bookmark then.",
                stream=self._name,
            )

    def stored(self, *, complete: bool = False) -> dict[str, Any]:
        """Return the bookmark so far; parents that are gone have none once all were read."""
        return {PARENTS: dict(self._reached) if complete else {**self._known, **self._reached}}


def _mark(row: Row) -> str:
    return blake2b(_encoder.encode(row), digest_size=8).hexdigest()
