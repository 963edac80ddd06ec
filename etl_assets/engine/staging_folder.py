"""The folders in which batches wait.

They are made here, and removed only where name and content prove them ours.

The root of them (`staging_dir`, or a default place) may be anybody's and hold anything: of it
nothing is removed but what was made here. The folder of a load that was killed is swept when the
next one starts: its owner held a lock on a file in it, which the operating system released. A root
that had to be made bears a mark, and goes when it is empty.
"""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from etl_assets import ownership

PREFIX = "etl_assets-"
LOCK_FILE = "owner.lock"
ROOT_FILE = ".made-by-etl_assets"
ATTEMPTS = 100
_STAGED = re.compile(r"\d{6}(\.arrow)?")
_FULL = {errno.ENOSPC, errno.EDQUOT}


def default_roots(root: str | Path) -> tuple[Path, ...]:
    """Return a default place, and where to go if that cannot be written: among temporary files.

    Where no file can be made in any of the usual temporary folders, nor in the working directory,
    there is the default place alone.
    """
    try:
        return (Path(root), Path(tempfile.gettempdir()))
    except FileNotFoundError:
        return (Path(root),)


class StagingFolder:
    """The folder of one load, of mode 0700, locked until it is released or its process ends.

    Args:
        path: The folder.
        lock: The file in it that is locked.
    """

    def __init__(self, path: Path, lock: IO[bytes]) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def made_in(cls, roots: Sequence[Path]) -> "StagingFolder":
        """Make a folder in the first of these roots that takes it.

        Raises:
            OSError: None does; it is the error of the first. A full disk is none to go elsewhere
                silently.
        """
        first: OSError | None = None
        for root in roots:
            try:
                return cls._made(root)
            except OSError as error:
                first = first or error
                if error.errno in _FULL:
                    break
        raise first or FileNotFoundError("there is no place to stage in")

    @classmethod
    def _made(cls, root: Path) -> "StagingFolder":
        for _ in range(ATTEMPTS):
            _make_root(root)
            path = root / _new_name()
            # A sweep may remove the folder while it is empty, and a root that it was the last one
            # to need.
            with contextlib.suppress(FileNotFoundError):
                path.mkdir(mode=0o700)
                lock = _locked(path)
                if lock is not None:
                    return cls(path, lock)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(root))

    def release(self) -> None:
        """Let go of the lock: a sweep may remove the folder from now on."""
        self._lock.close()

    def remove(self) -> None:
        """Remove the folder, and its root where that was made for it and nothing else is in it."""
        _remove(self.path)
        _remove_root(self.path.parent)


def _locked(path: Path) -> IO[bytes] | None:
    """Lock a folder that was just made, and mark it; None, and no folder, if a sweep was faster."""
    descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    file = os.fdopen(descriptor, "r+b", buffering=0)
    try:
        if _try_lock(file) and path.exists():
            file.write(ownership.mark(path.name))
            return file
    except OSError:
        _drop(path, file)
        raise
    _drop(path, file)
    return None


def _drop(path: Path, file: IO[bytes]) -> None:
    file.close()
    _remove(path)


def sweep(roots: Path | Sequence[Path]) -> None:
    """Remove the folders whose owners are no more; nothing that was not made here."""
    for root in (roots,) if isinstance(roots, Path) else roots:
        try:
            names = [name for name in os.listdir(root) if name.startswith(PREFIX)]  # noqa: PTH208 - names are all it needs
        except OSError:
            continue
        for name in filter(_is_our_name, names):
            _sweep_one(root / name)
        _remove_root(root)


def _sweep_one(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_symlink() or path.stat().st_uid != os.getuid():
            return
        try:
            lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            # only if it is empty: its maker, or whoever removed it, was killed at that
            path.rmdir()
            return
        with os.fdopen(lock, "r+b", buffering=0) as file:
            if not _try_lock(file):
                return  # its run goes on
            if ownership.is_ours(path, path.name, lock) or _was_never_begun(path, lock):
                _remove(path)


def _was_never_begun(path: Path, lock: int) -> bool:
    """Return whether the maker of a folder was killed before it could mark it: it is empty."""
    return os.fstat(lock).st_size == 0 and os.listdir(path) == [LOCK_FILE]  # noqa: PTH208 - names are all it needs


def _remove(path: Path) -> None:
    """Remove what was staged in a folder of ours.

    Its lock file goes last: by that a sweep would find what is left. A file that somebody else has
    put there stays, and the folder with it.
    """
    # Another process may be sweeping it; what stays is swept by the next.
    with contextlib.suppress(OSError):
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            names = os.listdir(folder)  # noqa: PTH208 - of a descriptor
            for name in filter(_STAGED.fullmatch, names):
                _unlink(name, folder)
            if all(name == LOCK_FILE or _STAGED.fullmatch(name) for name in names):
                _unlink(LOCK_FILE, folder)
        finally:
            os.close(folder)
        path.rmdir()


def _unlink(name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


# The root


def _make_root(root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        root.mkdir()
        _write_mark(root)
        return
    if not root.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(root))


def _write_mark(root: Path) -> None:
    # Another process may just have done so, or have removed the root.
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        mark = os.open(root / ROOT_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(mark, ownership.mark(os.path.realpath(root)))
        finally:
            os.close(mark)


def _remove_root(root: Path) -> None:
    """Remove a root that was made here, if it is empty."""
    with contextlib.suppress(OSError):
        mark = os.open(root / ROOT_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            is_ours = ownership.is_ours(root, os.path.realpath(root), mark)
            if not is_ours or os.listdir(root) != [ROOT_FILE]:  # noqa: PTH208
                return
        finally:
            os.close(mark)
        (root / ROOT_FILE).unlink()
        try:
            root.rmdir()
        except OSError:
            _write_mark(root)  # somebody has begun to use it: it is still one that was made here


# Names


def _new_name() -> str:
    token = secrets.token_hex(8)
    return f"{PREFIX}{token}{_check_of(token)}"


def _is_our_name(name: str) -> bool:
    """Return whether a name is one that `_new_name` makes: its end follows from the rest."""
    token = name.removeprefix(PREFIX)
    return len(token) == 24 and token[16:] == _check_of(token[:16])  # noqa: PLR2004 - as made above


def _check_of(token: str) -> str:
    return hashlib.sha256(f"etl_assets staging {token}".encode()).hexdigest()[:8]


def _try_lock(file: IO[bytes]) -> bool:
    try:
        import fcntl
    except ImportError:  # pragma: no cover
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
