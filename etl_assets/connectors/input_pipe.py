"""The standard input of a connector, fed without waiting, so that its outputs are always read."""

import contextlib
import fcntl
import os
import select
import struct
import termios
from collections.abc import Iterable, Iterator

PIPE_BYTES = 1024 * 1024
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ, which Python's fcntl names from 3.10 on Linux only


class InputPipe:
    """A pipe whose other end is kept open here too, to see at the end whether all of it was read.

    A process that stops reading does not break such a pipe. The pipe fills, and the closed output
    of the process shows that it has ended.
    """

    def __init__(self) -> None:
        self.read_end, self.descriptor = os.pipe()
        os.set_blocking(self.descriptor, False)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.descriptor, _SET_PIPE_SIZE, PIPE_BYTES)
        self._given: Iterator[bytes] = iter(())
        self._pending = memoryview(b"")
        self._ended = False

    def begin(self, given: Iterable[bytes], waiting: select.poll) -> None:
        """Write what is given whenever there is room, and close the pipe at its end.

        Args:
            given: Blocks of bytes.
            waiting: Wakes whoever calls `write_some`.
        """
        self._given = iter(given)
        waiting.register(self.descriptor, select.POLLOUT)

    def write_some(self, waiting: select.poll) -> None:
        """Write what there is room for, at most one block."""
        if not self._pending:
            block = next(self._given, None)
            if block is None:
                waiting.unregister(self.descriptor)
                self._ended = True
                self.end()
                return
            self._pending = memoryview(block)
        with contextlib.suppress(BlockingIOError):
            self._pending = self._pending[os.write(self.descriptor, self._pending) :]

    def end(self) -> None:
        """Close the end that is written to."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    @property
    def was_read(self) -> bool:
        """Whether everything was given, and none of it is still in the pipe."""
        if not self._ended or self.read_end < 0:
            return False
        (left,) = struct.unpack("i", fcntl.ioctl(self.read_end, termios.FIONREAD, b"\0" * 4))
        return not left

    def close(self) -> None:
        """Close both ends."""
        self.end()
        if self.read_end >= 0:
            os.close(self.read_end)
            self.read_end = -1
