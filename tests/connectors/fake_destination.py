#!/usr/bin/env python3
"""An Airbyte destination that writes what it reads into a file, or misbehaves as its config says."""

import json
import os
import sys
from pathlib import Path
from typing import Any


def say(message: Any) -> None:
    sys.stdout.write(json.dumps(message) + "\n")


def document(flag: str) -> Any:
    return json.loads(Path(sys.argv[sys.argv.index(flag) + 1]).read_text())


def write(config: dict[str, Any], mode: str) -> None:
    if mode == "loud":
        for _ in range(40):
            os.write(1, b"x" * 99_999 + b"\n")
    if mode == "half":
        os.read(0, 60)
        return
    if mode == "token":
        say(
            {
                "type": "CONTROL",
                "control": {"connectorConfig": {"config": {**config, "token": "the next one"}}},
            }
        )
    with Path(config["out"]).open("a") as out:
        out.write(json.dumps({"type": "CATALOG", "catalog": document("--catalog")}) + "\n")
        count = -1.0 if mode == "loses" else 0.0
        for number, line in enumerate(sys.stdin):
            if mode == "die" and number == 2:
                sys.stderr.write("the disk is full\n")
                sys.exit(3)
            message = json.loads(line)
            out.write(line)
            count += message["type"] == "RECORD"
            if message["type"] == "STATE" and mode != "silent":
                stats = {
                    "recordCount": count,
                    "rejectedRecordCount": 2.0 if mode == "rejects" else 0.0,
                }
                say({"type": "STATE", "state": {**message["state"], "destinationStats": stats}})
    if mode == "trace":
        error = {"message": "the table is locked", "failure_type": "transient_error"}
        say({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}})
    sys.stdout.flush()
    if mode == "late":
        sys.stderr.write("it could not clean up\n")
        sys.exit(1)


def main() -> None:
    if sys.argv[1] == "spec":
        say(
            {
                "type": "SPEC",
                "spec": {"connectionSpecification": {"type": "object", "properties": {"out": {}}}},
            }
        )
        return
    config = document("--config")
    if sys.argv[1] == "check":
        status = (
            {"status": "FAILED", "message": config["bad"]}
            if config.get("bad")
            else {"status": "SUCCEEDED"}
        )
        say({"type": "CONNECTION_STATUS", "connectionStatus": status})
        return
    write(config, config.get("mode", "good"))


if __name__ == "__main__":
    main()
