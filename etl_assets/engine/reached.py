"""How far a stream is read, as its batches tell by their bookmarks, else by the replication key."""

from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.appending import Appending
from etl_assets.model.bookmarks.given import GivenBookmark
from etl_assets.model.bookmarks.settled import Settled
from etl_assets.model.bookmarks.tracker import FINGERPRINT, BookmarkTracker, without_fingerprint
from etl_assets.model.load import StreamOfSource
from etl_assets.model.stored import Bookmark


class Reached:
    """How far the read of one stream has come, and which of its rows are to be loaded.

    Args:
        read: The stream, and what is known of the order of its rows.
        bookmark: Where the read began.
        appending: How rows are appended: those that are there already are left out. None where they
            are merged or replace the table.
        given: The bookmark is the caller's, who wants the rows from there on.
        asked: What the caller asks for, held against what is stored.
    """

    def __init__(
        self,
        read: StreamOfSource,
        bookmark: Bookmark | None,
        *,
        appending: Appending | None = None,
        given: bool = False,
        asked: GivenBookmark | None = None,
    ) -> None:
        self._read = read
        self._began_at = bookmark
        self._appends = appending is not None
        self._asked = asked
        self._settled = Settled(read.stream)
        self._own: Bookmark | None = None
        """The source's last bookmark."""
        self._fingerprint: str | None = None
        self._tracker: BookmarkTracker | None = None
        if read.stream.cursor:
            self._tracker = BookmarkTracker(
                read.stream,
                bookmark,
                appending=appending,
                check_order=read.checked_order,
                ordered=read.ordered,
                given=given,
            )

    def note(self, batch: Batch) -> Batch:
        """Record what a batch says of the read; return it without what a later read is to give."""
        if batch.bookmark is not None:
            self._own = batch.bookmark
        self._fingerprint = batch.fingerprint
        if self._appends and len(batch):
            return self._settled.cut(batch)  # what comes again would be there twice
        return batch

    def take(self, batch: Batch) -> Batch:
        """Follow the rows of a batch that was noted; return those that are to be loaded.

        Raises:
            BookmarkError: Their keys cannot be followed, or nothing tells which of them are loaded
                already.
        """
        if self._tracker is None:
            return batch
        if self._appends:
            return self._tracker.take(batch)
        settled = self._settled.cut(batch)
        taken = self._tracker.take(settled)
        if settled is not batch:
            return batch  # the others are loaded too, and merged when they come again
        return taken

    def covers(self, batch: Batch) -> bool:
        """Return whether the bookmark covers all rows so far, with this batch: it may be stored."""
        if self._tracker is not None and not self._tracker.settled:
            return False  # what is still to come decides which of these rows are loaded already
        if self._asked is not None and not self._asked.has_passed(self.shown(), self._read.stream):
            return False  # what it has reached is behind what is stored
        if batch.bookmark is not None:
            return True
        return self._own is None and self._tracker is not None and self._read.ordered

    def shown(self) -> Bookmark | None:
        """Return the bookmark so far, for people to see."""
        return self._bookmark(shown=True)

    def stored(self, *, complete: bool) -> Bookmark | None:
        """Return what is to be stored with the rows taken so far.

        Args:
            complete: There are no more. The source's fingerprint is stored with the bookmark then,
                if it is of that.

        Raises:
            BookmarkError: Too many rows share the largest key, or nothing tells which of them are
                loaded already.
        """
        reached = bookmark = self._bookmark()
        if self._asked is not None:
            bookmark = self._asked.to_store(reached, self._read.stream, partial=self._read.partial)
        plain = without_fingerprint(bookmark)
        is_of_all_rows = self._own is None and not self._settled.passed and plain == reached
        if not complete or not is_of_all_rows:
            return bookmark  # one that stays keeps the fingerprint it has
        if not plain or not self._fingerprint:
            return bookmark
        return {**plain, FINGERPRINT: self._fingerprint}

    def largest_key(self) -> Bookmark | None:
        """Return the largest replication key of the rows taken so far.

        None where the source has said itself how far it is read.
        """
        if self._tracker is None or self._own is not None:
            return None
        return self._tracker.bookmark()

    @property
    def late_rows(self) -> int:
        """How many rows came from before the bookmark."""
        return self._tracker.late if self._tracker is not None else 0

    def remarks(self) -> list[str]:
        """Return what people should know of this read: sentences for its log."""
        if self._tracker is None:
            return []
        return [text for text, _ in self._tracker.remarks()]

    def _bookmark(self, *, shown: bool = False) -> Bookmark | None:
        if self._read.partial and not self._read.ordered:
            return self._began_at  # what the cut left out would be lost behind any other
        if self._own is not None:
            if shown or self._tracker is None:
                return self._own
            return self._tracker.with_boundary(self._own)
        if self._tracker is None:
            return self._began_at
        return self._tracker.position() if shown else self._tracker.bookmark()
