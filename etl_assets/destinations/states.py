"""Which state a Singer target may pass on when some streams have failed.

A STATE message is about the whole tap. Where it is in the shape of Singer's bookmarks, and each stream's bookmark is
about that stream alone, the failed ones keep the bookmark up to which their rows are safe, and the others move on.
Where that cannot be known, the state is held back: rows that are read again are better than rows that are lost.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

_SHAPE = {"bookmarks", "currently_syncing"}

# The Singer SDK's words. Its child streams are read for the records of their parent: a parent whose bookmark moves on
# would not bring up the children of old records again.
_SDK_WORDS = {
    "partitions", "progress_markers", "replication_key_signpost", "replication_key_value", "starting_replication_value",
}  # fmt: skip


class SafeBookmarks:
    """Follows, for each stream, the newest bookmark that covers no row which is not in the destination.

    Args:
        start: The state that was passed on last, before this run; None if that is not known.
    """

    def __init__(self, start: Any = None) -> None:
        self._known = bookmarks_of(start) is not None
        self._safe: dict[str, Any] = dict(bookmarks_of(start) or {})

    def take(self, state: Any, unsafe: Collection[str]) -> None:
        """Take note of a state.

        Args:
            state: Its value.
            unsafe: Streams that have failed, or that have rows which are not in the destination yet.
        """
        for name, bookmark in (bookmarks_of(state) or {}).items():
            if name not in unsafe:
                self._safe[name] = bookmark

    def state_without(
        self, state: Any, failed: Iterable[str], *, full_tables: Collection[str], keyed: Collection[str], trusted: bool
    ) -> Any:
        """Give a state in which the failed streams stay where they are safe, or None where there is no such state.

        Args:
            state: The state that covers everything.
            failed: The streams that have failed.
            full_tables: Streams that the tap says to read whole, which need no bookmark.
            keyed: Streams whose rows may come again: they are merged by a key.
            trusted: The user says that no stream of the tap depends on another.
        """
        found = bookmarks_of(state)
        if found is None or (not trusted and _depends(found)):
            return None
        bookmarks = dict(found)
        for name in failed:
            if name in self._safe:
                bookmarks[name] = self._safe[name]
            elif name in bookmarks and (self._known or name in keyed):
                del bookmarks[name]  # it was never read to a bookmark, or is read whole once more
            elif name in bookmarks or not (trusted or name in full_tables):
                return None
        # Without `currently_syncing`: a tap that begins there may leave out those before it.
        return {"bookmarks": bookmarks}


def bookmarks_of(state: Any) -> Mapping[str, Any] | None:
    """Give the bookmarks of a state that holds nothing else, or None."""
    if not isinstance(state, Mapping) or not state.keys() <= _SHAPE:
        return None
    found = state.get("bookmarks")
    return found if isinstance(found, Mapping) else None


def _depends(bookmarks: Mapping[str, Any]) -> bool:
    """Tell whether a stream may depend on another: bookmarks as the Singer SDK writes them, which may be empty."""
    return any(isinstance(one, Mapping) and (not one or _SDK_WORDS & one.keys()) for one in bookmarks.values())
