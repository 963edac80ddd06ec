"""What pip or uv is asked to install: requirements, the pins of a lock file, and their hashes."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from etl_assets.exceptions import ConfigError
from etl_assets.redaction import redact

INSTALL_SECONDS = 1800.0
_OPTIONS = ("--no-deps", "--ignore-requires-python")


@dataclass(frozen=True)
class Pins:
    """What a lock file says about one environment.

    Args:
        packages: Every distribution and its version.
        hashes: The hashes (`sha256:...`) of the files that the index has of each distribution.
            There are hashes of all distributions or of none.
        distribution: The connector's own.
    """

    packages: Mapping[str, str]
    hashes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    distribution: str = ""


@dataclass(frozen=True)
class Asked:
    """What a requirement asks for.

    Args:
        lines: The lines of a requirements file.
        no_deps: Nothing else is installed.
        any_python: The Python that they require is ignored.
    """

    lines: Sequence[str]
    no_deps: bool
    any_python: bool

    @classmethod
    def of(cls, requirement: str) -> Self:
        """Read one or several requirements and options, which are separated by spaces.

        Raises:
            ConfigError: It has another option. Options of pip could make it install from anywhere.
        """
        words = shlex.split(requirement)
        kept = [word for word in words if word not in _OPTIONS]
        editable = kept[:1] == ["-e"]
        if editable:
            kept = kept[1:]
        if any(word.startswith("-") for word in kept):
            raise ConfigError(
                f"The requirement {redact(requirement)!r} has an option.",
                hint=f"Only `-e` and a path are allowed, and {' and '.join(_OPTIONS)}.",
            )
        whole = " ".join(kept)
        lines = [whole] if _is_one(whole) else [_absolute(word) for word in kept]
        if editable:
            lines = [f"-e {line}" for line in lines]
        return cls(lines, "--no-deps" in words, "--ignore-requires-python" in words)

    @property
    def distribution(self) -> str:
        """The name of the first distribution, or "" if it is a path or URL."""
        first = self.lines[0] if self.lines else ""
        match = re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[|[=<>!~ ;@]|$)", first)
        return match[1] if match else ""

    def pinned(self, pins: Pins) -> list[str]:
        """Return the lines that install exactly what a lock file says.

        What no index has is installed from its path or URL.
        """
        direct = [line for line in self.lines if line.startswith("-e ") or "/" in line]
        hashes = {} if direct else pins.hashes
        found = []
        for name, version in pins.packages.items():
            if direct and name == pins.distribution:
                continue
            options = [f"--hash={one}" for one in hashes.get(name, ())]
            found.append(" ".join([f"{name}=={version}", *options]))
        return [*found, *direct]


def _is_one(text: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return not Path(text).expanduser().exists()


def _absolute(word: str) -> str:
    path = Path(word).expanduser()
    return str(path.absolute()) if path.exists() else word


def hashes_of(packages: Mapping[str, str]) -> dict[str, list[str]]:
    """Ask the index for the hashes of all files of these versions.

    The result is empty without uv, and if the index does not have all of them.
    """
    uv = find_uv()
    if uv is None or not packages:
        return {}
    lines = "\n".join(f"{name}=={version}" for name, version in packages.items())
    options = ("--quiet", "--no-deps", "--generate-hashes", "--no-header", "--no-annotate")
    command = [uv, "pip", "compile", "-", *options]
    try:
        done = subprocess.run(  # noqa: S603 - an installer, and our own arguments
            command,
            cwd=tempfile.gettempdir(),
            env={"UV_SYSTEM_CERTS": "true", **os.environ},
            input=lines.encode(),
            capture_output=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    found: dict[str, list[str]] = {}
    name = ""
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        if "==" in line:
            name = line.partition("==")[0].strip()
        found.setdefault(name, []).extend(re.findall(r"--hash=(\S+)", line))
    is_complete = found.keys() == packages.keys() and all(found.values())
    if done.returncode or not is_complete:
        return {}
    return found


def find_uv() -> str | None:
    """Return the path of `uv`, on PATH or beside this interpreter, or None."""
    named = os.environ.get("UV", "")  # as uv itself tells the programs that it starts
    beside = Path(sys.executable).with_name("uv")
    on_path = shutil.which("uv")
    if on_path:
        return on_path
    for path in (named, str(beside)):
        if Path(path).is_absolute() and os.access(path, os.X_OK):
            return path
    return None


def parsed_lock(path: Path) -> dict[str, Any]:
    """Read a `connectors.lock`; the result is empty if the file does not exist.

    Raises:
        ConfigError: It is no lock file.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{str(path)!r} cannot be read: {error}.") from None
    found = document.get("connectors") if isinstance(document, dict) else None
    if not isinstance(found, dict):
        raise ConfigError(f"{str(path)!r} is no lock file.", hint="Remove it and install again.")
    return found
