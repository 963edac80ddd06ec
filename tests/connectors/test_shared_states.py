"""A state that is one for all streams of a connector: what its hints say helps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etl_assets.protocol.events import StreamKey
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sync_source import StreamPlan

from .conftest import Loaded

Make = Callable[..., ConnectorSource]
Load = Callable[..., Loaded]
ANEW = StreamPlan(full_refresh=True)
HINT = "Refresh all of its streams together."


def refreshed(*names: str) -> dict[StreamKey, StreamPlan]:
    return {("", name): ANEW for name in names}


def test_streams_of_an_airbyte_source_are_refreshed_together(
    airbyte: Make, load: Load, tmp_path: Path
) -> None:
    legacy = {"type": "STATE", "state": {"type": "LEGACY", "data": {"at": 1}}}

    def lines(*ids: int) -> list[Any]:
        return [["rows", name, *ids] for name in ("a", "b")] + [["raw", json.dumps(legacy) + "\n"]]

    assert load(airbyte(*lines(0, 3))).error is None
    assert HINT in load(airbyte(*lines(0, 2)), refreshed("a")).failure("a")
    note = tmp_path / "note"
    result = load(airbyte(["note", str(note)], *lines(0, 2)), refreshed("a", "b"))
    assert result.error is None
    assert json.loads(note.read_text())["state"] is None
    assert result.rows("source_fake.a") == result.rows("source_fake.b") == [0, 1]
    again = load(airbyte(["note", str(note)], *lines(1, 3)))
    assert json.loads(note.read_text())["state"] == {"at": 1}
    assert again.rows("source_fake.a") == [0, 1, 2]


def test_streams_of_a_tap_are_refreshed_together(singer: Make, load: Load, tmp_path: Path) -> None:
    fields = {"type": "object", "properties": {"id": {"type": "integer"}}}

    def lines(*ids: int) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for name in ("a", "b"):
            found.append(
                {"type": "SCHEMA", "stream": name, "schema": fields, "key_properties": ["id"]}
            )
            found += [{"type": "RECORD", "stream": name, "record": {"id": one}} for one in ids]
        return [*found, {"type": "STATE", "value": {"at": ids[-1]}}]

    note = tmp_path / "note"
    assert load(singer(*lines(0, 1, 2))).error is None
    assert HINT in load(singer(*lines(0, 1)), refreshed("a")).failure("a")
    result = load(singer(*lines(0, 1), note=str(note)), refreshed("a", "b"))
    assert result.error is None
    assert not json.loads(note.read_text())["state"]
    assert result.rows("tap_fake.a") == result.rows("tap_fake.b") == [0, 1]
    again = load(singer(*lines(1, 2), note=str(note)))
    assert json.loads(note.read_text())["state"] == {"at": 1}
    assert again.rows("tap_fake.a") == [0, 1, 2]
