"""Lines of one shape cut into the JSON texts of their fields, at the speed of memory.

Nothing is decoded here, and no object is made of a value. The places of all keys are found at once,
and what stands at them is compared with the shape. A line is then nothing but what the shape says
and the texts between: where each of these is one whole JSON value (`cut_columns` sees to that), the
line has no other values, and no key twice.
"""

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
        self._behind_colons: dict[int, tuple[Places, Any]] = {}
        each = int(np.searchsorted(self._colons, self.ends[0])) if len(self.ends) else 0
        self._keys_of_each = each if each * len(self.ends) == len(self._colons) else 0

    def __len__(self) -> int:
        return len(self.ends)

    def stands_before(self, places: "Places", text: bytes) -> "Mask":
        """Return before which places a text stands."""
        found: Mask | None = None
        nearest = len(text) + _WORD
        if is_near := bool(len(places)) and places.min() < nearest:
            near = places >= nearest
            places = np.maximum(places, nearest)
        for stop in range(len(text), 0, -_WORD):
            read = self._read(places - (len(text) - stop + _WORD))
            equal = _equal(read, text[max(stop - _WORD, 0) : stop])
            found = equal if found is None else found & equal
        if found is None:
            return np.ones(len(places), np.bool_)
        if is_near:
            found &= near
        return found

    def behind_key(self, key: bytes) -> "Places":
        """Return the places behind all that is written as this key is, also inside of values."""
        behind = len(key) - key.rindex(b":")
        if behind not in self._behind_colons:
            places = self._colons + behind
            places = places[: np.searchsorted(places, len(self.text))]
            self._behind_colons[behind] = places, self._read(places - _WORD)
        places, read = self._behind_colons[behind]
        places = places[_equal(read, key[-_WORD:])]
        rest = key[:-_WORD]
        return places[self.stands_before(places - _WORD, rest)] if rest else places

    def behind_key_of_each(self, key: bytes, last: int) -> "Places | None":
        """Return the place behind a key in each line, or None where not each has it once.

        Args:
            key: The key.
            last: A place in the first line before that of its key.
        """
        if self._keys_of_each:
            behind = len(key) - key.rindex(b":")
            first = self._colons[: self._keys_of_each] + behind
            found = np.flatnonzero(self.stands_before(first, key) & (first > last))
            if len(found):
                places = self._colons[found[0] :: self._keys_of_each] + behind
                if self.stands_before(places, key).all():
                    return places
        places = self.behind_key(key)
        return places if len(places) == len(self) else None

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
        fields: The texts of the fields, by name.
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
    fields = _with_all_keys(lines, shape, heads, tails) or _with_some(lines, shape, heads, tails)
    return None if fields is None else Cut(fields, moments)


def _tail(lines: Lines, shape: Shape, heads: "Places") -> "tuple[Places, Texts | None] | None":
    """Return where the tails of all lines begin, and what in them is of each line alone."""
    if len(shape.tail) == 1:
        tails = lines.ends - len(shape.tail[0])
        is_there = (tails >= heads).all() and lines.stands_before(lines.ends, shape.tail[0]).all()
        return (tails, None) if is_there else None
    before, after = shape.tail
    stops = lines.ends - len(after)
    starts = lines.behind_key_of_each(before, int(heads[0]))
    if starts is None:
        places = lines.behind_key(before)
        last = np.searchsorted(places, stops) - 1
        if (last < 0).any():
            return None
        starts = places[last]
    tails = starts - len(before)
    is_there = ((tails >= heads) & (starts < stops)).all()
    if not is_there or not lines.stands_before(lines.ends, after).all():
        return None
    return tails, Texts(lines, starts, stops)


def _with_all_keys(
    lines: Lines, shape: Shape, heads: "Places", tails: "Places"
) -> dict[str, Texts] | None:
    """Return the texts of fields that all lines have in this order; None where they have not."""
    found: list[Places] = []
    stops: list[Places] = []
    last = int(heads[0])
    for key in shape.keys.values():
        written = shape.comma + key if found else key
        starts = lines.behind_key_of_each(written, last)
        if starts is None:
            return None
        found.append(starts)
        stops.append(starts - len(written))
        last = int(starts[0])
    stops.append(tails)
    if not (stops[0] == heads).all():
        return None
    # Each value ends behind its start, so that all are in the line in which they begin.
    if not all((start < stop).all() for start, stop in zip(found, stops[1:], strict=True)):
        return None
    texts = zip(shape.keys, found, stops[1:], strict=True)
    return {name: Texts(lines, start, stop) for name, start, stop in texts}


def _with_some(
    lines: Lines, shape: Shape, heads: "Places", tails: "Places"
) -> dict[str, Texts] | None:
    """Return the texts of fields that lines have in this order, if they have them.

    None where they have others, or in another order.
    """
    fields: dict[str, Texts] = {}
    stops = firsts = tails  # where the value before ends, and where the first key is
    for name, (starts, there) in reversed(_places(lines, shape, heads, tails).items()):
        keys = np.where(there, starts - len(shape.keys[name]), heads)
        is_apart = (keys == heads) | lines.stands_before(keys, shape.comma)
        if not (~there | (is_apart & (starts < stops))).all():
            return None
        fields[name] = Texts(lines, np.where(there, starts, stops), stops)
        before = np.where(keys == heads, keys, keys - len(shape.comma))
        firsts, stops = np.where(there, keys, firsts), np.where(there, before, stops)
    return fields if (firsts == heads).all() else None


def _places(
    lines: Lines, shape: Shape, heads: "Places", tails: "Places"
) -> "dict[str, tuple[Places, Mask]]":
    """Return where the values of keys begin, by name, and which lines have them.

    Of several places in a line, inside of values too, it is the first one behind the key before.
    """
    found: dict[str, tuple[Places, Mask]] = {}
    last = heads
    for name, key in shape.keys.items():
        places = lines.behind_key(key)
        of = np.searchsorted(lines.ends, places)
        keys = places - len(key)
        is_key = (keys == heads[of]) | lines.stands_before(keys, shape.comma)
        is_key &= (places > last[of]) & (places < tails[of])
        places, of = places[is_key], of[is_key]
        firsts = np.flatnonzero(np.diff(of, prepend=-1))
        starts, there = last.copy(), np.zeros(len(lines), np.bool_)
        starts[of[firsts]], there[of[firsts]] = places[firsts], True
        found[name] = starts, there
        last = starts
    return found
