"""The body of an answer: decompressed whole, or known to be cut."""

import zlib
from collections.abc import Iterable

GZIP_MAGIC = b"\x1f\x8b"
_GZIP_OR_ZLIB = 47
"""The window bits by which zlib tells gzip and zlib apart itself."""


class CutBodyError(Exception):
    """The body ends before its end, or is not what it is said to be."""


class TooLargeError(Exception):
    """The body is larger than it may be."""


def whole(chunks: Iterable[bytes], encoding: str, limit: int) -> bytes:
    """Return a body.

    Args:
        chunks: As they came.
        encoding: What the header `Content-Encoding` says.
        limit: How many bytes it may have, decompressed.

    Raises:
        CutBodyError: A compressed body ends too early, or is damaged.
        TooLargeError: It is too large.
    """
    kinds = [one.strip().lower() for one in encoding.split(",") if one.strip()]
    for kind in reversed([one for one in kinds if one != "identity"]):
        if kind not in {"gzip", "x-gzip", "deflate"}:
            raise CutBodyError(f"its encoding {kind!r} was not asked for")
        chunks = _inflated(chunks, is_raw=kind == "deflate")
    return _joined(chunks, limit)


def unzipped(body: bytes, limit: int) -> bytes:
    """Return a body that is a gzip file, decompressed; any other as it is.

    Raises:
        CutBodyError: It ends too early, or is damaged.
        TooLargeError: It is too large.
    """
    return _joined(_inflated([body], is_raw=False), limit) if body[:2] == GZIP_MAGIC else body


def _joined(chunks: Iterable[bytes], limit: int) -> bytes:
    parts, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise TooLargeError
        parts.append(chunk)
    return b"".join(parts)


_STEP = 2**20


def _inflated(chunks: Iterable[bytes], *, is_raw: bool) -> Iterable[bytes]:
    """Yield what was compressed: one gzip member after the other."""
    inflate = None
    try:
        for chunk in chunks:
            left = chunk
            while left:
                if inflate is None:
                    inflate = zlib.decompressobj(_window(left, is_raw=is_raw))
                yield inflate.decompress(left, _STEP)
                left = inflate.unconsumed_tail or inflate.unused_data
                if inflate.eof:
                    inflate = None
    except zlib.error as error:
        raise CutBodyError(f"it cannot be decompressed: {error}") from error
    if inflate is not None:
        yield inflate.flush()
        if not inflate.eof:
            raise CutBodyError("its compression ends too early")


def _window(head: bytes, *, is_raw: bool) -> int:
    """Return how zlib is to read: some servers call bare deflate what should have a head."""
    has_head = head[0] & 0x0F == zlib.DEFLATED and head[0] >> 4 <= zlib.MAX_WBITS - 8
    return -zlib.MAX_WBITS if is_raw and not has_head else _GZIP_OR_ZLIB
