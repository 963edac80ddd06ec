"""What a connector writes: Airbyte messages with records of eleven fields, one an object, one an array.

The connector is a shell script that prints files: it takes next to no CPU of its own, and the same
for every candidate.
"""

import json
import random
from collections.abc import Mapping
from pathlib import Path

NAME = "source-bench"
EVERY = 10_000
"""Records between two STATE messages."""
PROPERTIES = {
    "id": {"type": "integer"},
    "name": {"type": ["null", "string"]},
    "price": {"type": ["null", "number"]},
    "weight": {"type": ["null", "number"]},
    "count": {"type": ["null", "integer"]},
    "note": {"type": ["null", "string"]},
    "active": {"type": ["null", "boolean"]},
    "made": {"type": ["null", "string"], "format": "date-time"},
    "day": {"type": ["null", "string"], "format": "date"},
    "address": {"type": ["null", "object"]},
    "tags": {"type": ["null", "array"], "items": {"type": "string"}},
}
TYPES = {
    "id": "BIGINT", "name": "VARCHAR", "price": "DOUBLE", "weight": "DOUBLE", "count": "BIGINT", "note": "VARCHAR",
    "active": "BOOLEAN", "made": "TIMESTAMP WITH TIME ZONE", "day": "DATE", "address": "JSON", "tags": "JSON",
}  # fmt: skip
"""The types by hand, which are those that the schema means."""
CHECK = (
    "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)), ROUND(SUM(price), 2), ROUND(SUM(weight), 6), SUM(count), "
    "SUM(LENGTH(note)), COUNT(*) FILTER (active), MAX(epoch_us(made)), COUNT(DISTINCT day), "
    "SUM(hash(address ->> '$.street')), SUM(json_array_length(tags)) FROM t"
)
_PROGRAM = """#!/bin/sh
# A connector: what it says in answer to each command is a file beside it.
exec cat "{folder}/$1.jsonl"
"""


def prepare(folder: Path, rows: int) -> None:
    """Write the connector, its answers and, for who reads by hand, the bare records."""
    stream = {
        "name": "t",
        "json_schema": {"type": "object", "properties": PROPERTIES},
        "supported_sync_modes": ["full_refresh", "incremental"],
        "source_defined_cursor": True,
        "default_cursor_field": ["id"],
    }
    specification = {"connectionSpecification": {"type": "object", "properties": {}}}
    _answer(folder, "spec", {"type": "SPEC", "spec": specification})
    succeeded = {"type": "CONNECTION_STATUS", "connectionStatus": {"status": "SUCCEEDED"}}
    _answer(folder, "check", succeeded)
    _answer(folder, "discover", {"type": "CATALOG", "catalog": {"streams": [stream]}})
    with (
        (folder / "read.jsonl").open("w", encoding="utf-8") as messages,
        (folder / "records.jsonl").open("w", encoding="utf-8") as records,
    ):
        chance = random.Random(1)
        messages.write(_line(_status("STARTED")))
        for number in range(1, rows + 1):
            record = _record(number, chance)
            records.write(_line(record))
            said = {"stream": "t", "data": record, "emitted_at": 1_700_000_000_000 + number}
            messages.write(_line({"type": "RECORD", "record": said}))
            if number % EVERY == 0:
                messages.write(_line(_state(number)))
        messages.write(_line(_status("COMPLETE")))
    program = folder / NAME
    program.write_text(_PROGRAM.format(folder=folder), encoding="utf-8")
    program.chmod(0o755)


def _record(number: int, chance: random.Random) -> dict[str, object]:
    seconds = number % 86_400
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    day = f"20{number % 25:02}-{1 + number % 12:02}-{1 + number % 28:02}"
    return {
        "id": number,
        "name": f"name {number % 1000}",
        "price": round(chance.random() * 100, 2),
        "weight": chance.random(),
        "count": number % 97,
        "note": None if number % 3 else f"note {number}",
        "active": number % 2 == 0,
        "made": f"{day}T{clock}+00:00",
        "day": day,
        "address": {
            "street": f"street {number % 5000}",
            "number": number % 200,
            "city": "Zürich" if number % 7 == 0 else "Basel",
            "geo": {"lat": round(chance.random() * 90, 6), "lon": round(chance.random() * 180, 6)},
        },
        "tags": [f"tag {number % 11}", f"tag {number % 13}"],
    }


def _status(status: str) -> dict[str, object]:
    said = {"stream_descriptor": {"name": "t"}, "status": status}
    return {
        "type": "TRACE",
        "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": said},
    }


def _state(number: int) -> dict[str, object]:
    said = {"stream_descriptor": {"name": "t"}, "stream_state": {"id": number}}
    return {
        "type": "STATE",
        "state": {"type": "STREAM", "stream": said, "sourceStats": {"recordCount": EVERY}},
    }


def _answer(folder: Path, command: str, message: Mapping[str, object]) -> None:
    (folder / f"{command}.jsonl").write_text(_line(message), encoding="utf-8")


def _line(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
