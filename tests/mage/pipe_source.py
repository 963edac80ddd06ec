"""A source in Mage's style with a stream of its own, for the pipes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source, main

ROWS = 250


class Orders(Source):
    """Numbered orders."""

    streams = [
        Stream(
            "orders",
            primary_key="id",
            replication_key="id",
            schema={
                "properties": {
                    "id": {"type": "integer"},
                    "note": {"type": ["null", "string"]},
                    "at": {"type": "string", "format": "date-time"},
                }
            },
        )
    ]

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        start = (bookmarks or {}).get("id", 1)
        at = datetime(2026, 1, 1, tzinfo=UTC)
        for first in range(start, ROWS + 1, 100):
            last = min(first + 100, ROWS + 1)
            yield [{"id": n, "note": f"Größe {n} \u2028", "at": at} for n in range(first, last)]


if __name__ == "__main__":
    main(Orders)
