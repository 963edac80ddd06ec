#!/usr/bin/env python3
"""An Airbyte source that does what its config says, message by message, and misbehaves where that is asked for.

Config: `script`: a list of steps, each `[verb, arguments...]`; see `step`. `{state}` in a script is
what it was given.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

NOW = 1_700_000_000_000


def say(message: Any, *, spaced: bool = False) -> None:
    text = (
        message
        if isinstance(message, str)
        else json.dumps(message, separators=None if spaced else (",", ":"))
    )
    sys.stdout.write(text + "\n")


def status(name: str, word: str, namespace: str | None = None) -> None:
    descriptor = {"name": name, **({"namespace": namespace} if namespace else {})}
    trace = {"stream_descriptor": descriptor, "status": word}
    say(
        {
            "type": "TRACE",
            "trace": {"type": "STREAM_STATUS", "emitted_at": NOW, "stream_status": trace},
        }
    )


def record(stream: str, data: dict[str, Any], **more: Any) -> None:
    say({"type": "RECORD", "record": {"stream": stream, "data": data, "emitted_at": NOW, **more}})


def state(stream: str, value: Any, count: float | None = None) -> None:
    one = {
        "type": "STREAM",
        "stream": {"stream_descriptor": {"name": stream}, "stream_state": value},
    }
    say(
        {
            "type": "STATE",
            "state": {
                **one,
                **({"sourceStats": {"recordCount": count}} if count is not None else {}),
            },
        }
    )


def error(message: str, kind: str = "system_error", stream: str | None = None) -> None:
    said = {
        "message": message,
        "failure_type": kind,
        **({"stream_descriptor": {"name": stream}} if stream else {}),
    }
    say({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": NOW, "error": said}})


def step(config: dict[str, Any], verb: str, *given: Any) -> None:  # noqa: C901, PLR0912 - a case each
    match verb:
        case "rows":
            stream, start, stop = given
            for number in range(start, stop):
                record(stream, {"id": number, "name": f"row {number}"})
        case "record":
            record(*given)
        case "state":
            state(*given)
        case "global":
            say({"type": "STATE", "state": {"type": "GLOBAL", "global": given[0]}})
        case "status":
            status(*given)
        case "estimate":
            about = {"name": given[0], "type": "STREAM", "row_estimate": given[1]}
            say(
                {
                    "type": "TRACE",
                    "trace": {"type": "ESTIMATE", "emitted_at": NOW, "estimate": about},
                }
            )
        case "error":
            error(*given)
        case "raw":
            sys.stdout.write(given[0])
        case "spaced":
            say(
                {
                    "type": "RECORD",
                    "record": {"stream": given[0], "data": given[1], "emitted_at": NOW},
                },
                spaced=True,
            )
        case "config":
            say(
                {
                    "type": "CONTROL",
                    "control": {
                        "type": "CONNECTOR_CONFIG",
                        "emitted_at": NOW,
                        "connectorConfig": {"config": {**config, **given[0]}},
                    },
                }
            )
        case "note":
            Path(given[0]).write_text(
                json.dumps(
                    {
                        "argv": sys.argv,
                        "commands": command_lines(),
                        "env": dict(os.environ),
                        "config": config,
                        "state": given_document("--state"),
                        "catalog": given_document("--catalog"),
                    }
                )
            )
        case "append":
            with Path(given[0]).open("a") as file:
                file.write("x")
        case "exit":
            sys.stdout.flush()
            sys.exit(given[0])
        case "kill":
            sys.stdout.flush()
            os.kill(os.getpid(), given[0] if given else signal.SIGKILL)
        case "stderr":
            sys.stdout.flush()
            for _ in range(given[0]):
                sys.stderr.write("z" * 999 + "\n")
        case "leak":
            secret = config["nested"][0]["key"]
            forms = f"{secret} {base64.b64encode(f'ada:{secret}'.encode()).decode()} {quote(secret, safe='')}"
            sys.stderr.write(f"log in with {forms} failed\n")
            say({"type": "LOG", "log": {"level": "ERROR", "message": forms}})
            say(f"printed {forms}")
            error(f"cannot log in with {forms}", "config_error")
        case "hang":
            sys.stdout.flush()
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            Path(given[0]).write_text(f"{os.getpid()} {child.pid}")
            time.sleep(600)


def command_lines() -> list[str]:
    """Return the command lines of this process and all above it, as everybody on this machine may read them."""
    found, process = [], os.getpid()
    while process > 1:
        found.append(Path(f"/proc/{process}/cmdline").read_bytes().decode("utf-8", "replace"))
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def given_document(flag: str) -> Any:
    if flag not in sys.argv:
        return None
    return json.loads(Path(sys.argv[sys.argv.index(flag) + 1]).read_text())


def main() -> None:
    config = given_document("--config") or {}
    match sys.argv[1]:
        case "spec":
            say(
                {
                    "type": "SPEC",
                    "spec": {"connectionSpecification": {"type": "object", "properties": {}}},
                }
            )
        case "check":
            bad = config.get("bad")
            word = {"status": "FAILED", "message": bad} if bad else {"status": "SUCCEEDED"}
            say({"type": "CONNECTION_STATUS", "connectionStatus": word})
        case "discover":
            names = config.get("discovered") or config.get("streams", ["a", "b"])
            more = config.get("properties") or {}
            keys = {"source_defined_primary_key": config["keys"]} if "keys" in config else {}
            say(
                {
                    "type": "CATALOG",
                    "catalog": {"streams": [{**entry(name, more), **keys} for name in names]},
                }
            )
        case "read":
            for one in config["script"]:
                step(config, *one)


def entry(name: str, more: dict[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "name": {"type": "string"}, **more},
    }
    return {
        "name": name,
        "json_schema": schema,
        "supported_sync_modes": [
            "full_refresh",
            *([] if name.startswith("full") else ["incremental"]),
        ],
        "source_defined_cursor": not name.startswith("full"),
        "source_defined_primary_key": key_of(name),
    }


def key_of(name: str) -> list[list[str]]:
    if "nested" in name:
        return [["m", "k"]]
    return [] if name.startswith(("log", "full")) else [["id"]]


if __name__ == "__main__":
    main()
