"""Files below one folder that is held open: reached part by part and without following links.

A name that somebody else has chosen (a message, a listing) cannot lead out of the folder, whatever
it is spelled like and whatever is put in the place of one of its parts meanwhile.
"""

import errno
import os
import stat
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_SEARCHED = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
"""How a folder is opened that is only passed through."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
"""Opening a FIFO does not wait for its writer."""


class NotConfinedError(Exception):
    """A name does not lead to a file that may be read; the message is the end of a sentence."""


class Folder:
    """A folder, held by a descriptor: what takes the place of its path later is another one.

    Args:
        path: The folder.

    Raises:
        OSError: It is not there, or no folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, _SEARCHED)
        self._closed = weakref.finalize(
            self, os.close, self._descriptor
        )  # also when nobody holds it any more

    def close(self) -> None:
        """Let go of the folder; nothing is reached through it any more."""
        self._closed()
        self._descriptor = -1

    def open(self, name: str, *, one_name_only: bool = False) -> "tuple[BinaryIO, FileBelow]":
        """Open a file for reading.

        Args:
            name: Its path from the folder on, with `/`.
            one_name_only: Refuse a file that has other names too (hard links), which may be outside
                of the folder.

        Returns:
            The open file, unbuffered, and what removes that very file.

        Raises:
            NotConfinedError: The name leads out of the folder, through a link, or to no regular
                file.
            FileNotFoundError: There is no such file.
            OSError: It cannot be read.
        """
        parts = _parts(name)
        with self._parent(parts) as parent:
            _require_file(
                os.stat(parts[-1], dir_fd=parent, follow_symlinks=False),
                one_name_only=one_name_only,
            )
            with _no_link(parts[-1]):
                descriptor = os.open(parts[-1], _READ, dir_fd=parent)
        with ExitStack() as undone:
            file = undone.enter_context(os.fdopen(descriptor, "rb", buffering=0))
            found = os.fstat(descriptor)  # it may have been replaced since it was looked at
            _require_file(found, one_name_only=one_name_only)
            undone.pop_all()
        return file, FileBelow(self, name, _identity(found))

    def remove(self, name: str, identity: tuple[int, int]) -> None:
        """Remove a file, if it is still the one that was opened.

        Raises:
            NotConfinedError: Something else has its name now.
            OSError: It is gone, or cannot be removed.
        """
        parts = _parts(name)
        with self._parent(parts) as parent:
            if _identity(os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)) != identity:
                raise NotConfinedError("is not the file any more that was read")
            os.unlink(parts[-1], dir_fd=parent)

    @contextmanager
    def _parent(self, parts: list[str]) -> Iterator[int]:
        """Open the folder that holds the last part, one part after the other."""
        if self._descriptor < 0:
            raise FileNotFoundError(f"{self.path} was let go of")
        current = os.open(".", _SEARCHED, dir_fd=self._descriptor)
        try:
            for part in parts[:-1]:
                with _no_link(part):
                    below = os.open(part, _SEARCHED | os.O_NOFOLLOW, dir_fd=current)
                os.close(current)
                current = below
            yield current
        finally:
            os.close(current)


@dataclass(frozen=True)
class FileBelow:
    """A file that was opened below a folder.

    Args:
        folder: Which.
        name: Its path from there on.
        identity: Device and inode.
    """

    folder: Folder
    name: str
    identity: tuple[int, int]

    def unlink(self) -> None:
        """Remove the file, if it is still the one that was opened.

        Raises:
            OSError: It is gone, another one has its name, or it cannot be removed.
        """
        try:
            self.folder.remove(self.name, self.identity)
        except NotConfinedError as error:
            raise FileNotFoundError(f"{self.name} {error}") from None


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise NotConfinedError("leads out of it by '..'")
    if not parts or "\0" in name:
        raise NotConfinedError("is no name of a file")
    return parts


@contextmanager
def _no_link(part: str) -> Iterator[None]:
    """Raise the error of a link, if that is why the system does not open a part of the path."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if isinstance(error, NotADirectoryError) or error.errno == errno.ELOOP:
            raise NotConfinedError(f"has the part {part!r}, which is a link or no folder") from None
        raise


def _require_file(found: os.stat_result, *, one_name_only: bool) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise NotConfinedError("is a link")
    if not stat.S_ISREG(found.st_mode):
        raise NotConfinedError("is no regular file")
    if one_name_only and found.st_nlink != 1:
        raise NotConfinedError("has other names too (hard links)")


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
