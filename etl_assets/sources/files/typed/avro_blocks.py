"""The container of an Avro file: its schema, and blocks of records, each unpacked within limits."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedReader

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
CRC_BYTES = 4
_CHUNK_BYTES = 1024 * 1024
_LONG_BYTES = 10
MAX_METADATA = 64 * 1024 * 1024
DAMAGE = (EOFError, OSError, ValueError, zlib.error, lzma.LZMAError, MemoryError)
"""What damage raises here."""


class TooLargeError(Exception):
    """A block unpacks to more than it may."""


@dataclass(frozen=True)
class Block:
    """Some records.

    Args:
        count: How many.
        data: Their bytes, unpacked.
    """

    count: int
    data: bytes


class Container:
    """An Avro file that is read from its start.

    Args:
        binary: The file.

    Raises:
        ValueError: It is none, or damaged.
        EOFError: It was cut.
    """

    def __init__(self, binary: BufferedReader) -> None:
        self._binary = binary
        if self._exactly(len(MAGIC)) != MAGIC:
            raise ValueError("it does not begin as an Avro file does")
        self.metadata = self._metadata()
        self._sync = self._exactly(SYNC_BYTES)
        codec = self.metadata.get("avro.codec", b"null").decode()
        if codec not in _CODECS:
            raise ValueError(f"its codec {codec!r} is none of {', '.join(_CODECS)}")
        self._unpack = _CODECS[codec]

    def blocks(self, left: Callable[[], int]) -> Iterator[Block]:
        """Yield the blocks.

        Args:
            left: Gives how many bytes the next one may unpack to.

        Raises:
            TooLargeError: One unpacks to more.
        """
        while self._binary.peek(1):
            count, size = self._long(), self._long()
            if count < 0 or size < 0:
                raise ValueError("a block of less than nothing")
            packed = self._exactly(size)
            if self._exactly(SYNC_BYTES) != self._sync:
                raise ValueError("a block does not end with the file's mark")
            yield Block(count, self._unpack(packed, left()))

    def _metadata(self) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        size = 0
        while count := self._long():
            if count < 0:
                count = -count
                self._long()
            for _ in range(count):
                name = self._bytes().decode()
                found[name] = self._bytes()
                size += len(name) + len(found[name]) + 1
                if size > MAX_METADATA:
                    raise ValueError(f"its head has more than {MAX_METADATA} bytes")
        return found

    def _bytes(self) -> bytes:
        size = self._long()
        if not 0 <= size <= MAX_METADATA:
            raise ValueError(f"its head has a text of {size} bytes")
        return self._exactly(size)

    def _long(self) -> int:
        value = 0
        for place in range(_LONG_BYTES):
            (byte,) = self._exactly(1)
            value |= (byte & 0x7F) << (7 * place)
            if not byte & 0x80:
                return (value >> 1) ^ -(value & 1)
        raise ValueError("an integer that does not end")

    def _exactly(self, size: int) -> bytes:
        chunks, left = [], size
        while left > 0:
            chunk = self._binary.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise EOFError("it ends within a block: was it cut?")
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)


def _plain(packed: bytes, limit: int) -> bytes:
    if len(packed) > limit:
        raise TooLargeError
    return packed


def _deflate(packed: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    data = unpacker.decompress(packed, limit + 1)
    return _whole(data, limit, ends=unpacker.eof)


def _bzip2(packed: bytes, limit: int) -> bytes:
    unpacker = bz2.BZ2Decompressor()
    return _whole(unpacker.decompress(packed, limit + 1), limit, ends=unpacker.eof)


def _xz(packed: bytes, limit: int) -> bytes:
    unpacker = lzma.LZMADecompressor()
    return _whole(unpacker.decompress(packed, limit + 1), limit, ends=unpacker.eof)


def _zstandard(packed: bytes, limit: int) -> bytes:
    import pyarrow as pa

    chunks, size = [], 0
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        while size <= limit and (chunk := stream.read(_CHUNK_BYTES)):
            chunks.append(chunk)
            size += len(chunk)
    return _whole(b"".join(chunks), limit, ends=True)


def _snappy(packed: bytes, limit: int) -> bytes:
    import pyarrow as pa

    body, crc = packed[:-CRC_BYTES], packed[-CRC_BYTES:]
    says = 0
    for place, byte in enumerate(body[:5]):
        says |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            break
    if says > limit:
        raise TooLargeError
    data: bytes = pa.Codec("snappy").decompress(body, says, asbytes=True)
    if zlib.crc32(data).to_bytes(CRC_BYTES, "big") != crc:
        raise ValueError("a block's checksum does not fit")
    return data


def _whole(data: bytes, limit: int, *, ends: bool) -> bytes:
    if len(data) > limit:
        raise TooLargeError
    if not ends:
        raise EOFError("a block ends too early")
    return data


_CODECS: dict[str, Callable[[bytes, int], bytes]] = {
    "null": _plain,
    "deflate": _deflate,
    "snappy": _snappy,
    "bzip2": _bzip2,
    "xz": _xz,
    "zstandard": _zstandard,
}
