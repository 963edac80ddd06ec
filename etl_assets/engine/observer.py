"""Who sees a sync go on."""

import logging

from etl_assets.engine.start import Start
from etl_assets.model.load import Committed, Load
from etl_assets.model.stored import Bookmark
from etl_assets.secrets.redaction import redact

_logger = logging.getLogger("etl_assets.sync")


class Observer:
    """Sees a sync go on; a subclass overrides what it wants to see."""

    def begin(self, load: Load, start: Start) -> None:
        """Called when a stream of `sync_source` begins."""

    def progress(
        self, stream: str, rows: int, bytes_: int, seconds: float, bookmark: Bookmark | None
    ) -> None:
        """Called after each batch, so often: rows and bytes read so far, seconds since the start.

        The bookmark is for people to see: it lacks what tells its boundary rows apart.
        """

    def expect(self, stream: str, rows: int) -> None:
        """Called when the source has said about how many rows are to come."""

    def checkpoint(self, committed: Committed) -> None:
        """Called after each intermediate COMMIT."""

    def remark(self, stream: str, text: str) -> None:
        """Called with what people should know of a stream that was read: a warning for the log.

        Without an observer of one's own it goes to Python's logging.
        """
        _logger.warning("%s: %s", stream, redact(text))
