"""Rows beyond the key up to which a source is sure that all are there.

Late rows may still come among them, so no bookmark may cover them. Where they are merged they are
loaded all the same, and come again; where they are appended they are left to a later read.
"""

from bisect import bisect_right
from typing import Any

from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.keys import comparable, source_value
from etl_assets.model.stream import Stream
from etl_assets.model.values.arrays import list_of


class Settled:
    """What of a read's batches is settled.

    Args:
        stream: Ordered by its replication key, NULL last.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._upto: Any = None
        self.passed = False
        """A row came that is not settled."""

    def cut(self, batch: Batch) -> Batch:
        """Return a batch without the rows that are not settled.

        Args:
            batch: Each one says up to where its rows are settled, if not all of them are.
        """
        if batch.settled is not None:
            self._upto = batch.settled
        if self._upto is None or not len(batch):
            return batch
        # Whether values that could not be read are an error is decided elsewhere.
        looked_at = batch.accepted()
        last = self._key(source_value(looked_at, self._stream, len(batch) - 1)[0])
        if last is not None and last <= self._upto:
            return batch  # the usual case: the read is ordered
        first = self._stream.cursor[0]
        known = [
            self._key(value)
            for value in list_of(looked_at.some(self._stream, [first]).column(first))
            if value is not None
        ]
        rows = bisect_right(known, self._upto)
        if rows == len(known):
            return batch
        self.passed = True
        return batch.keep([row < rows for row in range(len(batch))])

    def _key(self, value: Any) -> Any:
        return value if value is None else comparable(value, self._upto)
