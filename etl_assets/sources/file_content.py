"""What is in a file: unpacked within limits, and as lines of text that know their numbers."""

import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from lzma import LZMAError
from typing import TYPE_CHECKING, Any, BinaryIO
from zipfile import BadZipFile, ZipFile

from etl_assets.exceptions import ConfigError, DataError
from etl_assets.sources.file_options import MEBIBYTE, Reading

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

RATIO_COUNTS_FROM = 16 * MEBIBYTE
"""Less than this is no bomb, however small it was packed."""

_BUFFER = 256 * 1024


@contextmanager
def content(reading: Reading) -> Iterator[io.BufferedReader]:
    """Open a file and unpack it; more than the limits allow, and damage, is an error that names it."""
    with ExitStack() as stack:
        raw = stack.enter_context(reading.open())
        try:
            packed = stack.enter_context(_unpacker(raw, reading))
        except _DAMAGE as error:
            raise _damaged(reading, error) from error
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
        case "zip":
            return _only_member(raw, reading)
        case _:
            return raw


def _only_member(raw: BinaryIO, reading: Reading) -> Any:
    archive = ZipFile(raw)
    members = [one for one in archive.infolist() if not one.is_dir()]
    if len(members) != 1:
        raise reading.error(f"holds {len(members)} files.", hint="A zip file is read if it holds exactly one file.")
    if members[0].flag_bits & 1:
        raise reading.error("is locked with a password.")
    return archive.open(members[0])


_DAMAGE = (EOFError, OSError, zlib.error, LZMAError, BadZipFile, NotImplementedError)
"""What the unpackers raise at damaged or cut files (Arrow's errors are OSErrors)."""


def _damaged(reading: Reading, error: Exception) -> DataError:
    kind = f"is no whole {reading.compression} file" if reading.compression else "cannot be read"
    return reading.error(f"{kind}: {str(error).rstrip('.')}.")


class _Measured(io.RawIOBase):
    """What a file unpacks to, counted."""

    def __init__(self, packed: Any, reading: Reading) -> None:
        super().__init__()
        self._packed = packed
        self._reading = reading
        self._given = 0
        by_ratio = max(RATIO_COUNTS_FROM, (reading.size or 0) * reading.options.max_ratio)
        self._by_ratio = by_ratio if reading.compression and reading.size is not None else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._packed.read(len(view))
        except _DAMAGE as error:
            raise _damaged(self._reading, error) from error
        view[: len(data)] = data
        self._given += len(data)
        self._check()
        return len(data)

    def _check(self) -> None:
        options = self._reading.options
        if self._given > options.max_file_bytes:
            raise self._reading.error(
                f"holds more than {options.max_file_bytes} bytes.", hint="Raise max_file_bytes if that is right."
            )
        if self._by_ratio is not None and self._given > self._by_ratio:
            raise self._reading.error(
                f"unpacks to more than {options.max_ratio} times its size: it may be a bomb.",
                hint="Raise max_ratio if the file is what it should be.",
            )


class Lines:
    """The lines of a text file, with their ends; iterate once.

    A line ends at a line feed, at both of a carriage return and a line feed, or at a carriage return alone; at nothing
    else that Unicode calls a line's end, since that is text.

    `number` is that of the last line given. `used` counts characters, and whoever has taken a whole row sets it to 0:
    a row that goes on and on is an error before it fills the memory.

    Args:
        binary: The bytes.
        reading: What is read.
    """

    def __init__(self, binary: io.BufferedReader, reading: Reading) -> None:
        encoding = reading.options.encoding
        # A signature is no text; later on U+FEFF is a character as any other.
        plain = encoding.lower().replace("_", "-") in {"utf-8", "utf8"}
        self._text = io.TextIOWrapper(binary, "utf-8-sig" if plain else encoding, "strict", newline="")
        self._reading = reading
        self.number = 0
        self.used = 0
        self._last = self._before = ""

    def __iter__(self) -> Iterator[str]:
        limit = self._reading.options.max_row_bytes
        read = self._text.readline
        while True:
            try:
                line = read(limit + 1)
            except UnicodeError as error:
                raise self._undecodable(error) from error
            if not line:
                return
            self._before, self._last = self._last, line
            self.number += 1
            self.used += len(line)
            if self.used > limit:
                raise self._reading.error(
                    f"a row of more than {limit} characters.",
                    self.number,
                    hint="Perhaps a quote is not closed, or it is no text file; else raise max_row_bytes.",
                )
            if "\0" in line:
                raise self._reading.error("holds a NUL byte.", self.number, hint="Is it text, in this encoding?")
            yield line

    def ends_the_one_before(self) -> bool:
        """Tell whether the last line is none: files that were converted twice end lines in two returns and a feed."""
        return self._last == "\r\n" and self._before.endswith("\r")

    def _undecodable(self, error: UnicodeError) -> DataError:
        encoding = self._reading.options.encoding
        line, hint = self.number + 1, "Say which it is with encoding=."
        if isinstance(error, UnicodeDecodeError):
            good = error.object[: error.start].decode(error.encoding, "ignore")
            line += good.count("\n") or good.count("\r")
            if line == 1 and error.object[:2] in {b"\xff\xfe", b"\xfe\xff"}:
                hint = 'It looks like encoding="utf-16".'
        else:
            return self._reading.error(f"is not in the encoding {encoding}: {error}.", line, hint=hint)
        return self._reading.error(
            f"is not in the encoding {encoding}: {error.reason}, byte {error.object[error.start]:#04x}.",
            line,
            hint=hint,
        )


def unpacked(reading: Reading, why: str) -> None:
    """Refuse a file that is packed as a whole where its format is read at any place.

    Raises:
        ConfigError: It is.
    """
    if reading.compression is not None:
        raise ConfigError(
            f"stream {reading.stream.name!r}: {reading.file!r}: {why} packed with {reading.compression} are not read.",
            hint="Unpack it: the format is compressed by itself.",
            stream=reading.stream.name,
        )
