"""What lines of records have in common: what stands before the record, in it and after it.

A shape is learnt from one line and told to `cuts`, which looks for it in others.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

_DECODER = json.JSONDecoder()
_KEY = re.compile(r'"(?:[^"\\]|\\.)*+"')
_COLON = re.compile(r": ?")
_COMMA = re.compile(r", ?")


@dataclass(frozen=True)
class Shape:
    """How the lines of one stream look.

    Args:
        head: What each line begins with, up to the brace of its record.
        keys: The keys of the record in their order, by name, each as it is written: `"id":`.
        comma: What separates two fields.
        tail: What each line ends with, from the brace that closes its record; in two parts where
            the value between them is of the line alone.
        ordinals: How many keys are before each, inside of values too, in the line that was looked
            at.
    """

    head: bytes
    keys: dict[str, bytes]
    comma: bytes
    tail: tuple[bytes, ...]
    ordinals: tuple[int, ...] = field(default=(), compare=False)

    def joined(self, other: "Shape") -> "Shape | None":
        """Return the shape of lines of both, whose records may lack keys; None if there is none."""
        if replace(self, keys={}) != replace(other, keys={}):
            return None
        names = list(self.keys)
        if names == list(other.keys):
            return self
        shared = [name for name in names if name in other.keys]
        if shared != [name for name in other.keys if name in self.keys]:
            return None  # they come in another order
        at = 0
        for name in other.keys:
            if name not in self.keys:
                names.insert(at, name)
            at = max(at, names.index(name) + 1)
        keys = {**other.keys, **self.keys}
        return replace(self, keys={name: keys[name] for name in names}, ordinals=())


@dataclass(frozen=True)
class _Member:
    name: str
    start: int
    value: int
    end: int


def shape_of(line: bytes, path: Sequence[str], moment: str | None) -> Shape | None:
    """Return the shape of a line, or None where it has none that other lines could share.

    Args:
        line: The line, without its end.
        path: Where in it the record is.
        moment: The key beside the record whose value is of each line alone.
    """
    try:
        text = line.decode()
        return _shape(text, path, moment)
    except (ValueError, IndexError, RecursionError):
        return None


def _shape(text: str, path: Sequence[str], moment: str | None) -> Shape | None:
    start = _inside(text, 0)
    for step in path:
        values = (value for name, _, value in _keys(text, start) if name == step)
        start = _inside(text, next(values, 0))
    members = list(_members(text, start))
    names = [member.name for member in members]
    if not members or len(set(names)) < len(names):
        return None
    between = {text[one.end : other.start] for one, other in pairwise(members)}
    keys = {member.name: text[member.start : member.value] for member in members}
    colons = {key[key.rindex(":") :] for key in keys.values()}
    if len(between) > 1 or len(colons) > 1:
        return None
    comma = between.pop() if between else ","
    end = members[-1].end
    own = next((one for one in _after(text, end) if one.name == moment), None)
    tail = (text[end:],) if own is None else (text[end : own.value], text[own.end :])
    return Shape(
        text[:start].encode(),
        {name: key.encode() for name, key in keys.items()},
        comma.encode(),
        tuple(part.encode() for part in tail),
        tuple(text.count('":', 0, member.value) - 1 for member in members),
    )


def _inside(text: str, at: int) -> int:
    """Return the place behind the brace that opens an object, which is at another.

    Raises:
        ValueError: There is none.
    """
    if text[at] != "{":
        raise ValueError(text[at])
    return at + 1


def _keys(text: str, at: int) -> Iterator[tuple[str, int, int]]:
    """Yield the keys of an object from a place on, where they begin, and where their values do."""
    while True:
        key = _KEY.match(text, at)
        colon = None if key is None else _COLON.match(text, key.end())
        if key is None or colon is None:
            raise ValueError(text[at : at + 1])
        yield str(json.loads(key[0])), at, colon.end()
        at = _end(text, colon.end())
        comma = _COMMA.match(text, at)
        if comma is None:
            if text[at] != "}":
                raise ValueError(text[at])
            return
        at = comma.end()


def _members(text: str, at: int) -> Iterator[_Member]:
    for name, start, value in _keys(text, at):
        yield _Member(name, start, value, _end(text, value))


def _after(text: str, at: int) -> list[_Member]:
    """Return the members that come behind an object, in those that it is in, to the line's end.

    Raises:
        ValueError: Something else comes.
    """
    found: list[_Member] = []
    while at < len(text) and text[at] == "}":
        at += 1
        comma = _COMMA.match(text, at)
        if comma is not None:
            found += _members(text, comma.end())
            at = found[-1].end
    if text[at:].strip(" \t\r"):
        raise ValueError(text[at:])
    return found


def _end(text: str, at: int) -> int:
    return _DECODER.raw_decode(text, at)[1]
