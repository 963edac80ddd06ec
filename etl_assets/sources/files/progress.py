"""How far the files of a stream have been read: the bookmark of an incremental `FileSource`.

`modified`: the bookmark holds the state (time of modification and size) in which each file was
read, so that two files of one time, a file that arrives late with an old time (moved, unpacked,
copied), and one that has changed are all told apart. It is bounded: beyond `REMEMBERED` files the
oldest are forgotten, and what is not newer than those counts as read (`before`). A bookmark of
`modified` alone, as somebody may set it, means the same as `before`.

A file that was moved is not read again: its old name is gone, and time, size and a hash of the
content are those of the file that was read. Two files with one content are two files. What is gone
is known for a while (`gone`), so that a file may also come back later.

`name`: the bookmark holds the name that sorts last.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any

from etl_assets.exceptions import BookmarkError, SourceError
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.values.scalars import FinerError, to_instant
from etl_assets.sources.files.listing import NANOSECONDS, Found, iso
from etl_assets.sources.files.options import FileOptions

REMEMBERED = 10_000
"""How many files are told apart one by one."""

GONE = 100
"""How many files that are gone are known, should they come back under whatever name."""

_DIGITS = len("2026-01-01T00:00:00.000000000")


class Progress:
    """What has been read of a stream, and what is left.

    Args:
        stream: The stream.
        options: How it is read; `incremental` is set.
        bookmark: Where an earlier read ended.
        digest: Gives the hash of a file's content, or "".

    Raises:
        BookmarkError: The bookmark is not one of this kind.
    """

    def __init__(
        self,
        stream: Stream,
        options: FileOptions,
        bookmark: Bookmark | None,
        digest: Callable[[Found], str] | None = None,
    ) -> None:
        self.moved: list[tuple[str, str]] = []
        """The old and the new name of each file that has moved."""
        self.doubtful: list[tuple[str, str, str]] = []
        """The same of files that may have moved, and why nothing tells; they are read."""
        self._digest = digest or (lambda _: "")
        self._stream = stream
        self._options = options
        self._by_name = options.incremental == "name"
        self._name: str | None = None
        self._files: dict[str, str] = {}
        self._gone: dict[str, str] = {}
        self._before = ""
        if bookmark:
            self._take(bookmark)

    def _take(self, bookmark: Mapping[str, Any]) -> None:
        word = "name" if self._by_name else "modified"
        value, files = bookmark.get(word), bookmark.get("files")
        if not isinstance(value, str) or not isinstance(files, Mapping | None):
            raise BookmarkError(
                f"stream {self._stream.name!r}: its bookmark has no {word!r}: it is of another way "
                "to read.",
                hint="Load it anew with full_refresh after a change of `incremental`.",
                stream=self._stream.name,
            )
        if self._by_name:
            self._name = value
        elif files is None:
            self._before = self._moment(value)
        else:
            self._files = {str(name): str(stamp) for name, stamp in files.items()}
            gone = bookmark.get("gone") or {}
            self._gone = {str(name): str(stamp) for name, stamp in gone.items()}
            self._before = str(bookmark.get("before") or "")

    def _moment(self, value: str) -> str:
        """Return a time that somebody wrote in the form that files have."""
        if len(value) > _DIGITS:
            return value
        try:
            moment = to_instant(value)
        except (ValueError, FinerError) as error:
            raise BookmarkError(
                f"stream {self._stream.name!r}: its bookmark's time {value!r} is none.",
                stream=self._stream.name,
            ) from error
        whole = f"{moment:%Y-%m-%dT%H:%M:%S}"
        return f"{whole}.{moment.microsecond:06d}000Z"

    def left(self, files: Sequence[Found]) -> list[Found]:
        """Return the files that are to be read, in the order in which they are.

        Raises:
            SourceError: A file has changed since it was read, and the stream has no key to merge
                its rows by.
        """
        if self._by_name:
            new = [one for one in files if self._name is None or one.name > self._name]
            found = sorted(new, key=_name)
        else:
            self._refuse_timeless(files)
            self._follow_moves(files)
            new = [one for one in files if self._is_new(one)]
            found = sorted(new, key=lambda one: (one.modified or "", one.name))
        if self._options.min_age:
            youngest = iso(time.time_ns() - int(self._options.min_age * NANOSECONDS))
            # Those behind a young file are left too: the bookmark would pass it by.
            return list(takewhile(lambda one: (one.modified or "") <= youngest, found))
        return found

    def done(self, found: Found, listed: Sequence[Found]) -> dict[str, Any]:
        """Return the bookmark that covers this file too.

        Args:
            found: The file.
            listed: All files there are.
        """
        if self._by_name:
            self._name = found.name
            return {"name": found.name}
        self._files[found.name] = f"{found.stamp} {self._digest(found)}".rstrip()
        return self.bookmark(listed)

    def bookmark(self, listed: Sequence[Found]) -> dict[str, Any]:
        """Return the bookmark that covers what was read so far, of `modified`."""
        here = {one.name for one in listed}
        gone = self._gone | {name: stamp for name, stamp in self._files.items() if name not in here}
        newest_gone = sorted(gone, key=lambda name: gone[name])[-GONE:]
        self._gone = {name: gone[name] for name in newest_gone}
        self._files = {name: stamp for name, stamp in self._files.items() if name in here}
        while len(self._files) > REMEMBERED:
            oldest = min(self._files, key=lambda name: self._files[name])
            self._before = max(self._before, self._files.pop(oldest).partition(" ")[0])
        newest = max(stamp.partition(" ")[0] for stamp in self._files.values())
        before = {"before": self._before} if self._before else {}
        left = {"gone": dict(self._gone)} if self._gone else {}
        return {"modified": newest, **before, "files": dict(self._files), **left}

    def _follow_moves(self, files: Sequence[Found]) -> None:
        """Know files under their new names."""
        here = {one.name for one in files}
        gone = self._gone | {name: stamp for name, stamp in self._files.items() if name not in here}
        by_size: dict[str, list[str]] = {}
        for name in sorted(gone):
            by_size.setdefault(_parts(gone[name])[1], []).append(name)
        for found in files:
            alike = by_size.get(str(found.size))
            if not alike or found.name in self._files:
                continue
            old = self._moved_from(found, {name: gone[name] for name in alike})
            if old is not None:
                self._files.pop(old, None)
                self._gone.pop(old, None)
                self._files[found.name] = gone[old]
                self.moved.append((old, found.name))
                alike.remove(old)

    def _moved_from(self, found: Found, gone: Mapping[str, str]) -> str | None:
        """Return the name under which a file was read, of files that are gone and have its size."""
        digest = self._digest(found)
        why = ""
        for name, stamp in gone.items():
            modified, _, known = _parts(stamp)
            same_time, same_content = modified == found.modified, bool(known) and known == digest
            if same_time and same_content:
                return name
            if same_content:
                why, old = "its content is the same, and its time another one", name
            elif same_time and not (known and digest):
                why, old = "its time and size are the same, and nothing tells of the content", name
        if why and not self._keyed() and (found.modified or "") > self._before:
            self.doubtful.append((old, found.name, why))
        return None

    def _is_new(self, found: Found) -> bool:
        known = self._files.get(found.name)
        if known is None:
            return (found.modified or "") > self._before
        if known.startswith(f"{found.stamp} ") or known == found.stamp:
            return False
        action = self._options.on_changed or ("read" if self._keyed() else "error")
        if action == "error":
            raise SourceError(
                f"stream {self._stream.name!r}: {found.name!r} has changed since it was read, and "
                "without a primary key its rows would be there twice.",
                hint="Give the stream a primary key, do a full refresh, or say on_changed='read' "
                "(load it again) or 'ignore'.",
                stream=self._stream.name,
            )
        return action == "read"

    def _keyed(self) -> bool:
        return bool(self._stream.primary_key or self._stream.unique_constraints)

    def _refuse_timeless(self, files: Sequence[Found]) -> None:
        timeless = next((one for one in files if one.modified is None), None)
        if timeless is not None:
            raise SourceError(
                f"stream {self._stream.name!r}: nothing tells when {timeless.name!r} was modified.",
                hint='Use incremental="name".',
                stream=self._stream.name,
            )


def _parts(stamp: str) -> tuple[str, str, str]:
    """Return the time, the size and the digest of a state; earlier versions stored no digest."""
    modified, _, rest = stamp.partition(" ")
    size, _, digest = rest.partition(" ")
    return modified, size, digest


def _name(found: Found) -> str:
    return found.name
