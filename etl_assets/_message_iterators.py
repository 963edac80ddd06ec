"""Airbyte's messages one by one, where scripts written for PyAirbyte look for the type."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self


class AirbyteMessageIterator(Iterator[Mapping[str, Any]]):
    """Gives messages: each a dict with a `type`, such as `RECORD`.

    Args:
        iterable: The messages.
    """

    def __init__(self, iterable: Iterable[Mapping[str, Any]]) -> None:
        self._messages = iter(iterable)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Mapping[str, Any]:
        return next(self._messages)

    @classmethod
    def from_read_result(cls, read_result: Any) -> Self:
        """Return the records in a cache, without the columns that the cache has added."""
        return cls(_records(read_result))


def _records(read_result: Any) -> Iterator[Mapping[str, Any]]:
    own = set(read_result.cache.destination.own_columns)
    for name, dataset in read_result.streams.items():
        for row in dataset:
            data = {key: value for key, value in row.items() if key not in own}
            emitted_at = time.time_ns() // 1_000_000
            yield {
                "type": "RECORD",
                "record": {"stream": name, "data": data, "emitted_at": emitted_at},
            }
