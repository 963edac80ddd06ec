"""The lines of a file of JSON lines in batches, cut where reading line by line cuts them.

A batch is plain if it is proven that each of its lines is one object or blank, as far as its bytes
tell: UTF-8 without NUL, lines that end in a line feed (a carriage return may stand before it), and
objects that begin and end their lines.
"""

import codecs
import io
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.model.json.depth import MAX_DEPTH
from etl_assets.sources.files.options import FileOptions

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_FEED, _RETURN, _OPEN, _CLOSE = b"\n\r{}"
_BLANK = b" \t\r\n"
_READ_BEHIND = 256 * 1024
"""What is read beyond the bytes of a batch, so that most batches end within what was read."""
_CONTINUES_MASK, _CONTINUES = 0xC0, 0x80
"""How a byte of UTF-8 is told that is not the first one of its character."""


@dataclass(frozen=True)
class LineBatch:
    """Some whole lines.

    Args:
        data: Their bytes.
        before: How many lines there are before them.
        lines: How many they are.
        numbers: The numbers of those that are not blank; None if the batch is not plain.
    """

    data: bytes
    before: int
    lines: int
    numbers: Sequence[int] | None


class LineBatches:
    """A file of JSON lines in batches of as many rows and characters as its options allow.

    Args:
        binary: The file, which is UTF-8.
        options: Say how much a batch holds.
    """

    def __init__(self, binary: io.BufferedReader, options: FileOptions) -> None:
        self._binary = binary
        self._options = options
        self._step = options.batch_bytes + _READ_BEHIND
        self._buffer = b""
        self._is_last = False
        self._read()
        self._buffer = self._buffer.removeprefix(codecs.BOM_UTF8)
        self.line = 0
        """How many lines were given."""

    def next(self) -> LineBatch | None:
        """Return the next batch, or None at the end of the file.

        It is None, too, where only a reader of lines tells where the next one ends: `rest` is then
        not empty.
        """
        if len(self._buffer) < self._step:
            self._read()
        while True:
            if not _has_plain_bytes(self._buffer):
                return None
            cut = _cut_of(self._buffer, self._options, is_last=self._is_last)
            if cut is not None:
                break
            if self._is_last:
                return None
            self._read()
        data, self._buffer = self._buffer[: cut.end], self._buffer[cut.end :]
        batch = LineBatch(data, self.line, cut.lines, cut.numbers(self.line))
        self.line += cut.lines
        return batch

    def _read(self) -> None:
        if self._is_last:
            return
        left = self._step - len(self._buffer)
        wanted = left if left > 0 else self._step
        more = self._binary.read(wanted)
        self._is_last = len(more) < wanted
        self._buffer += more

    @property
    def rest(self) -> bytes:
        """What was read of the file and not given."""
        return self._buffer


def _has_plain_bytes(data: bytes) -> bool:
    """Return whether lines end in line feeds, as far as they are there, and hold no NUL."""
    if b"\0" in data:
        return False
    if _RETURN not in data:
        return True
    # The feed of the last return may not be read yet.
    return data.count(b"\r") - data.endswith(b"\r") == data.count(b"\r\n")


@dataclass(frozen=True)
class _Cut:
    """The lines of a batch within the bytes that were read.

    Args:
        end: Where it ends.
        ends: Where its lines end, each behind its line feed.
        are_blank: The places of blank lines among them.
        is_plain: All others are objects that begin and end their lines.
    """

    end: int
    ends: "npt.NDArray[np.int64]"
    are_blank: Sequence[int]
    is_plain: bool

    @property
    def lines(self) -> int:
        return len(self.ends)

    def numbers(self, before: int) -> Sequence[int] | None:
        """Return the numbers of the lines that are not blank, where so many are before them."""
        if not self.is_plain:
            return None
        numbers = range(before + 1, before + 1 + self.lines)
        if not self.are_blank:
            return numbers
        blank = set(self.are_blank)
        return array("q", (number for at, number in enumerate(numbers) if at not in blank))


def _cut_of(data: bytes, options: FileOptions, *, is_last: bool) -> _Cut | None:
    """Return where a batch ends that begins with some bytes; None if not within them.

    None, too, if it ends at no line that is known to be one.
    """
    import numpy as np

    codes = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(codes == _FEED) + 1
    if is_last and len(data) and not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    if not len(ends):
        return None
    starts = np.concatenate([[0], ends[:-1]])
    whole = data[: ends[-1]]
    sizes = _sizes(whole, starts)
    if sizes is None:
        return None
    odd = _odd_lines(codes, starts, ends)
    blank = [int(at) for at in odd if not data[starts[at] : ends[at]].strip(_BLANK)]
    count = np.ones(len(ends), np.int64)
    count[blank] = 0
    sizes[blank] = 0
    reached = (np.cumsum(count) >= options.batch_rows) | (np.cumsum(sizes) >= options.batch_bytes)
    at = int(reached.argmax()) if reached.any() else -1
    if at < 0:
        if not is_last:
            return None
        at = len(ends) - 1
    if int(np.diff(ends[: at + 1], prepend=0).max()) > options.max_row_bytes:
        return None
    within = [one for one in blank if one <= at]
    are_objects = len(within) == int(np.count_nonzero(odd <= at))
    lines = _Cut(int(ends[at]), ends[: at + 1], within, are_objects)
    is_plain = are_objects and not _may_be_deep(data, starts[: at + 1], lines.ends)
    return lines if is_plain else _Cut(lines.end, lines.ends, within, is_plain=False)


def _sizes(data: bytes, starts: "npt.NDArray[np.int64]") -> "npt.NDArray[np.int64] | None":
    """Return the numbers of characters of lines; None if they are no UTF-8."""
    import numpy as np

    if data.isascii():
        return np.diff(starts, append=len(data))
    try:
        data.decode()
    except UnicodeDecodeError:
        return None
    begins = (np.frombuffer(data, np.uint8) & _CONTINUES_MASK) != _CONTINUES
    return np.add.reduceat(begins, starts, dtype=np.int64)


def _odd_lines(
    codes: "npt.NDArray[np.uint8]", starts: "npt.NDArray[np.int64]", ends: "npt.NDArray[np.int64]"
) -> "npt.NDArray[np.intp]":
    """Return the places of lines that do not begin and end as an object does.

    Behind one that does, a line's end stands within no value: there a comma, or the value's own
    end, would have to follow before anything else begins.
    """
    import numpy as np

    last = ends - 1 - (codes[ends - 1] == _FEED)
    last -= codes[last] == _RETURN
    return np.flatnonzero((codes[starts] != _OPEN) | (codes[last] != _CLOSE))


def _may_be_deep(
    data: bytes, starts: "npt.NDArray[np.int64]", ends: "npt.NDArray[np.int64]"
) -> bool:
    """Return whether any line has so many brackets that its values may be nested too deep."""
    import numpy as np

    for at in np.flatnonzero(ends - starts > 2 * MAX_DEPTH):
        line = data[starts[at] : ends[at]]
        if line.count(b"[") + line.count(b"{") > MAX_DEPTH:
            return True
    return False
