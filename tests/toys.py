"""Small sources the tests share."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead


class Rows(Source):
    """Gives the rows it was made with, in batches, and honours the bookmark as a source should (`>=`)."""

    def __init__(
        self, rows: Sequence[Any], *, batch: int = 2, name: str = "shop", **options: Any
    ) -> None:
        super().__init__(name=name, **options)
        self.rows = rows
        self.batch = batch
        self.asked: list[Any] = []

    def load_data(
        self,
        stream: Stream,
        bookmarks: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        self.asked.append(bookmarks)
        rows = self.rows
        if bookmarks and stream.cursor:
            rows = [
                row
                for row in rows
                if tuple(row[c] for c in stream.cursor) >= tuple(bookmarks.values())
            ]
        for start in range(0, len(rows), self.batch):
            yield rows[start : start + self.batch]


def read(rows: Sequence[Any], stream: Stream, **options: Any) -> StreamRead:
    """Return a read of these rows."""
    cut = {key: options.pop(key) for key in ("limit", "query") if key in options}
    return StreamRead(Rows(rows, **options), stream, **cut)
