"""The Python interpreters of this machine, and which of them a connector takes."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from etl_assets.exceptions import ConfigError

ASK_SECONDS = 20.0
OLDEST_MINOR = 6
"""No connector supports an earlier minor version of Python 3."""
MINORS_AHEAD = 20
_NAME = re.compile(r"python3(\.\d+)?")
_ASK = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


@dataclass(frozen=True)
class Interpreter:
    """A Python interpreter of this machine.

    Args:
        path: The program.
        version: Such as `3.11.7`.
    """

    path: str
    version: str

    def is_taken_by(self, requires: str) -> bool:
        """Return whether a `Requires-Python` allows it; one that cannot be read allows any."""
        return takes(requires, self.version)

    def is_older_than(self, version: str) -> bool:
        """Return whether it is of an earlier minor version than another one."""
        return _minor(self.version) < _minor(version)

    @property
    def minor(self) -> str:
        """Its version to the second part, such as `3.11`."""
        return ".".join(self.version.split(".")[:2])


def takes(requires: str, version: str) -> bool:
    """Return whether a `Requires-Python` allows a version; one that cannot be read allows any."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(requires).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True


def this() -> Interpreter:
    """Return the interpreter that this library runs under."""
    return Interpreter(sys.executable, ".".join(map(str, sys.version_info[:3])))


def all_here() -> list[Interpreter]:
    """Return this interpreter, those of pyenv and uv, and those on PATH, the newest first.

    Each is asked for its version. One that does not start, such as a shim of pyenv without a
    version, is left out.
    """
    found = {this().minor: this()}
    seen = {os.path.realpath(sys.executable)}
    for path in (*_of_managers(), *_on_path()):
        real = os.path.realpath(path)
        if real in seen:
            continue
        version = version_of(path)
        if version is not None:
            seen.add(real)
            one = Interpreter(str(path), version)
            found.setdefault(one.minor, one)
    return sorted(found.values(), key=_parts, reverse=True)


def _parts(interpreter: Interpreter) -> list[int]:
    return [int(part) for part in interpreter.version.split(".")]


def older_here(version: str, requires: str) -> list[Interpreter]:
    """Return the interpreters of earlier minor versions that are allowed, the newest first."""
    return [one for one in all_here() if one.is_older_than(version) and one.is_taken_by(requires)]


def version_of(path: Path | str) -> str | None:
    """Return the version of an interpreter, or None if it does not start, or is no Python 3."""
    try:
        done = subprocess.run(  # noqa: S603 - an interpreter, and our own arguments
            [str(path), "-I", "-c", _ASK], capture_output=True, timeout=ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = done.stdout.decode("ascii", "replace").strip()
    if done.returncode or not re.fullmatch(r"3(\.\d+){2}", said):
        return None
    return said


def _of_managers() -> Iterator[Path]:
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    for folder in (pyenv, uv):
        yield from sorted(folder.glob("*/bin/python3"), reverse=True)


def _on_path() -> Iterator[Path]:
    own = Path(sysconfig.get_path("scripts"))
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        place = Path(folder)
        if not folder or place == own:
            continue
        try:
            names = sorted(entry.name for entry in os.scandir(place) if _NAME.fullmatch(entry.name))
        except OSError:
            continue
        yield from (place / name for name in names)


def of_version(wanted: str) -> Interpreter | None:
    """Return the interpreter of a version such as `3.10`, or of a path or program, or None."""
    program = shutil.which(wanted)
    is_program = os.sep in wanted or (program is not None and not wanted[:1].isdigit())
    if is_program:
        version = version_of(program) if program else None
        return Interpreter(str(program), version) if version else None
    parts = wanted.split(".")
    if this().version.split(".")[: len(parts)] == parts:
        return this()
    for path in (*_of_managers(), *_on_path()):
        if ".".join(parts[:2]) in str(path):  # the others need not be started
            version = version_of(path)
            if version is not None and version.split(".")[: len(parts)] == parts:
                return Interpreter(str(path), version)
    return next((one for one in all_here() if one.version.split(".")[: len(parts)] == parts), None)


def missing_minor(requires: str) -> str:
    """Return the version of Python to install for a `Requires-Python`.

    It is the next one below this one that is allowed, or else the next one above.
    """
    now = sys.version_info.minor
    minors = [*range(now, OLDEST_MINOR - 1, -1), *range(now + 1, now + MINORS_AHEAD)]
    for minor in minors:
        if takes(requires, f"3.{minor}.99") or takes(requires, f"3.{minor}.0"):
            return f"3.{minor}"
    return requires


def minor_below(version: str, requires: str) -> str | None:
    """Return the next older minor version of Python that is allowed, or None."""
    minors = range(_minor(version) - 1, OLDEST_MINOR - 1, -1)
    return next((f"3.{minor}" for minor in minors if takes(requires, f"3.{minor}.99")), None)


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def none_fits(name: str, requires: str, here: Sequence[Interpreter]) -> ConfigError:
    """Return the error for a connector that supports no interpreter of this machine.

    It says which version to install.

    Args:
        name: The connector, with its version.
        requires: Its `Requires-Python`.
        here: The interpreters that were found.
    """
    minor = missing_minor(requires)
    there = ", ".join(f"{one.version} ({one.path})" for one in here)
    return ConfigError(
        f"{name} requires Python {requires}, and there is none of these here: Python {minor} is "
        "missing.",
        hint=f"Install it, by `uv python install {minor}` or `pyenv install {minor}`. "
        f"Found: {there}.",
    )


def refused(named: str, requires: str, given: str, version: str) -> ConfigError:
    """Return the error for an interpreter that a package does not support.

    Args:
        named: The package.
        requires: Its `Requires-Python`.
        given: What names the interpreter.
        version: Which Python that is.
    """
    return ConfigError(
        f"{named} requires Python {requires}, and {given} is {version}.",
        hint="Leave use_python out, and one that it takes is looked for; or give "
        f'use_python="{missing_minor(requires)}".',
    )
