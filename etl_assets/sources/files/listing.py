"""Which files there are, by glob, in local folders and at fsspec URLs: never outside a root."""

import fnmatch
import os
import re
import stat as kinds
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from etl_assets.confined import Folder, NotConfinedError
from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    EtlAssetsError,
    SourceError,
    StreamReadError,
)
from etl_assets.packages import require
from etl_assets.redaction import redact

NANOSECONDS = 10**9
MICROSECONDS = 10**6
SECONDS = len("2026-01-01T00:00:00")
"""Characters of a time up to its seconds."""

DIGEST_BYTES = 10
CHUNKS, CHUNK_BYTES = 64, 64 * 1024
"""How many chunks of a file are hashed; a file that is no larger is hashed whole."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(://|::)")
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Found:
    """A file that was listed.

    Args:
        name: From the root on, with `/`.
        path: Where it is opened.
        size: In bytes, if known.
        modified: When, in UTC with nanoseconds; texts sort as the times do. None where the system
            does not tell.
        identity: What must stay the same while it is read.
    """

    name: str
    path: str
    size: int | None
    modified: str | None
    identity: tuple[Any, ...] = field(repr=False, default=())

    @property
    def stamp(self) -> str:
        """What tells this state of the file from a later one."""
        return f"{self.modified} {self.size}"


class Place(Protocol):
    """Where files are."""

    root: str

    def files(self, pattern: str) -> list[Found]:
        """Return the files that a glob under the root stands for, by name."""

    def open(self, found: Found) -> BinaryIO:
        """Open a file, which must still be the one that was listed."""

    def check(self, found: Found) -> None:
        """Raise an error if a file has changed since it was listed."""

    def digest(self, found: Found) -> str:
        """Return a short hash of a file's content, or "" where none is cheap.

        It tells a file that was moved by its new name.
        """


def place_of(
    path: str, below: str | None, storage_options: Mapping[str, Any], *, follow: bool
) -> tuple[Place, str]:
    """Return the place of a path, and the glob for it there.

    Args:
        path: A path, a glob or an fsspec URL; with `below`, the root.
        below: A glob under `path`.
        storage_options: For fsspec.
        follow: Follow symbolic links that lead out of the root.

    Raises:
        ConfigError: The glob would leave its root.
    """
    if below is not None:
        parts = below.replace(os.sep, "/").split("/")
        if ".." in parts or Path(below).is_absolute() or _URL.match(below):
            raise ConfigError(
                f"The pattern {below!r} leaves its root.",
                hint="Name files under `path`, without '..'.",
            )
        root, pattern = path, below
    else:
        root, pattern = _split(path)
    parts = pattern.replace(os.sep, "/").split("/")
    pattern = "/".join(part for part in parts if part not in {"", "."})
    if path.startswith("file://"):
        root = root.removeprefix("file://") or "/"
    elif _URL.match(path):
        return RemoteFiles(root, storage_options), pattern
    return LocalFiles(root or ".", follow=follow), pattern


def _split(path: str) -> tuple[str, str]:
    """Cut a path before its first part that is a glob; without one, before the last part."""
    is_url = bool(_URL.match(path))
    text = path if is_url else path.replace(os.sep, "/")
    parts = text.split("/")
    fixed = len(parts) - 1
    if is_url or not Path(path).is_file():
        globs = (place for place, part in enumerate(parts) if _MAGIC.search(part))
        fixed = next(globs, fixed)
    else:
        parts[-1] = _escaped(parts[-1])  # a file that really has this name
    if ".." in parts[fixed:]:
        raise ConfigError(
            f"The pattern {redact(path)!r} leaves its root.",
            hint="Write '..' before the first wildcard.",
        )
    root = "/".join(parts[:fixed])
    if not root and text.startswith("/"):
        root = "/"
    return root, "/".join(parts[fixed:])


def _escaped(name: str) -> str:
    return _MAGIC.sub(lambda match: f"[{match[0]}]", name)


def matches(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Return whether a name matches a glob, part by part.

    `**` is any number of folders, never hidden files.
    """
    if not pattern:
        return not parts
    if pattern[0] == "**":
        if matches(parts, pattern[1:] or ["*"]):
            return True
        is_in_folder = bool(parts) and not parts[0].startswith(".")
        return is_in_folder and matches(parts[1:], pattern)
    if not parts or not part_matches(parts[0], pattern[0]):
        return False
    return matches(parts[1:], pattern[1:])


def part_matches(name: str, pattern: str) -> bool:
    """Return whether one part of a name matches one part of a glob."""
    if name.startswith(".") and not pattern.startswith("."):
        return False
    return name == pattern or fnmatch.fnmatchcase(name, pattern)


def changed(name: str, how: str) -> StreamReadError:
    """Return the error of a file that is not as it was listed; trying again may help."""
    return StreamReadError(
        f"{name}: {how} while it was read; nothing of it is loaded.",
        hint="Have it written under another name and renamed when it is complete, or leave young "
        "files to a later run with min_age.",
    )


@contextmanager
def failures(name: str) -> Iterator[None]:
    """Turn what the system says about a file into an error that names it."""
    try:
        yield
    except EtlAssetsError:
        raise
    except PermissionError as error:
        raise AuthenticationError(f"{name}: no permission to read it.") from error
    except OSError as error:
        why = error.strerror or redact(str(error))
        raise SourceError(f"{name}: cannot be read: {why}.") from error


class LocalFiles:
    """A folder of this machine.

    Args:
        root: The folder.
        follow: Follow symbolic links that lead out of it.
    """

    def __init__(self, root: str, *, follow: bool) -> None:
        self.root = root
        self._follow = follow
        self._real_root = os.path.realpath(root)

    def files(self, pattern: str) -> list[Found]:
        """Return the files that a glob stands for, by name.

        A file that is there under several names, by links, is given once.

        Raises:
            SourceError: The root is not there.
            AuthenticationError: A folder may not be read.
            ConfigError: A link leads out of the root.
        """
        if not Path(self.root).is_dir():
            raise SourceError(
                f"There is no folder {self.root!r}.",
                hint="It is looked for from the working directory.",
            )
        by_file: dict[tuple[int, int], Found] = {}
        for name in sorted(set(self._names(self.root, "", pattern.split("/")))):
            path = str(Path(self.root, name))
            with failures(name):
                found = self._found(name, path)
                if found is None:
                    continue
                known = by_file.get(found.identity[:2])
                if known is None or Path(known.path).is_symlink():
                    by_file[found.identity[:2]] = found
        return sorted(by_file.values(), key=lambda one: one.name)

    def open(self, found: Found) -> BinaryIO:
        """Open a file, which must still be the one that was listed."""
        with failures(found.name):
            file = self._opened(found)
            if _identity(os.fstat(file.fileno())) != found.identity:
                file.close()
                raise changed(found.name, "has changed before or")
            return file

    def _opened(self, found: Found) -> BinaryIO:
        if self._follow:
            # It may have become a FIFO, for which nobody is to wait.
            descriptor = os.open(found.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            return os.fdopen(descriptor, "rb", buffering=0)
        # A link within the root is followed here, and none below: one that was put there since
        # leads nowhere.
        real = os.path.relpath(os.path.realpath(found.path), self._real_root)
        try:
            with closing(Folder(Path(self._real_root))) as root:
                return root.open(real)[0]
        except NotConfinedError:
            raise changed(found.name, "has been replaced before or") from None

    def check(self, found: Found) -> None:
        """Raise an error if a file has changed, or is gone, since it was listed."""
        try:
            now = Path(found.path).stat()
        except FileNotFoundError as error:
            raise changed(found.name, "has gone") from error
        if _identity(now) != found.identity:
            raise changed(found.name, "has changed")

    def digest(self, found: Found) -> str:
        """Return a hash of the content; of a large file, of chunks from its first to last byte."""
        hashed = blake2b(digest_size=DIGEST_BYTES)
        with failures(found.name), self.open(found) as file:
            for start, length in _chunks(found.size or 0):
                file.seek(start)
                hashed.update(file.read(length))
        return hashed.hexdigest()

    def _found(self, name: str, path: str) -> Found | None:
        try:
            now = Path(path).stat()
        except FileNotFoundError:
            if Path(path).is_symlink():
                raise SourceError(f"{name}: a link that leads nowhere.") from None
            return None  # gone since the folder was listed
        if not kinds.S_ISREG(now.st_mode):
            return None
        return Found(name, path, now.st_size, iso(now.st_mtime_ns), _identity(now))

    def _names(self, folder: str, before: str, pattern: Sequence[str]) -> Iterator[str]:
        with failures(before or self.root):
            entries = list(os.scandir(folder))
        if pattern[0] == "**":
            yield from self._names(folder, before, pattern[1:] or ["*"])
        for entry in entries:
            name = before + entry.name
            if pattern[0] == "**":
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    yield from self._names(entry.path, f"{name}/", pattern)
            elif part_matches(entry.name, pattern[0]):
                is_folder = entry.is_dir()
                if is_folder and len(pattern) == 1:
                    continue
                self._refuse_outside(entry, name)
                if len(pattern) == 1:
                    yield name
                elif is_folder:
                    yield from self._names(entry.path, f"{name}/", pattern[1:])

    def _refuse_outside(self, entry: "os.DirEntry[str]", name: str) -> None:
        if self._follow or not entry.is_symlink():
            return
        if os.path.commonpath([self._real_root, os.path.realpath(entry.path)]) != self._real_root:
            raise ConfigError(
                f"{name}: a link that leads out of {self.root!r}.",
                hint="Allow it with follow_symlinks=True.",
            )


def _identity(now: os.stat_result) -> tuple[int, ...]:
    return (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)


def _chunks(size: int) -> list[tuple[int, int]]:
    """Return where the chunks of a file begin, and their length."""
    if size <= CHUNKS * CHUNK_BYTES:
        return [(0, size)]
    last = size - CHUNK_BYTES
    return [(last * number // (CHUNKS - 1), CHUNK_BYTES) for number in range(CHUNKS)]


def iso(nanoseconds: int) -> str:
    """Return a time since 1970 as ISO 8601 text with nanoseconds."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


class RemoteFiles:
    """What a URL leads to, by fsspec.

    Args:
        root: The URL of the folder.
        storage_options: For fsspec.
    """

    def __init__(self, root: str, storage_options: Mapping[str, Any]) -> None:
        fsspec = require("fsspec", "A URL of files")
        self.root = root
        self._opened: dict[str, Found] = {}
        """Each file as it was when it was opened; on some systems a listing is less exact."""
        try:
            self._fs, self._root = fsspec.core.url_to_fs(root, **storage_options)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"{root.partition(':')[0]}: {redact(str(error))}.") from error

    def files(self, pattern: str) -> list[Found]:
        """Return the files that a glob stands for, by name.

        Raises:
            SourceError: A name that was listed is not under the root.
        """
        parts = pattern.split("/")
        base = self._root.rstrip("/")
        self._fs.invalidate_cache()
        with failures(pattern):
            if not any(_MAGIC.search(part) for part in parts):
                path = f"{base}/{pattern}" if base else pattern
                try:
                    return [_remote(pattern, path, self._fs.info(path))]
                except FileNotFoundError:
                    return []
            depth = None if "**" in parts else len(parts)
            try:
                listed = self._fs.find(self._root, maxdepth=depth, detail=True)
            except FileNotFoundError:
                listed = {}
        found = []
        for path, info in listed.items():
            name = path.removeprefix(base).lstrip("/")
            if (base and not path.startswith(f"{base}/")) or ".." in name.split("/"):
                raise SourceError(f"{path!r} was listed, but is not under the root.")
            if matches(name.split("/"), parts):
                found.append(_remote(name, path, info))
        return sorted(found, key=lambda one: one.name)

    def open(self, found: Found) -> BinaryIO:
        """Open a file, which must be the one that was listed, as far as size and seconds tell."""
        with failures(found.name):
            now = self._now(found)
            seconds = [one.modified[:SECONDS] if one.modified else None for one in (now, found)]
            if now.size != found.size or (None not in seconds and seconds[0] != seconds[1]):
                raise changed(found.name, "has changed before or")
            if self._opened.setdefault(found.path, now).identity != now.identity:
                raise changed(found.name, "has changed")
            file: BinaryIO = self._fs.open(found.path, "rb")
            return file

    def check(self, found: Found) -> None:
        """Raise an error if a file has changed, or is gone, since it was opened."""
        with failures(found.name):
            if self._now(found).identity != self._opened.pop(found.path).identity:
                raise changed(found.name, "has changed")

    def digest(self, found: Found) -> str:
        """Return a hash of what the system says of the content (an ETag, a checksum), or "".

        Nothing is read for it.
        """
        tag = found.identity[-1] if found.identity else None
        if not tag:
            return ""
        return blake2b(str(tag).encode(), digest_size=DIGEST_BYTES).hexdigest()

    def _now(self, found: Found) -> Found:
        self._fs.invalidate_cache()
        try:
            return _remote(found.name, found.path, self._fs.info(found.path))
        except FileNotFoundError as error:
            raise changed(found.name, "has gone") from error


_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What systems call the time of the last change; the surest word first."""
_TAGS = ("ETag", "etag", "md5Hash", "checksum")
"""What systems call what they say of a content."""


def _remote(name: str, path: str, info: Mapping[str, Any]) -> Found:
    modified = next(filter(None, map(_moment, map(info.get, _TIMES))), None)
    tags = (str(info[word]) for word in _TAGS if info.get(word))
    tag = next(tags, None)
    size = info.get("size")
    return Found(name, path, size, modified, (size, modified, tag))


def _moment(value: Any) -> str | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return f"{aware.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{aware.microsecond:06d}000Z"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return iso(round(value * MICROSECONDS) * 1000)  # a float holds no more
    return None
