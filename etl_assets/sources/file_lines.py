"""The lines of a text file, which know their numbers."""

import io
from collections.abc import Iterator

from etl_assets.sources.file_encoding import SIGNATURE_BYTES, encoding_hint, encoding_of, undecodable
from etl_assets.sources.file_options import Reading


class Lines:
    """The lines of a text file, with their ends; iterate once.

    A line ends at a line feed, at both of a carriage return and a line feed, or at a carriage return alone; at nothing
    else that Unicode calls a line's end, since that is text.

    `number` is that of the last line given, `began` that of the first one of a row. `used` counts characters, and
    whoever has taken a whole row sets it to 0: a row that goes on and on is an error before it fills the memory.

    Args:
        binary: The bytes.
        reading: What is read.
    """

    def __init__(self, binary: io.BufferedReader, reading: Reading) -> None:
        self.encoding = encoding_of(binary.peek(SIGNATURE_BYTES)[:SIGNATURE_BYTES], reading)
        # A signature is no text; later on U+FEFF is a character as any other.
        self._text = io.TextIOWrapper(binary, self.encoding, "strict", newline="")
        self._reading = reading
        self.number = self.began = self._before = 0
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
                    hint="Perhaps a quote is not closed, or it is no text file; else raise max_row_bytes.",
                )
            yield line

    def ends_the_one_before(self) -> bool:
        """Tell whether the last line is none: files that were converted twice end lines in two returns and a feed."""
        return self._before == self.number

    def _numbered(self) -> Iterator[tuple[int, str]]:
        """Give the lines with their numbers; of one that ends in two returns and a feed, both parts have the same."""
        limit = self._reading.options.max_row_bytes
        read = self._text.readline
        number, before = 0, ""
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
            if "\0" in line:
                raise self._reading.error("holds a NUL byte.", number, hint=encoding_hint(self._reading, nul=True))
            yield number, line
