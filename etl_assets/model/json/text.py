"""A JSON text of any length, walked through piece by piece.

Values are skipped, or given as they are written.
"""

import io
import re
from collections.abc import Callable, Iterator
from typing import NoReturn

from etl_assets.model.json.depth import MAX_DEPTH

CHUNK = 64 * 1024

_SPACE = re.compile(r"[ \t\r\n]*")
_IN_STRING = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)
_MARK = re.compile(r'["{}\[\]]')
_SCALAR = re.compile(r'[^ \t\r\n,:"{}\[\]]*+')
_PAIRS = {"{}", "[]"}


class JsonText:
    """A text that is read once, from its start.

    Of values that are skipped, only strings and brackets are looked at.

    Args:
        text: The text; never more is held of it than a chunk and the value that is taken.
        limit: How many characters a value may have that is taken.
        fail: Raises an error, with a reason and the line.
    """

    def __init__(
        self, text: io.TextIOBase, limit: int, fail: Callable[[str, int], NoReturn]
    ) -> None:
        self._text = text
        self._limit = limit
        self._fail = fail
        self._buffer = ""
        self._at = 0
        self._lines_before = 1
        self._kept: list[str] | None = None
        self._size = 0
        self._start = 0

    @property
    def line(self) -> int:
        """The line that is read."""
        return self._lines_before + self._buffer.count("\n", 0, self._at)

    def error(self, reason: str) -> NoReturn:
        """Raise the error of this place."""
        self._fail(reason, self.line)

    def peek(self) -> str:
        """Return the next character that is no space, or "" at the end."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                return ""

    def pass_mark(self, mark: str) -> None:
        """Read on behind a mark, which must come next."""
        found = self.peek()
        if not found:
            self.error(_CUT)
        if found != mark:
            self.error(f"{mark!r} expected, not {found!r}")
        self._at += 1

    def take(self) -> str:
        """Return the text of the value that comes next."""
        self.peek()
        self._kept, self._size, self._start = [], 0, self._at
        self._pass_value()
        self._keep()
        text = "".join(self._kept)
        self._kept = None
        return text

    def skip(self) -> None:
        """Pass over the value that comes next."""
        self.peek()
        self._pass_value()

    def elements(self) -> Iterator[None]:
        """Come to each element of the array that comes next; the caller takes it, or skips it."""
        self.pass_mark("[")
        if self.peek() != "]":
            yield
            while self.peek() == ",":
                self._at += 1
                yield
        self.pass_mark("]")

    def keys(self) -> Iterator[str]:
        """Come to each value of the object that comes next, by its key as it is written."""
        self.pass_mark("{")
        if self.peek() != "}":
            yield self._key()
            while self.peek() == ",":
                self._at += 1
                yield self._key()
        self.pass_mark("}")

    def _key(self) -> str:
        if self.peek() != '"':
            self.error("a key in quotes expected")
        key = self.take()
        self.pass_mark(":")
        return key

    def _pass_value(self) -> None:
        first = self.peek()
        if first == '"':
            self._pass_string()
        elif first and first in "{[":
            self._pass_container()
        else:
            self._pass_scalar()

    def _pass_scalar(self) -> None:
        length = 0
        while found := _SCALAR.match(self._buffer, self._at):
            length += found.end() - self._at
            self._at = found.end()
            if self._at < len(self._buffer) or not self._more():
                break
        if not length:
            mark = self.peek()
            self.error(f"a value expected, not {mark!r}" if mark else _CUT)

    def _pass_string(self) -> None:
        self._at += 1
        while found := _IN_STRING.match(self._buffer, self._at):
            self._at = found.end()
            if self._at < len(self._buffer):
                self._at += 1
                if self._buffer[self._at - 1] == '"':
                    return
                # a backslash ends the chunk, and what it escapes begins the next one
                self._need_more()
                self._at = 1
            else:
                self._need_more()

    def _pass_container(self) -> None:
        opened: list[str] = []
        while True:
            found = _MARK.search(self._buffer, self._at)
            if found is None:
                self._at = len(self._buffer)
                self._need_more()
                continue
            self._at = found.start()
            if found[0] == '"':
                self._pass_string()
                continue
            self._at += 1
            if found[0] in "{[":
                opened.append(found[0])
                if len(opened) > MAX_DEPTH:
                    self.error("JSON nested too deep")
            elif opened.pop() + found[0] not in _PAIRS:
                self.error(f"{found[0]!r} closes nothing")
            elif not opened:
                return

    def _need_more(self) -> None:
        if not self._more():
            self.error(_CUT)

    def _more(self) -> bool:
        if self._kept is not None:
            self._at = len(self._buffer)
            self._keep()
        self._lines_before += self._buffer.count("\n")
        self._at = self._start = 0
        self._buffer = self._text.read(CHUNK)
        return bool(self._buffer)

    def _keep(self) -> None:
        if self._kept is not None:
            self._kept.append(self._buffer[self._start : self._at])
            self._size += self._at - self._start
            if self._size > self._limit:
                self.error(f"a value of more than {self._limit} characters")


_CUT = "the text ends within a value"
