"""What the package client says of a requirement before anything is installed: its newest version, and its Python."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl_assets.connectors.requirements import Asked, find_uv
from etl_assets.redaction import redact
from etl_assets.redaction.logs import masked_logger

ANSWER_SECONDS = 600.0
_log = masked_logger("etl_assets.connectors")


@dataclass(frozen=True)
class Answer:
    """What the client would install, whatever Python it takes.

    Args:
        name: The distribution.
        version: Its version.
        requires: Its `Requires-Python`; "" where it says nothing.
    """

    name: str
    version: str
    requires: str


def answer_for(asked: Asked, line: str) -> Answer | None:
    """Ask pip which version it would install of a requirement, and which Python that takes.

    Installs nothing.

    pip by itself takes the newest version that this Python can have, which may be years older than
    the newest one; asked to ignore what versions require, it tells of the newest.

    Args:
        asked: The whole requirement.
        line: The line of it that is asked about.

    Returns:
        The answer; None where there is no pip to be asked, or it has none: of a package that is
        installed in place, or whose description is made by code that does not run here.
    """
    command = _pip()
    if command is None or line.startswith("-e ") or asked.any_python:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file, report = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        file.touch(mode=0o600)  # a requirement may be a URL with a password
        file.write_text(f"{line}\n")
        options = [
            "--dry-run",
            "--no-deps",
            "--ignore-installed",
            "--ignore-requires-python",
            "--quiet",
        ]
        said = _said(
            [
                *command,
                "install",
                "--disable-pip-version-check",
                *options,
                "--report",
                str(report),
                "-r",
                str(file),
            ],
            folder,
        )
        try:
            found = json.loads(report.read_bytes())["install"][0]["metadata"]
            return Answer(
                str(found["name"]), str(found["version"]), str(found.get("requires_python") or "")
            )
        except (OSError, ValueError, LookupError, TypeError):
            _log.debug("no answer for %s: %s", redact(line), redact(said))
            return None


def _pip() -> Sequence[str] | None:
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = find_uv()
    if uv is not None:
        return [
            uv,
            "run",
            "--quiet",
            "--no-project",
            "--isolated",
            "--with",
            "pip",
            "python",
            "-m",
            "pip",
        ]
    base: Any = getattr(
        sys, "_base_executable", None
    )  # of an environment that was made without pip
    return [str(base), "-m", "pip"] if base and base != sys.executable else None


def _said(command: Sequence[str], folder: str) -> str:
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    }
    try:
        done = subprocess.run(  # noqa: S603 - an installer, and our own arguments
            command,
            cwd=folder,  # not the project's, whose settings are none of a connector's
            env={"UV_SYSTEM_CERTS": "true", **kept},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.decode("utf-8", "replace").strip()[-2000:]
