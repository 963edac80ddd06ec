"""The private directory of one connector process: its config, its home, its temporary files.

It is removed when the process has ended. Directories that a killed process left behind are removed
when the next one is made. Each contains a file that stays locked as long as any process lives that
made it or was started from there. A directory is only removed if that file proves that this
library made it.
"""

import contextlib
import fcntl
import json
import math
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import simplejson

from etl_assets import ownership
from etl_assets.confined import Folder
from etl_assets.exceptions import ConfigError

_LOCK = ".lock"
_PREFIX = "run-"


class Workspace:
    """A directory of mode 0700 with files of mode 0600; `folder` is the directory, held open."""

    def __init__(self) -> None:
        root = private_root()
        _sweep(root)
        self.path, self.lock = _made(root)
        self.folder = Folder(self.path)
        (self.path / "tmp").mkdir(mode=0o700)

    def write(self, name: str, document: Any) -> Path:
        """Write a JSON document that only this user can read, and return its path.

        Raises:
            ConfigError: It cannot be written as JSON. The error names the file and the key, never
                the value.
        """
        try:
            text = simplejson.dumps(document, use_decimal=True, allow_nan=False, default=_plain)
        except (TypeError, ValueError, RecursionError) as error:
            where, why = "a value", "has no form in it"
            found = _formless(document)
            if found is not None:
                place, why = found
                if place:
                    where = f"the value of {place!r}"
            elif isinstance(error, _NoFormError):
                why = str(error)
            raise ConfigError(
                f"{name} cannot be written as JSON: {where} {why}.",
                hint="Give texts, numbers, truth values, None, and lists and dicts of those.",
            ) from None
        path = self.path / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def remove(self) -> None:
        """Remove the directory and all that is in it."""
        _remove(self.path)
        self.folder.close()
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1


class _NoFormError(TypeError):
    """A value has no form in JSON."""


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise _NoFormError(f"is a {type(value).__name__}")


def _formless(node: Any, place: str = "") -> tuple[str, str] | None:
    """Return the place of the first value that has no form in JSON, and why.

    A place is written as in `credentials.key`.
    """
    if isinstance(node, Mapping):
        return _formless_in(node, place)
    if isinstance(node, list | tuple | set | frozenset):
        for index, item in enumerate(node):
            found = _formless(item, f"{place}[{index}]")
            if found is not None:
                return found
    elif isinstance(node, float | Decimal) and not math.isfinite(node):
        return place, "is not finite"
    elif node is not None and not isinstance(node, str | int | float | Decimal):
        try:
            _plain(node)
        except _NoFormError as error:
            return place, str(error)
    return None


def _formless_in(node: Mapping[Any, Any], place: str) -> tuple[str, str] | None:
    for key, item in node.items():
        below = f"{place}.{key}" if place else str(key)
        if key is not None and not isinstance(key, str | int | float):
            return below, f"has a {type(key).__name__} for its key"
        found = _formless(item, below)
        if found is not None:
            return found
    return None


def private_root() -> Path:
    """Return the directory of this user's workspaces, which is made if it is missing.

    Raises:
        ConfigError: It belongs to somebody else, is a link, or is open to others.
    """
    root = Path(tempfile.gettempdir()) / f"etl_assets-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o700)
    found = root.lstat()
    is_own_directory = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    is_open_to_others = stat.S_IMODE(found.st_mode) & 0o077
    if not is_own_directory or is_open_to_others:
        raise ConfigError(
            f"{str(root)!r} is not a private directory of this user.",
            hint="Remove it, or set TMPDIR to a directory of your own: configs with secrets are "
            "written there.",
        )
    return root


def _made(root: Path) -> tuple[Path, int]:
    """Make a directory and lock it, or another one if somebody removed it in between."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.write(lock, ownership.mark(path.name))
            if os.fstat(lock).st_nlink:
                return path, lock
            os.close(lock)


def _sweep(root: Path) -> None:
    """Remove the directories whose processes are gone."""
    for path in root.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            with contextlib.suppress(OSError):
                # It is empty. Whoever is making it at this moment makes another one.
                path.rmdir()
            continue
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if ownership.is_ours(path, path.name, lock):
                _remove(path)
        except OSError:
            continue  # in use
        finally:
            os.close(lock)


def _remove(path: Path) -> None:
    """Remove a directory of ours, and its lock last, so that a sweep finds what is left of it.

    What the connector may have put in its place, such as a link, is not removed.
    """
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for name in os.listdir(folder):  # noqa: PTH208 - of a descriptor
                if name != _LOCK:
                    _remove_in(folder, name)
        finally:
            os.close(folder)
        shutil.rmtree(path, ignore_errors=True)


def _remove_in(folder: int, name: str) -> None:
    if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        shutil.rmtree(name, ignore_errors=True, dir_fd=folder)
    else:
        os.unlink(name, dir_fd=folder)


def read_json(path: Path) -> Any:
    """Read a JSON file of ours, or return None if it is missing or cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
