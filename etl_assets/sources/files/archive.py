"""Zip archives: each file in one is a file of the stream, which rows name as their origin."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, BinaryIO, Self, cast
from zipfile import BadZipFile, ZipFile, ZipInfo

from etl_assets.sources.files.content import content, damaged
from etl_assets.sources.files.listing import matches
from etl_assets.sources.files.options import Reading, endings
from etl_assets.sources.files.text.header import repeated

ALL = "**"
READ_AT_ANY_PLACE = frozenset({"parquet", "orc", "xlsx", "xlsb", "xls", "ods"})
"""Formats that are not read from the first byte to the last: their files are unpacked first."""
_TOLD = 10


def parts_of(reading: Reading) -> Iterator[Reading]:
    """Yield the files of an archive, by name; any other file is yielded itself.

    Raises:
        DataError: It is no whole archive, is locked, or has no file that is asked for.
    """
    if reading.compression != "zip":
        yield reading
        return
    try:
        with reading.open() as raw:
            members = _members(raw, reading)
    except (BadZipFile, OSError, NotImplementedError, EOFError) as error:
        raise damaged(reading, error) from error
    # If the archive's own name tells the format of its only file, rows come from the archive.
    says_it_all = len(members) <= 1 and endings(reading.file)[1] is not None
    named = reading.options.members is not None or not says_it_all
    for member in _chosen(members, reading):
        yield _part(member, reading, named=named)


def _members(raw: BinaryIO, reading: Reading) -> list[ZipInfo]:
    files = [one for one in ZipFile(raw).infolist() if not one.is_dir()]
    members = sorted(files, key=lambda one: one.filename)
    if reading.size is not None and sum(one.compress_size for one in members) > reading.size:
        raise reading.error("its files overlap: it may be a bomb.")
    twice = repeated([one.filename for one in members])
    if twice is not None:
        raise reading.error(
            f"holds two files called {twice!r}.", hint="Pack it anew, with the one that is right."
        )
    return members


def _chosen(members: Sequence[ZipInfo], reading: Reading) -> list[ZipInfo]:
    asked = reading.options.members
    if asked is None:
        asked = ALL
    patterns = [asked] if isinstance(asked, str) else list(asked)
    # Names that begin with a dot are hidden here as they are in folders: macOS packs one beside
    # each file.
    chosen = [one for one in members if _is_chosen(one, patterns)]
    if not chosen:
        shown = ", ".join(repr(one.filename) for one in members[:_TOLD]) or "nothing"
        raise reading.error(
            f"holds no file that matches {', '.join(map(repr, patterns))}.",
            hint=f"It holds {shown}.",
        )
    for member in chosen:
        if member.flag_bits & 1:
            raise reading.error(f"{member.filename!r} is locked with a password.")
        if endings(member.filename)[2] == "zip":
            raise reading.error(
                f"{member.filename!r} is an archive itself.",
                hint='Leave it out with members, for example "*.csv".',
            )
    return chosen


def _is_chosen(member: ZipInfo, patterns: Sequence[str]) -> bool:
    parts = member.filename.split("/")
    return any(matches(parts, pattern.split("/")) for pattern in patterns)


def _part(member: ZipInfo, reading: Reading, *, named: bool) -> Reading:
    folder = member.filename.rpartition("/")[0]
    part = replace(
        reading,
        file=f"{reading.file}/{member.filename}" if named else reading.file,
        size=member.compress_size,
        options=replace(reading.options, compression="infer" if named else "none"),
        open=lambda: _opened(member, reading),
        folders=f"{reading.folders}{folder}/" if folder else reading.folders,
        archive=reading.file,
    )
    if part.compression or part.format not in READ_AT_ANY_PLACE:
        return part
    return replace(part, open=lambda: _unpacked(part))


def _opened(member: ZipInfo, reading: Reading) -> BinaryIO:
    with ExitStack() as stack:
        raw = stack.enter_context(reading.open())
        file = stack.enter_context(ZipFile(raw).open(member))
        stack.pop_all()  # else it is closed here
        return cast("BinaryIO", _Member(file, raw))


class _Member:
    """A file of an archive, which closes the archive with it."""

    def __init__(self, file: Any, raw: BinaryIO) -> None:
        self._file = file
        self._raw = raw

    def read(self, size: int = -1) -> bytes:
        return cast("bytes", self._file.read(size))

    def close(self) -> None:
        self._file.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _unpacked(part: Reading) -> BinaryIO:
    """Unpack a file of an archive, within the limits, to where it is read at any place."""
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.TemporaryFile())
        with content(part) as binary:
            shutil.copyfileobj(binary, file)
        file.seek(0)
        stack.pop_all()  # whoever reads it closes it
        return cast("BinaryIO", file)
