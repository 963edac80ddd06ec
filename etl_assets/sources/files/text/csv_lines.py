"""The lines of a CSV file, with what they escape, and what the first one may say of the others."""

import io
import re
from collections.abc import Iterator
from itertools import chain

from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.text.lines import START_OF_FILE, Start, TableLines

_SAID = re.compile(r"sep=(?P<delimiter>.)(\r\n|\n|\r)?")
"""The first line by which Excel is told the delimiter; it is no row of the table."""


class CsvLines(TableLines):
    """The lines of a table that are to be cut into cells.

    `said_delimiter` is what a first line such as `sep=;` says.

    Args:
        binary: The bytes.
        reading: What is read.
        start: Where in the file the bytes begin.
    """

    def __init__(
        self, binary: io.BufferedReader, reading: Reading, start: Start = START_OF_FILE
    ) -> None:
        super().__init__(binary, reading, start)
        escape = reading.options.escape
        self._escape = "" if escape is None or escape == reading.options.quote else escape
        self._pairs = re.compile(f"{re.escape(self._escape)}(\\r\n|.)", re.DOTALL)
        first = next(self._table, None) if start.after == 0 else None
        said = _SAID.fullmatch(first[1]) if first else None
        self.said_delimiter = said["delimiter"] if said else None
        if first and not said:
            self._table = chain([first], self._table)

    @property
    def passed(self) -> int:
        """The number of lines before the table."""
        return self._reading.options.skip_rows + (self.said_delimiter is not None)

    @property
    def escape(self) -> str | None:
        """The escape character.

        None where a quote in quotes is written twice, and nothing else is needed.
        """
        return self._escape or None

    def _numbered(self) -> Iterator[tuple[int, str]]:
        lines = super()._numbered()
        if not self._escape:
            return lines
        return (
            (number, self._escaped(number, line) if self._escape in line else line)
            for number, line in lines
        )

    def _escaped(self, number: int, line: str) -> str:
        """Refuse an escape before a letter or digit, by which some mean a control character.

        What is listed in `null_values`, such as the escaped `N` of MySQL, is left as it is.
        """
        escape, nulls = self._escape, self._reading.options.null_values

        def kept(pair: re.Match[str]) -> str:
            if pair[0] in nulls:
                return f"{escape}{pair[0]}"
            if pair[1] == "\r\n":  # Python's reader takes the first of both alone
                return f"{escape}\r{escape}\n"
            if pair[1].isalnum():
                ordinary = f"If {escape!r} is an ordinary character in this file, leave escape out."
                hint = ordinary
                if pair[1] == "N":
                    hint = f"null_values=[{pair[0]!r}] reads it as NULL. {ordinary}"
                raise self._reading.error(
                    f"{pair[0]!r}: some programs mean a control character or NULL by it, and "
                    "others do not.",
                    number,
                    hint=hint,
                )
            return pair[0]

        return self._pairs.sub(kept, line)
