"""A source of ours, run as an Airbyte source."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from etl_assets.exceptions import AuthenticationError
from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source, main

NUMBERS = [2**53 + 1, 2**70, -1, 0]


class Shop(Source):
    """Orders from a bookmark on, exact values, a stream that fails, and one whose columns are found in its rows."""

    streams = [
        Stream(
            "orders",
            primary_key="id",
            replication_key="id",
            schema={
                "properties": {"id": {"type": "integer"}, "note": {"type": ["null", "string"]}}
            },
        ),
        Stream("values"),
        Stream(
            "broken",
            primary_key="id",
            replication_key="id",
            schema={"properties": {"id": {"type": "integer"}}},
        ),
    ]

    def test_connection(self) -> None:
        if self.config.get("token") != "right-token":
            raise AuthenticationError(f"the token {self.config.get('token')!r} is wrong")

    def load_data(
        self, stream: Any, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        print("this is no message")
        if stream.name == "values":
            moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
            price = Decimal("12345678901234567890.123456789")
            yield [
                {"n": n, "price": price, "at": moment, "day": date(1, 1, 1), "raw": b"\0\xff"}
                for n in NUMBERS
            ]
            return
        first = (bookmarks or {}).get("id", 0)
        last = self.config.get("last", 5)
        for start in range(first, last + 1, 2):
            rows = [
                {"id": n, "note": f"Größe \u2028 {n}"}
                for n in range(start, min(start + 2, last + 1))
            ]
            yield Batch(rows, bookmark={"id": rows[-1]["id"]})
            if stream.name == "broken":
                raise OSError("the line is cut")


if __name__ == "__main__":
    main(Shop)
