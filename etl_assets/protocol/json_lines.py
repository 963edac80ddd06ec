"""Lines of JSON decoded many at a time, without losing a digit.

A chunk of lines is one call of the decoder. A number with a fraction or an exponent becomes a `float` where that is
the very number (its shortest text is the same number), else a `Decimal`; integers are `int` of any size. A look at the
chunk tells whether any number is long enough to need the question at all. What the fast decoder refuses (NaN, text
between the messages, a line cut in two) is looked at line by line.
"""

import gc
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from math import isfinite
from typing import Any, Generic, TypeVar

import msgspec
import simplejson

from etl_assets.exceptions import ProtocolError
from etl_assets.protocol.messages import nested_too_deep

Message = TypeVar("Message")

# Any text of up to 15 digits is the shortest text of some double, if its exponent is small. The first part finds all
# that could be longer; what it finds in texts only costs a second look.
_LONG_NUMBER = re.compile(rb"\d[\d.]{15}|\d[eE]")

_SAYS_TYPE = re.compile(rb'"type"\s*:\s*"(RECORD|STATE|SCHEMA|TRACE|CONTROL|ACTIVATE_VERSION|BATCH)"')


def exact_number(text: str) -> float | Decimal:
    """Give a JSON number with a fraction or an exponent: as a float where that is exact, else as a decimal."""
    number = float(text)
    if repr(number) == text:
        return number
    decimal = Decimal(text)
    return number if isfinite(number) and Decimal(repr(number)) == decimal else decimal


exact_decoder = msgspec.json.Decoder(float_hook=exact_number)
"""Reads one JSON document exactly, but for NaN and other words that are no JSON: see `exact_json`."""


class LineDecoder(Generic[Message]):
    """Decodes chunks of lines into messages of one type.

    Args:
        kind: The `msgspec.Struct` of a message.
        other: Called with a line that the fast decoder refuses, and is a JSON object; gives a message, or raises.
        noise: Called with each line that is no message: text that a connector's libraries print.
    """

    def __init__(
        self, kind: type[Message], other: Callable[[bytes, Any], Message], noise: Callable[[bytes], None]
    ) -> None:
        self._plain = msgspec.json.Decoder(kind)
        self._exact = msgspec.json.Decoder(kind, float_hook=exact_number)
        self._other = other
        self._noise = noise

    def decode(self, chunk: bytes) -> Iterable[Message]:
        """Decode whole lines, the last one perhaps without its end; those before a wrong one are given first.

        Raises:
            ProtocolError: A line looks like a message and is none.
        """
        decoder = self._exact if _LONG_NUMBER.search(chunk) else self._plain
        try:
            with without_collection():
                return decoder.decode_lines(chunk)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self._line_by_line(chunk)

    def _line_by_line(self, chunk: bytes) -> Iterator[Message]:
        for line in chunk.split(b"\n"):
            text = line.strip(b" \t\r\x00")
            if not text:
                continue
            try:
                yield self._exact.decode(text)
                continue
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass
            if text.startswith(b"{"):
                yield self._other(text, exact_json(text))
            elif _SAYS_TYPE.search(text):
                raise ProtocolError("A message stands behind other text in one line.", line=text)
            else:
                self._noise(text)


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold Python's search for cycles off while many objects are made that have none: it would double the time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def count_lines(lines: bytes) -> int:
    """Count the ends of lines."""
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(lines, np.uint8) == ord("\n")))


def exact_json(text: bytes | str) -> Any:
    """Read one JSON document exactly: all numbers with a fraction as `exact_number` gives them, also NaN and Infinity.

    Raises:
        ProtocolError: It is no JSON, or is nested too deep.
    """
    try:
        string = text if isinstance(text, str) else text.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError("The line is not UTF-8.", line=text) from error
    if nested_too_deep(string):
        raise ProtocolError("The line is nested too deep.", line=string)
    try:
        return simplejson.loads(string, parse_float=exact_number, allow_nan=True)
    except simplejson.JSONDecodeError as error:
        raise ProtocolError(f"The line is not JSON ({error.msg}, at character {error.pos}).", line=string) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ProtocolError("The line has a number that is too long.", line=string) from error
