#!/usr/bin/env python3
"""A Singer tap that writes the lines of its config, and notes what it was given."""

import json
import os
import sys
from pathlib import Path
from typing import Any


def given(*flags: str) -> Any:
    for flag in flags:
        if flag in sys.argv:
            return json.loads(Path(sys.argv[sys.argv.index(flag) + 1]).read_text())
    return None


def main() -> None:
    config = given("--config", "-c") or {}
    if "--about" in sys.argv:
        print(
            json.dumps(
                {"name": "tap-fake", "settings": {"type": "object", "properties": {"lines": {}}}}
            )
        )
        return
    if "--help" in sys.argv:
        print("usage")
        return
    if "--discover" in sys.argv:
        if config.get("bad"):
            sys.stderr.write(f"{config['bad']}\n")
            sys.exit(1)
        print("a line of text first")
        print(
            json.dumps(
                {"streams": [entry(one) for one in config.get("streams", ["a", "b"])]}, indent=2
            )
        )
        return
    if config.get("note"):
        note = {
            "argv": sys.argv,
            "state": given("--state"),
            "catalog": given("--catalog", "--properties"),
        }
        Path(config["note"]).write_text(json.dumps(note))
    exec(config.get("does", ""), {"here": Path(os.environ["HOME"])})  # noqa: S102 - what this tap does to its own folder
    for line in config["lines"]:
        if isinstance(line, int):
            sys.stdout.flush()
            sys.exit(line)
        text = line if isinstance(line, str) else json.dumps(line)
        print(text.replace("{here}", os.environ.get("FAKE_HERE", os.environ["HOME"])))


def entry(name: str) -> dict[str, Any]:
    properties = {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}
    keys = [] if name.startswith("log") else ["id"]
    metadata = {"inclusion": "available", "table-key-properties": keys, "selected-by-default": True}
    if not name.startswith("full"):
        metadata.update({"replication-method": "INCREMENTAL", "replication-key": "id"})
    told = properties if name.startswith("told") else {}
    columns = [
        {
            "breadcrumb": ["properties", column],
            "metadata": {"inclusion": "available", "selected-by-default": True},
        }
        for column in told
    ]
    return {
        "tap_stream_id": name,
        "stream": name,
        "key_properties": keys,
        "schema": {"type": "object", "properties": properties},
        "metadata": [{"breadcrumb": [], "metadata": metadata}, *columns],
    }


if __name__ == "__main__":
    main()
