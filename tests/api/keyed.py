"""An Airbyte source whose stream leaves its keys to whoever reads it."""

import json
import sys
from typing import Any

ROWS = [{"id": 1, "line": 1, "changed": 1}, {"id": 1, "line": 2, "changed": 2}]
STREAM = {
    "name": "orders",
    "json_schema": {
        "type": "object",
        "properties": {name: {"type": "integer"} for name in ROWS[0]},
    },
    "supported_sync_modes": ["full_refresh", "incremental"],
}


def say(kind: str, word: str, what: Any) -> None:
    """Write a message."""
    print(json.dumps({"type": kind, word: what}), flush=True)


if __name__ == "__main__":
    match sys.argv[1]:
        case "spec":
            say("SPEC", "spec", {"connectionSpecification": {"type": "object"}})
        case "check":
            say("CONNECTION_STATUS", "connectionStatus", {"status": "SUCCEEDED"})
        case "discover":
            say("CATALOG", "catalog", {"streams": [STREAM]})
        case "read":
            for row in ROWS:
                say("RECORD", "record", {"stream": "orders", "emitted_at": 0, "data": row})
            state = {"stream_descriptor": {"name": "orders"}, "stream_state": {"changed": 2}}
            say("STATE", "state", {"type": "STREAM", "stream": state})
