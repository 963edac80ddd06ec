#!/usr/bin/env python3
"""A Singer target that writes what it reads into a file, or misbehaves as its config says."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def main() -> None:  # noqa: C901, PLR0912 - a case each
    if "--about" in sys.argv:
        print(
            json.dumps(
                {"name": "target-fake", "settings": {"type": "object", "properties": {"out": {}}}}
            )
        )
        return
    config: dict[str, Any] = json.loads(Path(sys.argv[sys.argv.index("--config") + 1]).read_text())
    mode = config.get("mode", "good")
    if config.get("bad"):
        sys.stderr.write(f"{config['bad']}\n")
        sys.exit(1)
    if mode == "leak":
        print(f"cannot log in with {config['password']}", file=sys.stderr)
        print(f"DEBUG {config['password']}")
        sys.exit(1)
    if mode == "loud":
        for _ in range(40):
            os.write(1, b"x" * 99_999 + b"\n")
    if mode == "half":  # it leaves the rest where it is, and says that all is well
        os.read(0, 60)
        return
    with Path(config["out"]).open("a") as out:
        states = []
        for number, line in enumerate(sys.stdin):
            if mode == "die" and number == 2:
                sys.stderr.write("the disk is full\n")
                sys.exit(3)
            if mode == "hang":
                time.sleep(600)
            message = json.loads(line)
            if message["type"] == "STATE":
                states.append(message["value"])
            out.write(line)
    if mode != "silent":
        for state in states:
            print(json.dumps(state))
    sys.stdout.flush()
    if mode == "late":
        sys.stderr.write("it could not clean up\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
