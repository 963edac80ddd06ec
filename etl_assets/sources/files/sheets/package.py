"""Spreadsheets that are zip archives of XML: looked at before they are unpacked, and streamed."""

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from posixpath import dirname, join, normpath
from typing import Any, BinaryIO, Protocol
from zipfile import BadZipFile, ZipFile

from etl_assets.exceptions import DataError
from etl_assets.sources.files.content import RATIO_COUNTS_FROM
from etl_assets.sources.files.options import Reading

_CHUNK = 64 * 1024
SEPARATOR = " "
"""Stands between the namespace of an XML name and the name."""


class Handler(Protocol):
    """What takes the parts of an XML document, in their order."""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the start of an element; its name has its namespace before it."""

    def end(self, name: str) -> None:
        """Take its end."""

    def text(self, data: str) -> None:
        """Take text, perhaps a part of it."""


def local(name: str) -> str:
    """Return an XML name without its namespace."""
    return name.rpartition(SEPARATOR)[2]


class Quiet:
    """A handler of what does not matter."""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Pass over the start of an element."""

    def end(self, name: str) -> None:
        """Pass over its end."""

    def text(self, data: str) -> None:
        """Pass over text."""


class Package:
    """A zip archive of documents; their names count without case, and whichever slash they have.

    Args:
        archive: The archive.
        reading: What is read, for errors and limits.

    Raises:
        DataError: It says to unpack to more than the limits allow.
    """

    def __init__(self, archive: ZipFile, reading: Reading) -> None:
        self._archive = archive
        self._reading = reading
        self._members = {_plain(one.filename): one for one in archive.infolist()}
        self._check_sizes()

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._members

    @contextmanager
    def open(self, name: str) -> Iterator[Any]:
        """Open a member for reading.

        Raises:
            DataError: It is missing, damaged, or locked with a password.
        """
        member = self._members.get(_plain(name))
        if member is None:
            raise self._reading.error(f"is no whole spreadsheet: {name} is missing.")
        if member.flag_bits & 1:
            raise self._reading.error("is locked with a password.", hint="Save it without one.")
        try:
            with self._archive.open(member) as file:
                yield file
        except (BadZipFile, EOFError, zlib.error, NotImplementedError, OSError) as error:
            raise self._reading.error(
                f"is no whole spreadsheet: {name}: {str(error).rstrip('.')}."
            ) from error

    def parse(self, name: str, handler: Handler) -> None:
        """Read a member as an XML document, whole."""
        for _ in self.parts(name, handler):
            pass

    def parts(self, name: str, handler: Handler) -> Iterator[int]:
        """Read a member as an XML document.

        Behind each piece of it, give how many bytes were read so far.

        Raises:
            DataError: It is no XML document, or one that declares entities, which may grow without
                bounds.
        """
        from xml.parsers.expat import ExpatError

        with self.open(name) as file:
            parser = self._parser(name, handler)
            read = 0
            try:
                while data := file.read(_CHUNK):
                    read += len(data)
                    parser.Parse(data, False)  # noqa: FBT003 - the C function takes it by position
                    yield read
                parser.Parse(b"", True)  # noqa: FBT003
            except ExpatError as error:
                raise self._reading.error(f"is no whole spreadsheet: {name}: {error}.") from error
            yield read

    def _parser(self, name: str, handler: Handler) -> Any:
        from xml.parsers import expat

        parser = expat.ParserCreate(namespace_separator=SEPARATOR, intern={})
        parser.buffer_text = True
        parser.StartElementHandler = handler.start
        parser.EndElementHandler = handler.end
        parser.CharacterDataHandler = handler.text

        def refuse(*_: Any) -> None:
            raise self._reading.error(
                f"{name} declares a document type, which no spreadsheet needs and bombs do."
            )

        parser.StartDoctypeDeclHandler = refuse
        return parser

    def _check_sizes(self) -> None:
        whole = sum(one.file_size for one in self._members.values())
        packed = sum(one.compress_size for one in self._members.values())
        options = self._reading.options
        limit = max(RATIO_COUNTS_FROM, packed * options.max_ratio)
        if whole > min(limit, options.max_file_bytes):
            raise self._reading.error(
                f"unpacks to {whole} bytes: it may be a bomb.",
                hint="Raise max_ratio or max_file_bytes if it is right.",
            )


def related(package: Package, part: str, kind: str) -> dict[str, str]:
    """Return the parts of one kind that a part of an office document refers to, by relation id.

    Args:
        package: The archive.
        part: The part; an empty text for the archive itself.
        kind: The last word of the relations' type, which is the same in both forms of the standard.
    """
    folder, _, name = part.rpartition("/")
    path = join(folder, "_rels", f"{name}.rels")
    if path not in package:
        return {}
    relations = _Relations()
    package.parse(path, relations)
    return {
        id_: target if target.startswith("/") else normpath(join(dirname(part), target))
        for id_, type_, target in relations.found
        if type_ == kind
    }


class _Relations(Quiet):
    """What a part refers to: id, kind, target."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str, str]] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if local(name) == "Relationship" and attributes.get("TargetMode") != "External":
            kind = attributes.get("Type", "").rpartition("/")[2]
            self.found.append(
                (attributes.get("Id", ""), kind, attributes.get("Target", "").replace("\\", "/"))
            )


def too_large_row(reading: Reading, number: int) -> DataError:
    """Return the error of a row that goes on and on."""
    return reading.error(
        f"a row of more than {reading.options.max_row_bytes} bytes.",
        number + 1,
        hint="Raise max_row_bytes.",
    )


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


@contextmanager
def package(file: BinaryIO, reading: Reading) -> Iterator[Package]:
    """Open a file as a package.

    Raises:
        DataError: It is none, or a bomb.
    """
    try:
        archive = ZipFile(file)
    except (BadZipFile, EOFError, NotImplementedError, OSError, ValueError) as error:
        raise reading.error(
            f"is no Excel file: {str(error).rstrip('.')}.",
            hint="Is it whole, and what its ending says?",
        ) from error
    with archive:
        yield Package(archive, reading)
