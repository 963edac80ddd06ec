"""The newest version of a requirement and its Python, before anything is installed."""

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
    """What pip would install, whatever Python that requires.

    Args:
        name: The distribution.
        version: Its version.
        requires: Its `Requires-Python`, or "".
    """

    name: str
    version: str
    requires: str


def answer_for(asked: Asked, line: str) -> Answer | None:
    """Ask pip which version of a requirement it would install, and which Python that requires.

    Nothing is installed. By default, pip chooses the newest version that supports this Python,
    which may be years old. It is told to ignore what versions require, so it returns the newest.

    Args:
        asked: The whole requirement.
        line: The line of it that is asked about.

    Returns:
        The answer, or None. There is none without pip, for a package that is installed in place,
        and for one whose metadata is made by code that does not run here.
    """
    command = _pip()
    if command is None or line.startswith("-e ") or asked.any_python:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file, report = Path(folder) / "requirements.txt", Path(folder) / "report.json"
        file.touch(mode=0o600)  # a requirement may be a URL with a password
        file.write_text(f"{line}\n")
        options = [
            *("--disable-pip-version-check", "--dry-run", "--no-deps", "--ignore-installed"),
            *("--ignore-requires-python", "--quiet"),
            *("--report", str(report), "-r", str(file)),
        ]
        said = _said([*command, "install", *options], folder)
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
        isolated = [uv, "run", "--quiet", "--no-project", "--isolated", "--with", "pip"]
        return [*isolated, "python", "-m", "pip"]
    # This environment was made without pip. The interpreter that it was made from may have it.
    base: Any = getattr(sys, "_base_executable", None)
    if not base or base == sys.executable:
        return None
    return [str(base), "-m", "pip"]


def _said(command: Sequence[str], folder: str) -> str:
    variables = {"UV_SYSTEM_CERTS": "true", **os.environ}
    for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        variables.pop(name, None)
    try:
        done = subprocess.run(  # noqa: S603 - an installer, and our own arguments
            command,
            cwd=folder,  # not the project's directory, whose settings do not apply here
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.decode("utf-8", "replace").strip()[-2000:]
