"""What is in a file: unpacked within limits."""

import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from lzma import LZMAError
from typing import TYPE_CHECKING, Any, BinaryIO
from zipfile import BadZipFile

from etl_assets.exceptions import ConfigError, DataError
from etl_assets.sources.files.options import MEBIBYTE, Reading

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

RATIO_COUNTS_FROM = 16 * MEBIBYTE
"""A file that unpacks to less than this is no bomb, however small it was packed."""

_BUFFER = 256 * 1024
WHOLE_FIRST = 16
"""How many bytes the first read gives, if there are: what tells kinds of files stays whole."""


@contextmanager
def content(reading: Reading) -> Iterator[io.BufferedReader]:
    """Open a file and unpack it; damage, or more than the limits allow, is an error."""
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(reading.open())
            packed = stack.enter_context(_unpacker(raw, reading))
        except _DAMAGE as error:
            raise damaged(reading, error) from error
        yield stack.enter_context(io.BufferedReader(_Measured(packed, reading), _BUFFER))


def _unpacker(raw: BinaryIO, reading: Reading) -> Any:
    match reading.compression:
        case "gzip":
            import gzip

            return gzip.GzipFile(fileobj=raw, mode="rb")
        case "bz2":
            import bz2

            return bz2.BZ2File(raw)
        case "xz":
            import lzma

            return lzma.LZMAFile(raw)
        case "zstd":
            import pyarrow as pa

            return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
        case _:
            return raw


_DAMAGE = (EOFError, OSError, zlib.error, LZMAError, BadZipFile, NotImplementedError)
"""What the unpackers raise at damaged or cut files (Arrow's errors are OSErrors)."""


def damaged(reading: Reading, error: Exception) -> DataError:
    """Return the error of a file that cannot be unpacked."""
    packing = reading.compression or ("zip" if reading.archive else None)
    kind = f"is no whole {packing} file" if packing else "cannot be read"
    return reading.error(f"{kind}: {str(error).rstrip('.')}.")


class _Measured(io.RawIOBase):
    """What a file unpacks to, counted."""

    def __init__(self, packed: Any, reading: Reading) -> None:
        super().__init__()
        self._packed = packed
        self._reading = reading
        self._given = 0
        by_ratio = max(RATIO_COUNTS_FROM, (reading.size or 0) * reading.options.max_ratio)
        is_packed = reading.compression is not None or reading.archive is not None
        self._by_ratio = by_ratio if is_packed and reading.size is not None else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        first = 0 if self._given else min(WHOLE_FIRST, len(view))
        try:
            size = self._fill(view)
            while 0 < size < first and (more := self._fill(view[size:first])):
                size += more
        except _DAMAGE as error:
            raise damaged(self._reading, error) from error
        self._given += size
        self._check()
        return size

    def _fill(self, view: memoryview) -> int:
        if isinstance(self._packed, io.FileIO):  # without a copy of its bytes
            return self._packed.readinto(view) or 0
        data = self._packed.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _check(self) -> None:
        options = self._reading.options
        if self._given > options.max_file_bytes:
            raise self._reading.error(
                f"holds more than {options.max_file_bytes} bytes.",
                hint="Raise max_file_bytes if that is right.",
            )
        if self._by_ratio is not None and self._given > self._by_ratio:
            raise self._reading.error(
                f"unpacks to more than {options.max_ratio} times its size: it may be a bomb.",
                hint="Raise max_ratio if the file is what it should be.",
            )


def unpacked(reading: Reading, why: str) -> None:
    """Refuse a file that is packed as a whole where its format is read at any place.

    Raises:
        ConfigError: It is packed.
    """
    if reading.compression is not None:
        raise ConfigError(
            f"stream {reading.stream.name!r}: {reading.file!r}: {why} packed with "
            f"{reading.compression} are not read.",
            hint="Unpack it: the format is compressed by itself.",
            stream=reading.stream.name,
        )
