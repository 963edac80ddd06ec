"""The bytes of a CSV file in blocks of whole rows, and the proof that a block is plain.

In a plain block each quote opens a cell, closes one, or is one of two that stand for a quote within
one; each line ends in a line feed, or a carriage return and one; no line is empty; and all of it is
UTF-8 without NUL. Every reader of CSV cuts such a block at the same places, so a fast one may.
"""

import codecs
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from etl_assets.sources.files.options import MEBIBYTE

if TYPE_CHECKING:
    import numpy as np
    from _typeshed import WriteableBuffer

BLOCK_BYTES = 4 * MEBIBYTE
_FEED, _RETURN = b"\n", b"\r"
_OF_A_BYTE = ("iso8859-", "cp125", "cp437", "cp85", "koi8-", "mac-")
"""How the names of encodings begin of which each byte is a character."""


@dataclass(frozen=True)
class Dialect:
    """How the cells of a file are told apart, where that takes a byte each.

    Args:
        delimiter: Between two cells.
        quote: Around cells, and twice within them; None where quotes are ordinary characters.
    """

    delimiter: bytes
    quote: bytes | None


@dataclass(frozen=True)
class Block:
    """Some bytes of a file, from the start of a row on.

    Args:
        data: The bytes; to the end of a row, if it is plain.
        is_last: Nothing follows them, so that the last row may be without a line feed.
    """

    data: bytes
    is_last: bool


class Blocks:
    """What is left of a file, to be taken in blocks or in lines.

    Args:
        first: The first bytes.
        binary: Gives those behind them.
    """

    def __init__(self, first: bytes, binary: io.BufferedReader) -> None:
        self._first = first
        self._used = 0
        self._binary = binary

    def next(self, quote: bytes | None) -> Block:
        """Return the next block; without bytes at the end of the file."""
        left = len(self._first) - self._used
        if left < BLOCK_BYTES:
            self._first = self._first[self._used :] + self._binary.read(BLOCK_BYTES - left)
            self._used = 0
        data = self._first[self._used : self._used + BLOCK_BYTES]
        is_last = len(data) < BLOCK_BYTES
        end = len(data) if is_last else _end_of_last_row(data, quote) or len(data)
        self._used += end
        return Block(data[:end], is_last)

    def line(self) -> bytes:
        """Return the next line with its line feed, or a part of a long one.

        It is empty at the end of the file.
        """
        end = self._first.find(_FEED, self._used) + 1
        if end:
            line = self._first[self._used : end]
            self._used = end
            return line
        rest, self._first, self._used = self._first[self._used :], b"", 0
        return rest + self._binary.readline(BLOCK_BYTES)


def _end_of_last_row(data: bytes, quote: bytes | None) -> int:
    """Return where the last row ends that ends in some bytes; 0 if none does."""
    end = data.rfind(_FEED) + 1
    if quote is None:
        return end
    is_in_quotes = data.count(quote, 0, end) % 2
    while end and is_in_quotes:
        opening = data.rfind(quote, 0, end)
        earlier = data.rfind(_FEED, 0, opening) + 1
        is_in_quotes ^= data.count(quote, earlier, end) % 2
        end = earlier
    return end


class BlockFile(io.RawIOBase):
    """Some bytes as a file that goes on behind them.

    Args:
        data: The bytes.
        more: Gives some that follow; none at the end of the file.
    """

    def __init__(self, data: bytes, more: Callable[[], bytes]) -> None:
        super().__init__()
        self._left = data
        self._more = more
        self._feeds = data.count(_FEED)
        self._ends_a_line = data.endswith(_FEED)
        self.is_extended = False
        """Whether anything behind the first bytes was asked for."""

    def is_used_up(self, feeds: int) -> bool:
        """Return whether so many lines, which end in a feed, are all that was taken from the file.

        A row may end at a carriage return, with more behind it that was taken already.
        """
        return self._ends_a_line and feeds >= self._feeds

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill a buffer with some of what is left; return how much that was."""
        view = memoryview(buffer).cast("B")
        if not self._left:
            self.is_extended = True
            self._left = self._more()
            self._feeds += self._left.count(_FEED)
            self._ends_a_line = self._left.endswith(_FEED)
        given, self._left = self._left[: len(view)], self._left[len(view) :]
        view[: len(given)] = given
        return len(given)


@dataclass(frozen=True)
class Plain:
    """What is known of a plain block.

    Args:
        lines: How many lines it has.
        starts: On which of its lines each row begins, counted from 0.
        is_quoted: There are quotes.
    """

    lines: int
    starts: "range | np.ndarray[tuple[int], np.dtype[np.int64]]"
    is_quoted: bool = False

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return len(self.starts)


def is_utf_8(encoding: str) -> bool:
    """Return whether an encoding is UTF-8, with a signature or without."""
    return codecs.lookup(encoding).name in {"utf-8", "utf-8-sig"}


@lru_cache
def has_ascii_bytes(encoding: str) -> bool:
    """Return whether each byte below 128 is a character of ASCII in an encoding, wherever it is.

    Other encodings than UTF-8 are asked for by their families, in which a byte is a character.
    """
    if is_utf_8(encoding):
        return True
    if not codecs.lookup(encoding).name.startswith(_OF_A_BYTE):
        return False
    ascii_ = bytes(range(128))
    others = bytes(range(128, 256)).decode(encoding, "replace")
    return ascii_.decode(encoding) == ascii_.decode() and not any(map(str.isascii, others))


def in_utf_8(block: Block, encoding: str) -> Block | None:
    """Return a block of another encoding in UTF-8; None if it is not all of that encoding."""
    if is_utf_8(encoding) or block.data.isascii():
        return block
    try:
        return Block(block.data.decode(encoding).encode(), block.is_last)
    except UnicodeError:
        return None


def proven(block: Block, dialect: Dialect) -> Plain | None:
    """Return what is known of a block that is plain; None if that is not proven."""
    data = block.data
    is_whole = data.endswith(_FEED)
    if not (is_whole or block.is_last) or b"\0" in data or not _is_utf8(data):
        return None
    if data.startswith(codecs.BOM_UTF8):  # a reader of files takes it for a signature
        return None
    if _RETURN in data and data.count(_RETURN) != data.count(b"\r\n"):
        return None
    lines = data.count(_FEED) + (not is_whole)
    if dialect.quote is not None and dialect.quote in data:
        return _proven_quoted(data, lines, dialect.delimiter, dialect.quote)
    has_empty_line = data.startswith((b"\n", b"\r\n")) or b"\n\n" in data or b"\n\r\n" in data
    return None if has_empty_line else Plain(lines, range(lines))


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _proven_quoted(data: bytes, lines: int, delimiter: bytes, quote: bytes) -> Plain | None:
    import numpy as np

    codes = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(codes == quote[0])
    if not _are_in_place(codes, quotes, delimiter + quote):
        return None
    feeds = np.flatnonzero(codes == _FEED[0])
    is_outside = np.searchsorted(quotes, feeds) % 2 == 0
    ends = feeds[is_outside]
    if _has_empty_row(codes, ends):
        return None
    if len(ends) == len(feeds):
        return Plain(lines, range(lines), is_quoted=True)
    starts = np.concatenate([[0], np.flatnonzero(is_outside) + 1])
    if data.endswith(_FEED):
        starts = starts[:-1]
    return Plain(lines, starts, is_quoted=True)


def _are_in_place(
    codes: "np.ndarray[tuple[int], np.dtype[np.uint8]]",
    quotes: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    beside: bytes,
) -> bool:
    """Return whether each quote opens or closes a cell, or is one of two within one.

    Args:
        codes: The bytes.
        quotes: Where the quotes are.
        beside: The bytes that may stand before one that opens and behind one that closes, but for
            the ends of lines: a delimiter, or the other one of two quotes.
    """
    import numpy as np

    if len(quotes) % 2:
        return False
    may_be_beside = np.zeros(256, np.bool_)
    may_be_beside[list(_FEED + _RETURN + beside)] = True
    opening, closing = quotes[::2], quotes[1::2]
    # A file begins and ends as a line does.
    before = codes[opening[opening > 0] - 1]
    behind = codes[closing[closing < len(codes) - 1] + 1]
    return bool(may_be_beside[before].all() and may_be_beside[behind].all())


def _has_empty_row(
    codes: "np.ndarray[tuple[int], np.dtype[np.uint8]]",
    ends: "np.ndarray[tuple[int], np.dtype[np.int64]]",
) -> bool:
    """Return whether a row is nothing but the end of a line.

    Args:
        codes: The bytes.
        ends: Where the rows' line feeds are.
    """
    import numpy as np

    lengths = np.diff(ends, prepend=-1)
    is_empty = lengths == 1
    is_returned = codes[ends[lengths == 2] - 1] == _RETURN[0]  # noqa: PLR2004 - and a line feed
    return bool(is_empty.any() or is_returned.any())
