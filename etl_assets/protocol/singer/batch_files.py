"""The files that a Singer BATCH message names: only those below one folder, unpacked within limits.

Their names come from a program, so that nothing of them is trusted: see `confined`.
"""

import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, NoReturn
from urllib.parse import unquote

from etl_assets.confined import FileBelow, Folder, NotConfinedError
from etl_assets.exceptions import DataError, ProtocolError
from etl_assets.model.batch import Batch
from etl_assets.model.json.lines import exact_json
from etl_assets.model.json.repeated_keys import refuse_repeats
from etl_assets.model.refused import Refusal, Refusals
from etl_assets.protocol.parquet.files import RATIO_COUNTS_FROM, Bounds, batches_of
from etl_assets.protocol.parquet.int96 import FAR, FAR_HINT, FarMoments
from etl_assets.protocol.parquet.int96 import OPTIONS as INT96
from etl_assets.protocol.singer.messages import MAX_BYTES

if TYPE_CHECKING:
    import pyarrow as pa
    from _typeshed import WriteableBuffer

MAX_FILE_BYTES = 4 * 1024 * 1024 * 1024
"""The most that a file may hold when it is unpacked."""
MAX_RATIO = 200
"""How many times its size it may unpack to."""
PARQUET_ROWS = 10_000
"""How many rows of a Parquet file are read at once."""
PARQUET_BYTES = 64 * 1024 * 1024
"""How many bytes of it are read at once, unless one row has more."""
PARQUET_ROW_BYTES = 256 * 1024 * 1024
"""The most that a row may have where values are read by reference."""

BATCH_ROWS = 10_000
BATCH_BYTES = 64 * 1024 * 1024
"""How many records of a file of JSON lines, or bytes of them, are one batch."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")
_BUFFER = 256 * 1024
_DAMAGE = (OSError, EOFError, ValueError, ArithmeticError, MemoryError, zlib.error)
"""What is raised at damaged or cut files; Arrow's errors are among them."""


class BatchFolder:
    """The folder that the files of BATCH messages must be below.

    Args:
        folder: Held open.
        names: The absolute paths by which messages may call it.
        hint: What an error says is to be done to have the files there.
        relative_to: The directory that relative paths start from; the folder by default.
    """

    def __init__(
        self, folder: Folder, names: Sequence[str], *, hint: str, relative_to: str | None = None
    ) -> None:
        self._folder = folder
        self._relative_to = relative_to
        self._names = [name.rstrip("/") for name in names]
        self._hint = hint

    def close(self) -> None:
        """Let go of the folder."""
        self._folder.close()

    def open(self, url: str, stream: str) -> tuple[BinaryIO, FileBelow]:
        """Open the file of a URL or path.

        Returns:
            The open file, unbuffered, and what removes that very file.

        Raises:
            ProtocolError: It is elsewhere, is reached through a link, is no regular file, or is not
                there; the error names it.
        """
        path = _path_in(url, stream)
        # Some programs write the characters of a path into a URL as they are: a '%' may be one of
        # the name.
        spellings = dict.fromkeys((unquote(path, errors="surrogateescape"), path))
        names = [name for name in map(self._below, spellings) if name is not None]
        elsewhere = f"is not below the folder {self._names[0]!r}"
        if not names:
            raise self._refused(url, stream, elsewhere)
        for name in names:
            try:
                return self._folder.open(name, one_name_only=True)
            except NotConfinedError as error:
                raise self._refused(url, stream, f"{elsewhere}: it {error}") from None
            except FileNotFoundError:
                continue
            except (OSError, UnicodeError) as error:
                why = getattr(error, "strerror", None) or "its name cannot be one"
                raise cannot_be_read(stream, f"its file {url!r}: {why}") from None
        raise cannot_be_read(stream, f"its file {url!r} is not there")

    def _below(self, path: str) -> str | None:
        """Cut the folder's own path off; return None for a path that is elsewhere."""
        if not path.startswith("/"):
            if self._relative_to is None:
                return path
            path = os.path.normpath(f"{self._relative_to}/{path}")
        for name in self._names:
            if path.startswith(f"{name}/"):
                return path[len(name) + 1 :]
        return None

    def _refused(self, url: str, stream: str, why: str) -> ProtocolError:
        return cannot_be_read(stream, f"its file {url!r} {why}", hint=self._hint)


def cannot_be_read(stream: str, why: str, *, hint: str | None = None) -> ProtocolError:
    """Return the error of a BATCH message that cannot be read."""
    return ProtocolError(
        f"stream {stream!r}: a BATCH message cannot be read: {why}.", hint=hint, stream=stream
    )


def _path_in(url: str, stream: str) -> str:
    """Return the path in a `file:` URL, as it is spelled there; a path is one itself."""
    scheme = _SCHEME.match(url)
    if scheme is None:
        return url
    if scheme[1].lower() != "file":
        raise cannot_be_read(
            stream, f"its file {url!r} is not on this machine; only files are read"
        )
    rest = url[scheme.end() :]
    if not rest.startswith("//"):
        return rest
    host, slash, path = rest[2:].partition("/")
    if host not in {"", "localhost"}:
        raise cannot_be_read(
            stream, f"its file {url!r} is not on this machine, but on {host!r}; only files are read"
        )
    return slash + path


def form_of(encoding: Mapping[str, Any], stream: str) -> tuple[str, bool]:
    """Return the format of a BATCH message's files, and whether they are gzipped.

    Raises:
        ProtocolError: The format is neither `jsonl` nor `parquet`, or they are packed otherwise.
    """
    kind, compression = encoding.get("format"), encoding.get("compression")
    is_known = kind in ("jsonl", "parquet") and compression in (None, "", "none", "gzip")
    if not is_known:
        raise cannot_be_read(stream, f"its encoding {dict(encoding)!r} is not known")
    return str(kind), compression == "gzip"


@contextmanager
def damage_named(url: str, stream: str) -> Iterator[None]:
    """Turn what is said about damaged or cut files into an error that names the file."""
    try:
        yield
    except _DAMAGE as error:
        raise cannot_be_read(stream, f"its file {url!r} cannot be read: {error}") from error


def lines_of(file: BinaryIO, *, packed: bool, longest: int = MAX_BYTES) -> Iterator[bytes]:
    """Yield the lines of an open file that are not blank.

    Args:
        file: Unbuffered.
        packed: It is gzipped.
        longest: The longest line, in bytes.

    Raises:
        ValueError: A line is longer, or the file unpacks to more than the limits allow.
    """
    raw: Any = gzip.GzipFile(fileobj=file, mode="rb") if packed else file
    most = MAX_FILE_BYTES
    if packed:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        most = min(most, max(RATIO_COUNTS_FROM, size * MAX_RATIO))
    content = io.BufferedReader(_Measured(raw, most), _BUFFER)
    while line := content.readline(longest + 1):
        if len(line.rstrip(b"\n")) > longest:
            raise ValueError(f"a line is longer than {longest:,} bytes")
        if line.strip():
            yield line


def tables_of(
    file: BinaryIO, stream: str
) -> "Iterator[tuple[pa.RecordBatch, dict[int, list[Refusal]]]]":
    """Yield the rows of an open Parquet file, and the values that cannot be given.

    Raises:
        ValueError: It is none, or holds more than the limits allow; Arrow's errors, as OSError.
    """
    from pyarrow import parquet

    size = file.seek(0, io.SEEK_END)
    most = min(MAX_FILE_BYTES, max(RATIO_COUNTS_FROM, size * MAX_RATIO))

    def too_large(row: int, field: str, size: int) -> NoReturn:
        raise ValueError(
            f"field {field!r} of row {row:,} has {size:,} bytes, at most {PARQUET_ROW_BYTES:,}"
        )

    def too_many(field: str | None) -> NoReturn:
        raise ValueError(
            f"it unpacks to more than {most:,} bytes, most of them in the field {field!r}, and may "
            f"be a bomb: its size is {size:,} bytes. If it is what it should be, let the tap write "
            "smaller files"
        )

    far, refusals, before = FarMoments(), Refusals(), 0
    bounds = Bounds(PARQUET_ROWS, PARQUET_BYTES, PARQUET_ROW_BYTES, most, too_large, too_many, far)
    with parquet.ParquetFile(file, **INT96) as found:
        for batch in batches_of(found, file, bounds, **INT96):
            for one in far.taken(before, before + len(batch)):
                field, value = one.field, one.value
                told = DataError(FAR, stream=stream, field=field, value=value, hint=FAR_HINT)
                refusals.add(one.row, told, one.value)
            yield batch, refusals.taken()
            before += len(batch)


def batches_in(
    file: BinaryIO, encoding: Mapping[str, Any], *, url: str, stream: str, longest: int = MAX_BYTES
) -> Iterator[Batch]:
    """Yield the records of one file of a BATCH message.

    Args:
        file: Open and unbuffered.
        encoding: What the message says of its format.
        url: What the message calls it.
        stream: The stream.
        longest: The longest line, in bytes.

    Raises:
        ProtocolError: The file is damaged, unpacks to too much, or is of a form that is not read.
        DataError: A record of it has a key twice.
    """
    kind, packed = form_of(encoding, stream)
    with damage_named(url, stream):
        if kind == "parquet":
            yield from (Batch(table, refused=refused) for table, refused in tables_of(file, stream))
            return
        rows: list[Mapping[str, Any]] = []
        size = 0
        for line in lines_of(file, packed=packed, longest=longest):
            try:
                row = exact_json(line)
            except ProtocolError as error:
                raise cannot_be_read(stream, f"its file {url!r}: {error}") from error
            if not isinstance(row, Mapping):
                raise cannot_be_read(stream, f"its file {url!r}: a line is no JSON object")
            refuse_repeats(line.decode(), row, stream)
            rows.append(row)
            size += len(line)
            if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield Batch(rows)
                rows, size = [], 0
        if rows:
            yield Batch(rows)


class _Measured(io.RawIOBase):
    """What a file unpacks to, counted."""

    def __init__(self, content: Any, most: int) -> None:
        super().__init__()
        self._content = content
        self._most = most
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        data = self._content.read(len(view))
        view[: len(data)] = data
        self._given += len(data)
        _refuse_more(self._given, self._most)
        return len(data)


def _refuse_more(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it unpacks to more than {most:,} bytes, and may be a bomb")
