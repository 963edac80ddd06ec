"""An Airbyte source that says what it sees: the rights of its config file, and whether its first row has arrived.

Config: `watch`: the file in which its first row arrives.
"""

import json
import stat
import sys
import time
from pathlib import Path
from typing import Any

SECONDS = 30.0


def say(kind: str, **part: Any) -> None:
    sys.stdout.write(json.dumps({"type": kind, **part}) + "\n")
    sys.stdout.flush()


def record(**data: Any) -> None:
    say("RECORD", record={"stream": "seen", "data": data, "emitted_at": 1_700_000_000_000})


def state(value: int) -> None:
    one = {"stream_descriptor": {"name": "seen"}, "stream_state": {"at": value}}
    say("STATE", state={"type": "STREAM", "stream": one})


def read() -> None:
    path = Path(sys.argv[sys.argv.index("--config") + 1])
    rights = [oct(stat.S_IMODE(one.stat().st_mode)) for one in (path, path.parent)]
    record(id=1, what=" ".join(rights))
    state(1)
    watched = Path(json.loads(path.read_text())["watch"])
    until = time.monotonic() + SECONDS
    while not watched.exists() and time.monotonic() < until:
        time.sleep(0.05)
    record(id=2, what="arrived" if watched.exists() else "waiting")
    state(2)


def main() -> None:
    match sys.argv[1]:
        case "spec":
            say("SPEC", spec={"connectionSpecification": {"type": "object"}})
        case "discover":
            properties = {"id": {"type": "integer"}, "what": {"type": "string"}}
            stream = {
                "name": "seen",
                "json_schema": {"type": "object", "properties": properties},
                "supported_sync_modes": ["full_refresh", "incremental"],
                "source_defined_cursor": True,
                "source_defined_primary_key": [["id"]],
            }
            say("CATALOG", catalog={"streams": [stream]})
        case "read":
            read()


if __name__ == "__main__":
    main()
