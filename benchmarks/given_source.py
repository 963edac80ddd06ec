"""A source of ours that yields what it is given, for works that measure what comes behind the source."""

from collections.abc import Iterator
from typing import Any

from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source


class GivenSource(Source):
    """Yields its items; the engine may take them for ordered."""

    def __init__(self, items: list[Any], **options: Any) -> None:
        super().__init__(name="bench", **options)
        self.items = items

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield from self.items

    def orders(self, stream: Stream, query: Any = None) -> bool:
        return True
