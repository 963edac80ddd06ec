"""What stands at many places of a text, told for all of them at once."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

WORD = 8
"""Bytes that are compared at once."""
_NEWLINE = ord("\n")


class Text:
    """A text of lines.

    Args:
        text: The text, of at least eight bytes.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.data = np.frombuffer(text, np.uint8)
        # Of single bytes, so that a word may begin at any of them.
        voids = np.frombuffer(text, f"V{WORD}", len(text) // WORD)
        self._words: Any = np.lib.stride_tricks.as_strided(voids, (len(text) - WORD + 1,), (1,))
        self.ends = np.flatnonzero(self.data == _NEWLINE)

    def stands_before(self, places: "Places", text: bytes) -> "Mask":
        """Return before which places, which rise, a text stands."""
        nearest, farthest = len(text) + WORD, len(self.text)
        if not len(places) or not text:
            return np.ones(len(places), np.bool_)
        if places[0] < nearest or places[-1] > farthest:
            inside = (places >= nearest) & (places <= farthest)
            found = np.zeros(len(places), np.bool_)
            found[inside] = self.stands_before(places[inside], text)
            return found
        equal: Mask | None = None
        for stop in range(len(text), 0, -WORD):
            read = self.words(places - (len(text) - stop + WORD))
            part = equal_words(read, text[max(stop - WORD, 0) : stop])
            equal = part if equal is None else equal & part
        return np.ones(len(places), np.bool_) if equal is None else equal

    def words(self, places: "Places") -> "npt.NDArray[np.uint64]":
        """Return the eight bytes that begin at each place."""
        read: npt.NDArray[np.uint64] = self._words[places].view(np.uint64)
        return read


def equal_words(words: "npt.NDArray[np.uint64]", text: bytes) -> "Mask":
    """Return which words end with a text of at most their length."""
    wanted = np.frombuffer(text.rjust(WORD, b"\0"), np.uint64)[0]
    found: Mask
    if len(text) == WORD:
        found = words == wanted
        return found
    mask = np.frombuffer((b"\xff" * len(text)).rjust(WORD, b"\0"), np.uint64)[0]
    found = (words & mask) == wanted
    return found
