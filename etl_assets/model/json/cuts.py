"""Lines of one shape cut into the JSON texts of their fields, at the speed of memory.

Nothing is decoded here, and no object is made of a value. The places of all keys are found at once,
and what stands at them is compared with the shape. A line is then nothing but what the shape says
and the texts between: where each of these is one whole JSON value (`cut_columns` sees to that), the
line has no other values, and no key twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_assets.model.json.shape import Shape

if TYPE_CHECKING:
    import numpy.typing as npt

    Places = npt.NDArray[np.int64]
    Mask = npt.NDArray[np.bool_]

_WORD = 8
_BEFORE = b" " * _WORD
"""What stands before the first line, so that there is a word before each place."""
_NEWLINE, _COLON, _QUOTE = b'\n:"'


class Lines:
    """Whole lines, and where they and the keys in them are.

    Args:
        lines: The lines, each with its end.
    """

    def __init__(self, lines: bytes) -> None:
        self.text = _BEFORE + lines
        self.data = np.frombuffer(self.text, np.uint8)
        # Of single bytes, so that a word may begin at any of them.
        voids = np.frombuffer(self.text, f"V{_WORD}", len(self.text) // _WORD)
        self._words: Any = np.lib.stride_tricks.as_strided(
            voids, (len(self.text) - _WORD + 1,), (1,)
        )
        self.ends = np.flatnonzero(self.data == _NEWLINE)
        self.starts = np.concatenate([[_WORD], self.ends[:-1] + 1])
        found = self.data[1:] == _COLON
        found &= self.data[:-1] == _QUOTE
        self._colons = np.flatnonzero(found) + 1
        self._before: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.ends)

    def stands_before(self, places: "Places", text: bytes) -> "Mask":
        """Return before which places a text stands."""
        found = np.ones(len(places), np.bool_)
        for stop in range(len(text), 0, -_WORD):
            read = self._read(places - (len(text) - stop + _WORD))
            found &= _equal(read, text[max(stop - _WORD, 0) : stop])
        return found

    def behind_key(self, key: bytes) -> "Places":
        """Return the places behind all that is written as this key is, also inside of values."""
        behind = len(key) - key.rindex(b":")
        if behind not in self._before:
            ends = self._colons + behind
            within = int(np.searchsorted(ends, len(self.text)))
            self._before[behind] = (ends[:within], self._read(ends[:within] - _WORD))
        ends, read = self._before[behind]
        places = ends[_equal(read, key[-_WORD:])]
        if len(key) > _WORD:
            places = places[self.stands_before(places - _WORD, key[:-_WORD])]
        return places

    def line_of(self, places: "Places") -> "Places":
        """Return the numbers of the lines that places are in."""
        return np.searchsorted(self.ends, places)

    def _read(self, places: "Places") -> "npt.NDArray[np.uint64]":
        read: npt.NDArray[np.uint64] = self._words[places].view(np.uint64)
        return read


def _equal(words: "npt.NDArray[np.uint64]", text: bytes) -> "Mask":
    """Return which words end with a text of at most their length."""
    wanted = np.frombuffer(text.rjust(_WORD, b"\0"), np.uint64)[0]
    if len(text) == _WORD:
        return words == wanted
    mask = np.frombuffer((b"\xff" * len(text)).rjust(_WORD, b"\0"), np.uint64)[0]
    return (words & mask) == wanted


@dataclass(frozen=True)
class Texts:
    """Where the JSON texts of one field are; an empty one is missing."""

    lines: Lines
    starts: "Places"
    ends: "Places"


@dataclass(frozen=True)
class Cut:
    """Lines cut by their shape.

    Args:
        fields: The texts of the fields, by name; those that no line has are not among them.
        moments: The values of their own that lines have beside their records.
    """

    fields: dict[str, Texts]
    moments: Texts | None


def cut(lines: Lines, shape: Shape) -> Cut | None:
    """Return the texts of all fields, or None where a line does not have this shape."""
    heads = lines.starts + len(shape.head)
    if not (heads <= lines.ends).all() or not lines.stands_before(heads, shape.head).all():
        return None
    tail = _tail(lines, shape, heads)
    if tail is None:
        return None
    tails, moments = tail
    fields: dict[str, Texts] = {}
    stops = first = tails  # where the value before ends, and where the first key is
    for name, (starts, there) in reversed(_places(lines, shape, heads, tails).items()):
        keys = starts - len(shape.keys[name])
        is_apart = lines.stands_before(keys, shape.comma) | (keys == heads)
        before = np.where(keys == heads, keys, keys - len(shape.comma))
        if there is None:
            is_right = is_apart & (starts < stops)
            fields[name] = Texts(lines, starts, stops)
            first, stops = keys, before
        else:
            is_right = ~there | (is_apart & (starts < stops))
            fields[name] = Texts(lines, np.where(there, starts, stops), stops)
            first, stops = np.where(there, keys, first), np.where(there, before, stops)
        if not is_right.all():
            return None
    if not (first == heads).all():
        return None
    return Cut({name: fields[name] for name in shape.keys}, moments)


def _tail(lines: Lines, shape: Shape, heads: "Places") -> "tuple[Places, Texts | None] | None":
    """Return where the tails of all lines begin, and what in them is of each line alone."""
    if len(shape.tail) == 1:
        tails = lines.ends - len(shape.tail[0])
        found = lines.stands_before(lines.ends, shape.tail[0]) & (tails >= heads)
        return (tails, None) if found.all() else None
    before, after = shape.tail
    stops = lines.ends - len(after)
    keys = lines.behind_key(shape.moment)
    last = np.searchsorted(keys, stops) - 1
    if not len(keys) or (last < 0).any():
        return None
    starts = keys[last]
    tails = starts - len(before)
    found = (tails >= heads) & (starts < stops)
    found &= lines.stands_before(starts, before) & lines.stands_before(lines.ends, after)
    return (tails, Texts(lines, starts, stops)) if found.all() else None


def _places(
    lines: Lines, shape: Shape, heads: "Places", tails: "Places"
) -> "dict[str, tuple[Places, Mask | None]]":
    """Return where the values of keys begin, by name, and in which lines they are if not in all.

    Of several places in a line, inside of values too, it is the first one behind the key before.
    """
    found: dict[str, tuple[Places, Mask | None]] = {}
    last = heads
    for name, key in shape.keys.items():
        places = lines.behind_key(key)
        if len(places) == len(lines) and ((places > last) & (places < tails)).all():
            found[name] = places, None
            last = places
            continue
        of = lines.line_of(places)
        keys = places - len(key)
        apart = (keys == heads[of]) | lines.stands_before(keys, shape.comma)
        apart &= (places > last[of]) & (places < tails[of])
        places, of = places[apart], of[apart]
        is_first = np.concatenate([[True], of[1:] != of[:-1]])[: len(of)]
        starts, there = last.copy(), np.zeros(len(lines), np.bool_)
        starts[of[is_first]] = places[is_first]
        there[of[is_first]] = True
        found[name] = starts, there
        last = starts
    return found
