"""Objects and arrays of JSON lines, kept as the texts they were sent as if those prove to be plain.

A plain text is compact, spells each character and number as the library does, and has each key once
in an object. Others are decoded and written anew.
"""

import re
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import msgspec

from etl_assets.model.json.repeated_keys import at_most_keys, is_spelled_otherwise, key_ends

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Positions = npt.NDArray[np.int64]

_SMALL = b".000000"
"""What a number that `Decimal` writes with an exponent has in it; many others have, too."""
_SPELLED_OTHERWISE = re.compile(rb"\\[u/]")
_MINUS_ZERO = re.compile(rb"[\[:,]-0(?!\.)")
_LONG_NUMBER = re.compile(rb"\d{4000}")
_LONG = 4_000
"""Integers of more digits than Python reads are longer."""
_WHITE_SPACE = b" \t\r"
_DIGITS = b"0123456789"
_WORD = 8

_decoder = msgspec.json.Decoder(list[Any], float_hook=msgspec.Raw)
_encoder = msgspec.json.Encoder()


def has_plain_numbers(texts: bytes) -> bool:
    """Return whether JSON texts have no number that `Decimal` writes otherwise.

    Args:
        texts: Those of several values, one per line or one after the other.
    """
    if _SMALL in texts:
        return False
    if not _may_have_exponent(texts):
        return True
    found: list[str] = []
    decoder = msgspec.json.Decoder(float_hook=found.append)
    decoder.decode_lines(texts)
    return "e" not in "".join(found).lower()


def _may_have_exponent(texts: bytes) -> bool:
    """Return whether any digit stands before an `e`."""
    import numpy as np

    codes = np.frombuffer(texts, np.uint8)
    is_digit = (codes[:-1] - np.uint8(_DIGITS[0])) < len(_DIGITS)
    return bool((((codes[1:] | np.uint8(0x20)) == ord("e")) & is_digit).any())


def is_plain(texts: bytes, longest: int) -> bool:
    """Return whether valid JSON texts are spelled as the library spells them.

    Args:
        texts: One after the other.
        longest: How long the longest one is.
    """
    if b"\\" in texts and _SPELLED_OTHERWISE.search(texts):
        return False
    if b"-0" in texts and _MINUS_ZERO.search(texts):
        return False
    if longest > _LONG and _LONG_NUMBER.search(texts):
        return False
    return has_plain_numbers(texts)


def is_compact(values: Sequence[bytes | msgspec.Raw], size: int) -> bool:
    """Return whether there is no white space between the parts of JSON texts.

    Args:
        values: The texts; that of none is empty.
        size: How many bytes they are.
    """
    compact = msgspec.json.format(b"[" + b",".join(values) + b"]", indent=-1)
    return len(compact) == size + len(values) + 1


def rewritten(values: Sequence[msgspec.Raw]) -> bytes | None:
    """Return JSON texts as the library writes them, a line each; None if a key may come twice.

    Raises:
        msgspec.MsgspecError: One cannot be read.
    """
    sent = b"[" + b",".join([bytes(value) or b"null" for value in values]) + b"]"
    written = _encoder.encode_lines(_decoder.decode(sent))
    if is_spelled_otherwise(sent):
        return None
    is_equal = at_most_keys(sent) == at_most_keys(written) or key_ends(sent) == key_ends(written)
    return written if is_equal else None


class KeyPattern:
    """The keys that texts have one after the other, each of them once in a text.

    Most objects of a field are alike, so that a look at a few places proves their keys.
    """

    def __init__(self) -> None:
        self._keys: tuple[bytes, ...] = ()

    def proves(self, texts: bytes, offsets: "Positions", has_keys: "npt.NDArray[np.bool_]") -> bool:
        """Return whether it is proved that no object has a key twice.

        Args:
            texts: Compact JSON texts, one after the other.
            offsets: Where they begin, and where the last one ends.
            has_keys: Which of them are objects or arrays.
        """
        import numpy as np

        codes = np.frombuffer(texts, np.uint8)
        ends = np.flatnonzero((codes[:-1] == ord('"')) & (codes[1:] == ord(":")))
        if not len(ends):
            return True
        starts, stops = offsets[:-1][has_keys], offsets[1:][has_keys]
        if len(ends) % len(starts) or b"\\" in texts:
            return False
        places = ends.reshape(len(starts), -1)
        is_aligned = (places[:, 0] > starts).all() and (places[:, -1] < stops).all()
        if not is_aligned:
            return False
        if not self._holds(texts, places):
            self._keys = _keys_of(texts[starts[0] : stops[0]])
            return self._holds(texts, places)
        return True

    def _holds(self, texts: bytes, places: "npt.NDArray[np.int64]") -> bool:
        import numpy as np

        if places.shape[1] != len(self._keys):
            return False
        # Words that end at a place, whichever bytes stand before the first text.
        padded = bytes(_WORD * max(map(_words, self._keys))) + texts
        words = np.ndarray(len(padded) - _WORD + 1, "<u8", padded, strides=(1,))
        behind = places + (len(padded) - len(texts) + 1)
        for at, key in enumerate(self._keys):
            for word in range(_words(key)):
                left = len(key) - word * _WORD
                part = key[max(0, left - _WORD) : left]
                found = words[behind[:, at] - (word + 1) * _WORD]
                wanted = int.from_bytes(part, "little")
                if not (found >> np.uint64(8 * (_WORD - len(part))) == np.uint64(wanted)).all():
                    return False
        return True


def _words(key: bytes) -> int:
    return -(-len(key) // _WORD)


def _keys_of(text: bytes) -> tuple[bytes, ...]:
    """Return the keys of a JSON text with their quotes, in their order; none if one comes twice."""
    keys: list[bytes] = []
    waiting: list[Any] = [msgspec.json.decode(text)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            # In the order of the text: a value's own keys come before the next key.
            waiting += reversed(list(chain.from_iterable((_Key(k), v) for k, v in value.items())))
        elif isinstance(value, list):
            waiting += reversed(value)
        elif isinstance(value, _Key):
            keys.append(_encoder.encode(str(value)))
    return tuple(keys) if len(set(keys)) == len(keys) else ()


class _Key(str):
    """A key, told from a text."""

    __slots__ = ()
