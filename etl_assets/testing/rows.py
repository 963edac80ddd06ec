"""Checks of a destination that only has `export_batch_data`: what that is called with."""

from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from etl_assets.destinations.base import Destination
from etl_assets.model.stream import Stream
from etl_assets.testing.kit import DestinationKit

JSON_TYPES = (str, int, float, bool, Decimal, type(None), list, dict)
ROWS: list[list[dict[str, Any]]] = [
    [
        {"id": 1, "late": "a"},
        {"b": b"\x00\xff", "id": 2, "at": datetime(2026, 1, 1, 2, 30)},  # noqa: DTZ001
    ],
    [],
    [
        {
            "id": 3,
            "on": date(2026, 1, 1),
            "clock": time(2, 30),
            "sum": Decimal("1.10"),
            "deep": {"when": [date.max]},
        }
    ],
]
SCHEMA = {
    "type": "object",
    "properties": {name: {} for name in ("id", "at", "b", "on", "clock", "sum", "deep")},
}


class RowHookChecks(DestinationKit):
    """Tests for a destination of `export_batch_data`; skipped for one with a session of its own."""

    def _watched(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> tuple[list[str], list[list[dict[str, Any]]]]:
        """Load rows of all kinds, and note what the destination was asked."""
        kind = type(self.destination)
        if (
            kind.session is not Destination.session
            or kind.export_batch_data is Destination.export_batch_data
        ):
            pytest.skip("it does not take rows by export_batch_data")
        calls: list[str] = []
        batches: list[list[dict[str, Any]]] = []
        takes, connects = self.destination.export_batch_data, self.destination.test_connection

        def export_batch_data(
            record_data: list[dict[str, Any]], stream: str, tags: Mapping[str, Any] | None = None
        ) -> None:
            calls.append("export_batch_data")
            assert {item["stream"] for item in record_data} <= {stream}
            batches.append([dict(item["record"]) for item in record_data])
            takes(record_data, stream, tags)

        def test_connection() -> None:
            calls.append("test_connection")
            connects()

        monkeypatch.setattr(self.destination, "export_batch_data", export_batch_data)
        monkeypatch.setattr(self.destination, "test_connection", test_connection)
        stream = Stream("watched", schema=SCHEMA)
        self.give(stream, *ROWS, strategy=min(self.destination.capabilities.strategies))
        return calls, batches

    def test_connection_is_tested_once_and_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`test_connection` is called once, before the first batch."""
        calls, _ = self._watched(monkeypatch)
        assert calls[0] == "test_connection"
        assert calls.count("test_connection") == 1

    def test_batches_are_never_empty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every batch has rows, and all rows come."""
        _, batches = self._watched(monkeypatch)
        assert all(batches)
        assert [row["id"] for batch in batches for row in batch] == [1, 2, 3]

    def test_records_of_a_batch_have_the_same_keys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All records of a batch have the same keys in the same order: the schema's first."""
        _, batches = self._watched(monkeypatch)
        for batch in batches:
            assert len({tuple(row) for row in batch}) == 1
            assert list(batch[0])[: len(SCHEMA["properties"])] == list(SCHEMA["properties"])

    def test_records_hold_json_values(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Values are what JSON has, unless the destination asks for Python's own."""
        if self.destination.native_types:
            pytest.skip("it asks for Python's own types")
        _, batches = self._watched(monkeypatch)
        assert batches[0][1]["at"] == "2026-01-01T02:30:00"
        assert batches[0][1]["b"] == "AP8="
        assert all(_is_json(value) for batch in batches for row in batch for value in row.values())


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_json(item) for name, item in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    return isinstance(value, JSON_TYPES)
