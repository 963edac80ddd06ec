"""A bookmark that the caller of one run gives, against the stored one.

The stored one must not move past a gap, nor back. If the given bookmark is ahead of it, rows are
left unread. They are skipped for good only where that is said (`keep`); else the stored bookmark
stays where it is, and the next run reads from there. If it is behind, rows are read again, and the
stored bookmark stays until the read has passed it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.values.scalars import FinerError, to_instant

Side = Literal["ahead", "same", "behind", "unknown"]


@dataclass(frozen=True)
class GivenBookmark:
    """What a caller asks for.

    Args:
        bookmark: Read from here.
        stored: Where a read would begin otherwise; None where nothing is stored.
        keep: Store what the run reaches, though it has left a gap.
        side: Where `bookmark` stands against `stored`.
    """

    bookmark: Bookmark
    stored: Bookmark | None
    keep: bool
    side: Side

    @property
    def stays(self) -> bool:
        """Whether the stored bookmark stays where it is, whatever the run reaches."""
        return self.stored is not None and self.side in {"ahead", "unknown"} and not self.keep

    @property
    def skips(self) -> bool:
        """Whether this run leaves rows out that nothing has read yet."""
        return self.stored is not None and self.side == "ahead"

    @property
    def gap(self) -> dict[str, Bookmark]:
        """The bookmarks between which rows are left out, as people see them."""
        return {"after": plain(self.stored) or {}, "before": plain(self.bookmark) or {}}

    def to_store(
        self, reached: Bookmark | None, stream: Stream, *, partial: bool
    ) -> Bookmark | None:
        """Return the bookmark to be stored by a run that has reached another one.

        Args:
            reached: The run's own.
            stream: The stream.
            partial: The read was cut, so that it may have ended between rows of one key.
        """
        if self.stays:
            return self.stored
        if self.stored is None or (self.keep and self.side == "unknown"):
            return reached
        side = side_of(reached, self.stored, stream)
        if side == "behind" or (side == "same" and partial):
            return self.stored
        return reached

    def has_passed(self, reached: Bookmark | None, stream: Stream) -> bool:
        """Return whether what a run has reached may be stored on its way."""
        if self.stored is None or self.stays:
            return True
        return side_of(reached, self.stored, stream) in {"ahead", "unknown"}


def given_bookmark(
    bookmark: Bookmark, stored: Bookmark | None, stream: Stream, *, keep: bool
) -> GivenBookmark:
    """Return what a caller asks for, held against what is stored."""
    return GivenBookmark(bookmark, stored or None, keep, side_of(bookmark, stored, stream))


def side_of(bookmark: Bookmark | None, other: Bookmark | None, stream: Stream) -> Side:
    """Return where a bookmark stands against another one.

    It is `unknown` where only their source could tell.
    """
    one, two = plain(bookmark) or {}, plain(other) or {}
    if one == two:
        return "same"
    if not one or not two:
        return "ahead" if one else "behind"
    both_have_the_key = all(name in one and name in two for name in stream.cursor)
    if not stream.cursor or not both_have_the_key:
        return "unknown"
    return _compared([one[name] for name in stream.cursor], [two[name] for name in stream.cursor])


def _compared(one: Sequence[Any], two: Sequence[Any]) -> Side:
    for mine, its in zip(one, two, strict=True):
        pair = _alike(mine, its)
        if pair is None:
            return "unknown"
        if pair[0] != pair[1]:
            return "ahead" if pair[0] > pair[1] else "behind"
    return "same"


def _alike(one: Any, two: Any) -> tuple[Any, Any] | None:
    """Return two JSON values as numbers, times or texts that can be compared, or None."""
    if _is_number(one) and _is_number(two):
        return Decimal(str(one)), Decimal(str(two))
    if not (isinstance(one, str) and isinstance(two, str)):
        return None
    try:
        times = to_instant(one), to_instant(two)
    except (FinerError, ValueError):
        return one, two  # texts stand by their code points
    dates = [len(text.strip()) == len("2026-01-01") for text in (one, two)]
    if any(dates):  # a date alone is the midnight of the clock it is compared with
        return times[0].replace(tzinfo=None), times[1].replace(tzinfo=None)
    zoned = [time.utcoffset() is not None for time in times]
    return times if zoned[0] == zoned[1] else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)
