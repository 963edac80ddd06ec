"""Lines of one shape cut into the JSON texts of their fields, at the speed of memory.

Nothing is decoded here, and no object is made of a value. The places of all keys are found at once,
and what stands at them is compared with the shape. A line is then nothing but what the shape says
and the texts between: where each of these is one whole JSON value (`cut_columns` sees to that), the
line has no other values, and no key twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from etl_assets.model.json.places import WORD, Text, equal_words
from etl_assets.model.json.shape import Shape

if TYPE_CHECKING:
    from etl_assets.model.json.places import Mask, Places

_BEFORE = b" " * 2 * WORD
"""What stands before the first line, so that there is a word before each place."""
_COLON, _QUOTE = b':"'


class Lines(Text):
    """Whole lines, and where they and the keys in them are.

    Args:
        lines: The lines, each with its end.
    """

    def __init__(self, lines: bytes) -> None:
        super().__init__(_BEFORE + lines)
        self.starts = np.concatenate([[len(_BEFORE)], self.ends[:-1] + 1])
        found = self.data[1:] == _COLON
        found &= self.data[:-1] == _QUOTE
        self._colons = np.flatnonzero(found) + 1
        self._behind_colons: dict[int, tuple[Places, Any]] = {}
        each = int(np.searchsorted(self._colons, self.ends[0])) if len(self.ends) else 0
        self.keys_of_each = each if each * len(self.ends) == len(self._colons) else 0

    def __len__(self) -> int:
        return len(self.ends)

    def behind_key(self, key: bytes) -> "Places":
        """Return the places behind all that is written as this key is, also inside of values."""
        behind = len(key) - key.rindex(b":")
        if behind not in self._behind_colons:
            places = self._colons + behind
            places = places[: np.searchsorted(places, len(self.text))]
            self._behind_colons[behind] = places, self.words(places - WORD)
        places, read = self._behind_colons[behind]
        places = places[equal_words(read, key[-WORD:])]
        rest = key[:-WORD]
        return places[self.stands_before(places - WORD, rest)] if rest else places

    def behind_key_of_each(self, key: bytes, ordinal: int | None) -> "Places | None":
        """Return the place behind a key in each line, or None where not each has it once.

        Args:
            key: The key.
            ordinal: How many keys are before it, if that is known and the same in each line.
        """
        if ordinal is not None and 0 <= ordinal < self.keys_of_each:
            places = self._colons[ordinal :: self.keys_of_each]
            places = places + (len(key) - key.rindex(b":"))
            if self.stands_before(places, key).all():
                return places
        places = self.behind_key(key)
        return places if len(places) == len(self) else None


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


def cuts(lines: Lines, shape: Shape) -> Iterator[Cut]:
    """Yield the ways to cut lines of this shape; none where a line does not have it.

    Where values hold keys of the same names, it takes their columns to tell the right one.
    """
    heads = lines.starts + len(shape.head)
    if not (heads <= lines.ends).all() or not lines.stands_before(heads, shape.head).all():
        return
    tail = _tail(lines, shape, heads)
    if tail is None:
        return
    tails, moments = tail
    fields = _with_all_keys(lines, shape, heads, tails)
    if fields is not None:
        yield Cut(fields, moments)
    for from_end in (False, True):
        fields = _with_some(lines, shape, heads, tails, from_end=from_end)
        if fields is not None:
            yield Cut(fields, moments)


def _tail(lines: Lines, shape: Shape, heads: "Places") -> "tuple[Places, Texts | None] | None":
    """Return where the tails of all lines begin, and what in them is of each line alone."""
    if len(shape.tail) == 1:
        tails = lines.ends - len(shape.tail[0])
        is_there = (tails >= heads).all() and lines.stands_before(lines.ends, shape.tail[0]).all()
        return (tails, None) if is_there else None
    before, after = shape.tail
    stops = lines.ends - len(after)
    starts = lines.behind_key_of_each(before, lines.keys_of_each - 1)
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
    ordinals = shape.ordinals or repeat(None)
    for key, ordinal in zip(shape.keys.values(), ordinals, strict=False):
        written = shape.comma + key if found else key
        starts = lines.behind_key_of_each(written, ordinal)
        if starts is None:
            return None
        found.append(starts)
        stops.append(starts - len(written))
    stops.append(tails)
    if not (stops[0] == heads).all():
        return None
    # Each value ends behind its start, so that all are in the line in which they begin.
    if not all((start < stop).all() for start, stop in zip(found, stops[1:], strict=True)):
        return None
    texts = zip(shape.keys, found, stops[1:], strict=True)
    return {name: Texts(lines, start, stop) for name, start, stop in texts}


def _with_some(
    lines: Lines, shape: Shape, heads: "Places", tails: "Places", *, from_end: bool
) -> dict[str, Texts] | None:
    """Return the texts of fields that lines have in this order, if they have them.

    None where they have others, or in another order.
    """
    fields: dict[str, Texts] = {}
    stops = firsts = tails  # where the value before ends, and where the first key is
    for name, (starts, there) in reversed(
        _places(lines, shape, heads, tails, from_end=from_end).items()
    ):
        keys = np.where(there, starts - len(shape.keys[name]), heads)
        is_apart = (keys == heads) | lines.stands_before(keys, shape.comma)
        if not (~there | (is_apart & (starts < stops))).all():
            return None
        fields[name] = Texts(lines, np.where(there, starts, stops), stops)
        before = np.where(keys == heads, keys, keys - len(shape.comma))
        firsts, stops = np.where(there, keys, firsts), np.where(there, before, stops)
    return fields if (firsts == heads).all() else None


def _places(
    lines: Lines, shape: Shape, heads: "Places", tails: "Places", *, from_end: bool
) -> "dict[str, tuple[Places, Mask]]":
    """Return where the values of keys begin, by name, and which lines have them.

    Of several places in a line, inside of values too, it is the first one behind the key before, or
    the last one before the key behind.
    """
    found: dict[str, tuple[Places, Mask]] = {}
    last, next_ = heads, tails
    for name in reversed(shape.keys) if from_end else shape.keys:
        key = shape.keys[name]
        places = lines.behind_key(key)
        of = np.searchsorted(lines.ends, places)
        keys = places - len(key)
        is_key = (keys == heads[of]) | lines.stands_before(keys, shape.comma)
        is_key &= (places > last[of]) & (places < next_[of])
        places, of = places[is_key], of[is_key]
        chosen = np.diff(of, append=-1) if from_end else np.diff(of, prepend=-1)
        places, of = places[chosen != 0], of[chosen != 0]
        starts, there = (next_ if from_end else last).copy(), np.zeros(len(lines), np.bool_)
        starts[of], there[of] = places, True
        found[name] = starts, there
        last, next_ = (last, starts) if from_end else (starts, next_)
    return {name: found[name] for name in shape.keys}
