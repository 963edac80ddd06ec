"""Keys that come twice in one JSON object: a dict keeps the last, and loses a value silently.

They are found by counting. Each key stands before a colon of its own, and what was decoded has one
value for each key: where there are as many such colons as values, no key came twice. The colons are
counted at the speed of C, and never too few of them; only a text of which the count proves nothing
is read once more, pair by pair.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import simplejson

from etl_assets.exceptions import DataError, EtlAssetsError, ProtocolError, shorten

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Path = tuple[str | int, ...]

_STEP = 256 * 1024
"""Bytes that are counted at once: what is made of them stays in the processor's cache."""
_STEPS_BACK = 16
"""Characters looked through before a colon; what has more of them counts as a key."""
_SHOWN = 38

_CONTAINERS = frozenset({dict, list})

_COLON, _QUOTE, _SPACE, _BACKSLASH = b':" \\'
_SPELLED_OTHERWISE = re.compile(rb"\\u00(?:2[0-2]|3[aA])")
_SPACED_KEY = re.compile(r'(?:(?<!\\)|\\\\)"\s+:')


REASON = "the key comes twice in one object, and only one of its values could be kept."
HINT = "Have the source send each key once; a list takes several values of one field."


# Counting


def at_most_keys(text: bytes) -> int:
    """Count the colons of a JSON text that may stand behind a key: no fewer than there are keys."""
    import numpy as np

    return sum(int(np.count_nonzero(found)) for found in _colons(np.frombuffer(text, np.uint8)))


def key_ends(text: bytes) -> int:
    """Count the keys of a JSON text, together with the texts in it that begin with a colon.

    This is never less than the number of keys. It is closer than `at_most_keys`, and slower: words
    before a colon do not count, nor does JSON inside of a text, which has a backslash before each
    quote.
    """
    import numpy as np

    data = np.frombuffer(text, np.uint8)
    count = 0
    for step, found in enumerate(_colons(data)):
        before = np.flatnonzero(found)
        before += step * _STEP
        quoted = data.take(before) == _QUOTE
        count += int(np.count_nonzero(quoted))
        slashed = before[data.take(before - 1) == _BACKSLASH]
        if len(slashed):
            count -= _escaped(data, slashed)
        if not quoted.all():
            count += _keys_before(data, before[~quoted])
    return count


def colons_like_keys(decoded: "npt.NDArray[np.uint8]") -> int:
    """Count the colons in decoded texts that `at_most_keys` counts in their JSON text.

    No character of the JSON text may be escaped.
    """
    import numpy as np

    count = 0
    for step, found in enumerate(_colons(decoded)):
        before = decoded[step * _STEP :][: len(found)]
        # A line's end before a colon is a letter in the JSON text, so that it must not count.
        count += int(np.count_nonzero(found & (before >= _SPACE)))
    return count


def is_spelled_otherwise(text: bytes) -> bool:
    """Return whether a colon, or what stands before one, may be escaped by its number."""
    if b"\\" not in text:
        return False
    return _has_numbered_characters(text) and _SPELLED_OTHERWISE.search(text) is not None


def _has_numbered_characters(text: bytes) -> bool:
    """Return whether any character is escaped by its number, told faster than by a search."""
    import numpy as np

    data = np.frombuffer(text, np.uint8)
    for start in range(0, len(data), _STEP):
        part = data[start : start + _STEP + 1]
        if ((part[:-1] == _BACKSLASH) & (part[1:] == ord("u"))).any():
            return True
    return False


def count_keys(value: Any) -> int:
    """Count the keys of a decoded JSON object or array."""
    keys, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        inner = one
        if type(one) is dict:
            keys += len(one)
            inner = one.values()
        waiting += [within for within in inner if type(within) is dict or type(within) is list]
    return keys


def proves_each_once(text: str, keys: int) -> bool:
    """Return whether a look at one JSON text proves that no key of it comes twice.

    Args:
        text: The text; short, so that it costs more to prepare a count than to count.
        keys: Of what was decoded from it.
    """
    ends = text.count('":')
    if ends != keys:
        if '\\\\"' in text:
            return False
        ends -= text.count('\\":')
    spaced = '" ' in text or "\t" in text or "\n" in text or "\r" in text
    return ends == keys and not (spaced and _SPACED_KEY.search(text))


def _colons(data: "npt.NDArray[np.uint8]") -> "Iterator[npt.NDArray[np.bool_]]":
    """Tell, step by step, which characters stand before a colon and are a quote, or white space.

    An exclamation mark, and what no text may hold, are among them: one comparison tells all of
    these from the rest.
    """
    import numpy as np

    # Room that is used again: fresh memory would cost as much as the count.
    room = np.empty((2, min(len(data), _STEP)), np.bool_)
    for start in range(0, len(data), _STEP):
        part = data[start : start + _STEP + 1]
        colon, blank = room[:, : len(part) - 1]
        np.equal(part[1:], _COLON, out=colon)
        np.less_equal(part[:-1], _QUOTE, out=blank)
        yield np.logical_and(colon, blank, out=colon)


def _keys_before(data: "npt.NDArray[np.uint8]", places: "npt.NDArray[np.intp]") -> int:
    """Count the places before which, behind white space, a key ends.

    A place with too much white space before it counts as one.
    """
    import numpy as np

    for _ in range(_STEPS_BACK):
        blank = data.take(places) <= _SPACE
        if not blank.any():
            break
        places = places - blank
    found = data.take(places)
    quotes = places[found == _QUOTE]
    return len(quotes) - _escaped(data, quotes) + int(np.count_nonzero(found <= _SPACE))


def _escaped(data: "npt.NDArray[np.uint8]", quotes: "npt.NDArray[np.intp]") -> int:
    """Count the quotes with an odd number of backslashes before them.

    A quote with too many of them does not count.
    """
    places, odd = quotes[data.take(quotes) == _QUOTE], 0
    for step in range(_STEPS_BACK):
        places = places - 1
        places = places[data.take(places) == _BACKSLASH]
        if not len(places):
            break
        odd += -len(places) if step % 2 else len(places)
    return odd


# The exact look


class _Number(str):
    """A number as it was sent."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Repeat:
    """A key that comes twice in one object.

    Args:
        document: The JSON document that the object is in.
        path: Where in it the key is.
        values: The values it comes with, in their order: the first one, and the next.
    """

    document: Any
    path: Path
    values: tuple[Any, Any]

    def __repr__(self) -> str:
        first, second = map(_shown, self.values)
        return f"{first}, then {second}"

    @property
    def field(self) -> str:
        """The name of the field, with those it is in before it."""
        return ".".join(map(str, self.path))

    def error(self, stream: str, path: Path) -> DataError:
        """Return the error of a record, whose own path is not part of the field's name."""
        return DataError(
            REASON, stream=stream, field=".".join(map(str, path)), value=self, hint=HINT
        )


def _shown(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)[:_SHOWN]  # as it was sent, without quotes
    return shorten(value, _SHOWN)


def repeats(text: str | bytes) -> Iterator[Repeat | None]:
    """Yield, for each JSON document of a text, a key that comes twice in an object of it, or None.

    Raises:
        ProtocolError: It is no JSON.
    """
    found: list[tuple[dict[str, Any], str, tuple[Any, Any]]] = []

    def made(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) < len(pairs):
            found.append((document, *_first(pairs)))
        return document

    try:
        string = text if isinstance(text, str) else text.decode()
        decoder = simplejson.JSONDecoder(
            object_pairs_hook=made, parse_float=_Number, parse_int=_Number, parse_constant=_Number
        )
        end = len(string.rstrip())
        position = 0
        while position < end:
            document, position = decoder.raw_decode(string, position)
            yield _repeat(document, found) if found else None
            found.clear()
    except (ValueError, RecursionError) as error:
        raise ProtocolError("The line is not JSON, or is nested too deep.", line=text) from error


def refuse_repeats(text: str, document: Any, stream: str, *, field: str | None = None) -> None:
    """Refuse a record, or a value of one, that has a key twice.

    Args:
        text: Its JSON text.
        document: What was decoded from it.
        stream: Whose it is.
        field: The field, if it is a value.

    Raises:
        DataError: Names the field and both values.
    """
    if type(document) not in _CONTAINERS or proves_each_once(text, count_keys(document)):
        return
    for repeat in repeats(text):
        if repeat is not None:
            raise repeat.error(stream, repeat.path if field is None else (field, *repeat.path))


def refuse_repeats_in_messages(text: str | bytes, record: Sequence[str]) -> None:
    """Refuse RECORD messages that have a key twice; what other messages say is not looked at.

    Args:
        text: Messages.
        record: Where in a message the record is; its stream stands beside it.

    Raises:
        DataError: A record has a key twice; names stream, field and both values.
        ProtocolError: What is around a record has.
    """
    for repeat in repeats(text):
        if repeat is not None and _is_record(repeat.document):
            raise _of_message(repeat, tuple(record))


def _is_record(message: Any) -> bool:
    return isinstance(message, Mapping) and message.get("type") == "RECORD"


def _of_message(repeat: Repeat, record: Path) -> EtlAssetsError:
    around = repeat.document
    for name in record[:-1]:
        around = around.get(name) if isinstance(around, Mapping) else None
    said = around.get("stream") if isinstance(around, Mapping) else None
    stream = said if isinstance(said, str) else None
    inside = repeat.path[len(record) :]
    if stream is not None and inside and repeat.path[: len(record)] == record:
        return repeat.error(stream, inside)
    return ProtocolError(
        f"stream {stream!r}: a RECORD message has the key {repeat.path[-1]!r} twice: {repeat!r}.",
        stream=stream,
    )


def _first(pairs: list[tuple[str, Any]]) -> tuple[str, tuple[Any, Any]]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        if key in seen:
            return key, (seen[key], value)
        seen[key] = value
    raise AssertionError  # pragma: no cover - the caller has counted


def _repeat(document: Any, found: list[tuple[dict[str, Any], str, tuple[Any, Any]]]) -> Repeat:
    """Return where the last one is that was found.

    The objects around it are complete only after it, so that none of them has dropped it.
    """
    inside, key, values = found[-1]
    waiting: list[tuple[Any, Path]] = [(document, ())]
    while waiting:
        value, path = waiting.pop()
        if value is inside:
            return Repeat(document, (*path, key), values)
        if isinstance(value, dict):
            waiting += [(one, (*path, name)) for name, one in value.items()]
        elif isinstance(value, list):
            waiting += [(one, (*path, place)) for place, one in enumerate(value)]
    raise AssertionError  # pragma: no cover - see above
