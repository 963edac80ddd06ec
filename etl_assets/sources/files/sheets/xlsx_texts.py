"""The texts of a workbook: shared by its cells, in runs, with characters that XML cannot hold."""

import re
from collections.abc import Mapping

from etl_assets.sources.files.sheets.package import Quiet, local

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


def unescaped(text: str) -> str:
    """Return a text with the characters that XML cannot hold, which it writes as `_xHHHH_`."""
    if "_x" not in text:
        return text
    decoded = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    try:  # two halves of a pair are one character
        return decoded.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return decoded


class SharedTexts(Quiet):
    """The texts that cells refer to by their number.

    Of runs of formatted text their whole, without how it is read.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._runs: list[str] = []
        self._pieces: list[str] = []
        self._is_phonetic = False

    def text(self, data: str) -> None:
        """Take a piece of text."""
        self._pieces.append(data)

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Take the start of an element."""
        del attributes
        element = local(name)
        if element == "t":
            self._pieces.clear()
        elif element == "si":
            self._runs.clear()
        elif element == "rPh":
            self._is_phonetic = True

    def end(self, name: str) -> None:
        """Take the end of an element."""
        element = local(name)
        if element == "t":
            if not self._is_phonetic:
                self._runs.append(unescaped("".join(self._pieces)))
        elif element == "si":
            self.texts.append("".join(self._runs))
        elif element == "rPh":
            self._is_phonetic = False
