"""Singer messages that a source prints, found in what it writes to standard output.

While somebody else than standard output listens to a source's messages, a line that is one must not
pass unseen: its record would be lost in a log. Other text goes where it went before.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from etl_assets.protocol.singer.messages import Message, decode

Listener = Callable[[Message], None]

_MESSAGE = re.compile(
    r"""\s*\{.*["']type["']\s*:\s*"(SCHEMA|RECORD|STATE|ACTIVATE_VERSION|BATCH)\"""", re.DOTALL
)


class _Line:
    """What one listener is being told; text is held back only while it may become a message."""

    def __init__(self, listener: Listener, stdout: TextIO) -> None:
        self._listener = listener
        self._stdout = stdout
        self._held = ""

    def write(self, text: str) -> None:
        """Take text."""
        *lines, rest = (self._held + text).split("\n")
        self._held = ""
        for line in lines:
            self._take(line, "\n")
        if rest.lstrip().startswith("{"):
            self._held = rest
        elif rest:
            self._stdout.write(rest)

    def finish(self) -> None:
        """Take what is held back as a line."""
        held, self._held = self._held, ""
        if held:
            self._take(held, "")

    def _take(self, line: str, end: str) -> None:
        if not _MESSAGE.match(line):
            self._stdout.write(line + end)
            return
        token = _line.set(None)  # what the listener prints is its own
        try:
            message = decode(line)
            if message is not None:
                self._listener(message)
        finally:
            _line.reset(token)


_line: ContextVar[_Line | None] = ContextVar("etl_assets_printed", default=None)
_open: list[_Line] = []
_lock = threading.Lock()


class _Stdout:
    """Stands for `sys.stdout`: gives text to the context's listener, else where it went before."""

    def __init__(self, stdout: TextIO) -> None:
        self.stdout = stdout

    def write(self, text: str) -> int:
        line = _line.get()
        if (
            line is None
            and threading.current_thread() is not threading.main_thread()
            and len(_open) == 1
        ):
            line = _open[0]  # a thread that the source has started: it has no context of its own
        if line is None:
            return self.stdout.write(text)
        line.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for text in lines:
            self.write(text)

    @property
    def buffer(self) -> "_Bytes":
        return _Bytes(self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stdout, name)


class _Bytes:
    """Stands for `sys.stdout.buffer`."""

    def __init__(self, stdout: _Stdout) -> None:
        self._stdout = stdout

    def write(self, data: Any) -> int:
        self._stdout.write(bytes(data).decode(errors="surrogateescape"))
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stdout.stdout.buffer, name)


@contextmanager
def printed_messages_to(listener: Listener) -> Iterator[None]:
    """Have the messages that this context prints go to a listener.

    What it raises comes out of the `print`.

    Raises:
        ProtocolError: A printed line says that it is a message, and is none.
    """
    line = _Line(listener, _install())
    _open.append(line)
    token = _line.set(line)
    try:
        yield
        line.finish()
    finally:
        _line.reset(token)
        _open.remove(line)
        _uninstall()


def _install() -> TextIO:
    with _lock:
        if not isinstance(sys.stdout, _Stdout):
            sys.stdout = _Stdout(sys.stdout)  # it answers to all that a stream does
        found: Any = sys.stdout
        stdout: TextIO = found.stdout
        return stdout


def _uninstall() -> None:
    with _lock:
        found: Any = sys.stdout
        if not _open and isinstance(found, _Stdout):
            sys.stdout = found.stdout
