"""The lines of a text file, which know their numbers; and those of them that belong to a table."""

import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.text.encoding import (
    SIGNATURE_BYTES,
    encoding_hint,
    encoding_of,
    undecodable,
)


@dataclass(frozen=True)
class Start:
    """Where in a file its lines begin.

    Args:
        after: The number of lines before them.
        encoding: The encoding, where an earlier part of the file has told it; None at the start of
            a file, whose first bytes may tell.
    """

    after: int = 0
    encoding: str | None = None


START_OF_FILE = Start()


class Lines:
    """The lines of a text file, with their ends; iterate once.

    A line ends at a line feed, at both of a carriage return and a line feed, or at a carriage
    return alone; at nothing else that Unicode calls a line's end, since that is text.

    `number` is that of the last line given, `began` that of the first one of a row. `used` counts
    characters, and whoever has taken a whole row sets it to 0: a row that goes on and on is an
    error before it fills the memory. `feeds` counts the lines that end in a line feed.

    Args:
        binary: The bytes.
        reading: What is read.
        start: Where in the file the bytes begin.
    """

    def __init__(
        self, binary: io.BufferedReader, reading: Reading, start: Start = START_OF_FILE
    ) -> None:
        self.encoding = start.encoding or encoding_of(
            binary.peek(SIGNATURE_BYTES)[:SIGNATURE_BYTES], reading
        )
        # A signature is no text; later on U+FEFF is a character as any other.
        self._text = io.TextIOWrapper(binary, self.encoding, "strict", newline="")
        self._reading = reading
        self.number = self.began = self._before = start.after
        self.feeds = 0
        self.used = 0

    def __iter__(self) -> Iterator[str]:
        limit = self._reading.options.max_row_bytes
        for number, line in self._numbered():
            self._before = self.number
            self.number = number
            if not self.used:
                self.began = number
            self.used += len(line)
            if self.used > limit:
                raise self._reading.error(
                    f"a row of more than {limit} characters.",
                    number,
                    hint="Perhaps a quote is not closed, or it is no text file; else raise "
                    "max_row_bytes.",
                )
            yield line

    def ends_the_one_before(self) -> bool:
        """Return whether the last line is none: files converted twice have longer ends of lines."""
        return self._before == self.number

    def _numbered(self) -> Iterator[tuple[int, str]]:
        """Yield the lines with their numbers.

        Of one that ends in two returns and a feed, both parts have the same.
        """
        limit = self._reading.options.max_row_bytes
        read = self._text.readline
        number, before = self.number, ""
        while True:
            try:
                line = read(limit + 1)
            except UnicodeError as error:
                raise undecodable(self._reading, self.encoding, error, number + 1) from error
            if not line:
                return
            if line != "\r\n" or not before.endswith("\r"):
                number += 1
            before = line
            self.feeds += line.endswith("\n")
            if "\0" in line:
                raise self._reading.error(
                    "holds a NUL byte.", number, hint=encoding_hint(self._reading, nul=True)
                )
            yield number, line


class TableLines(Lines):
    """The lines that belong to a table: not those before and behind it, and no comments.

    Lines that are passed over are counted, so each has the number that an editor shows.

    Args:
        binary: The bytes.
        reading: What is read; its options say what is passed over.
        start: Where in the file the bytes begin.
    """

    def __init__(
        self, binary: io.BufferedReader, reading: Reading, start: Start = START_OF_FILE
    ) -> None:
        super().__init__(binary, reading, start)
        self._table = self._of_table()

    def _numbered(self) -> Iterator[tuple[int, str]]:
        comment = self._reading.options.comment
        if comment is None:
            return self._table
        # Within a row, in quotes, it is text.
        return (one for one in self._table if self.used or not one[1].startswith(comment))

    def _of_table(self) -> Iterator[tuple[int, str]]:
        skipped, footer = self._reading.options.skip_rows, self._reading.options.skip_footer
        lines = super()._numbered()
        if skipped:
            lines = (one for one in lines if one[0] > skipped)
        return _without_last(lines, footer) if footer else lines


def _without_last(lines: Iterator[tuple[int, str]], footer: int) -> Iterator[tuple[int, str]]:
    waiting: deque[tuple[int, str]] = deque()
    for number, line in lines:
        waiting.append((number, line))
        while number - waiting[0][0] >= footer:
            yield waiting.popleft()
