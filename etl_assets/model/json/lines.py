"""Lines of JSON decoded many at a time, without losing a digit.

A chunk of lines is one call of the decoder. A number with a fraction or an exponent becomes a
`float` where that is the very number (its shortest text is the same number), else a `Decimal`;
integers are `int` of any size. A look at the chunk tells whether any number is long enough to need
the question at all. What the fast decoder refuses (NaN, text between the messages, a line cut in
two) is looked at line by line.
"""

import gc
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import chain, compress
from math import isfinite
from typing import Any, Generic, TypeVar

import msgspec
import simplejson

from etl_assets.exceptions import DataError, ProtocolError
from etl_assets.model.json.depth import nested_too_deep
from etl_assets.model.json.repeated_keys import (
    at_most_keys,
    count_keys,
    is_spelled_otherwise,
    key_ends,
    proves_each_once,
    refuse_repeats_in_messages,
)
from etl_assets.model.values.numbers import decimal_of, unreadable_number

Message = TypeVar("Message")

# Any text of up to 15 digits is the shortest text of some double, if its exponent is small. The
# first part finds all that could be longer; what it finds in texts only costs a second look.
_LONG_NUMBER = re.compile(rb"\d[\d.]{15}|\d[eE]")

_SAYS_TYPE = re.compile(
    rb'"type"\s*:\s*"(RECORD|STATE|SCHEMA|TRACE|CONTROL|ACTIVATE_VERSION|BATCH)"'
)

STREAM_WITHIN = 10_000
_SAYS_STREAM = re.compile(
    rb'[^{}]*\{[^{}]*?(?:"(?:record|state|trace|stream_status|error)"\s*:\s*\{[^{}]*?)*'
    rb'(?:"stream"\s*:\s*\{\s*)?"(?:stream"\s*:\s*|stream_descriptor"\s*:\s*\{\s*"name"\s*:\s*)("(?:[^"\\]|\\.)*")'
)
"""Where a message says its stream, unless something nested comes before that could say another."""


def exact_number(text: str) -> float | Decimal:
    """Return a JSON number with a fraction or an exponent.

    It is a float where that is exact, else a decimal.

    Raises:
        ValueError: It is too long, or its exponent is beyond what `Decimal` holds.
    """
    number = float(text)
    if repr(number) == text:
        return number
    decimal = decimal_of(text)
    is_exact = isfinite(number) and Decimal(repr(number)) == decimal
    return number if is_exact else decimal


exact_decoder = msgspec.json.Decoder(float_hook=exact_number)
"""Reads one JSON document exactly; unlike `exact_json`, it refuses NaN and other such words."""


plain_decoder = msgspec.json.Decoder()
"""Reads one JSON document; its numbers with a fraction are exact where none of them is long."""


def decoded_exactly(document: bytes) -> Any:
    """Return what `exact_decoder` reads; quicker, where no number is long.

    Raises:
        msgspec.MsgspecError: It is no JSON.
    """
    decoder = exact_decoder if _LONG_NUMBER.search(document) else plain_decoder
    return decoder.decode(document)


class LineDecoder(Generic[Message]):
    """Decodes chunks of lines into messages of one type.

    Args:
        kind: The `msgspec.Struct` of a message.
        other: Called with a line that the fast decoder refuses, and is a JSON object; gives a
            message, or raises.
        noise: Called with each line that is no message: text that a connector's libraries print.
        records: Gives the records of messages, None for a message without one.
        around: Counts the keys that messages have around their records.
        path: Where in a message its record is.
    """

    def __init__(
        self,
        kind: type[Message],
        other: Callable[[bytes, Any], Message],
        noise: Callable[[bytes], None],
        *,
        records: Callable[[Iterable[Message]], list[dict[str, Any] | None]],
        around: Callable[[Sequence[Message]], int],
        path: Sequence[str],
    ) -> None:
        self._plain = msgspec.json.Decoder(kind)
        self._exact = msgspec.json.Decoder(kind, float_hook=exact_number)
        self._other = other
        self._noise = noise
        self._records = records
        self._around = around
        self._path = path

    def decode(self, chunk: bytes) -> Iterable[Message]:
        """Decode whole lines, the last one perhaps without its end.

        Those before a wrong one are given first.

        Raises:
            ProtocolError: A line looks like a message and is none.
            DataError: A record has a key twice.
        """
        decoder = self._exact if _LONG_NUMBER.search(chunk) else self._plain
        try:
            with without_collection():
                messages = decoder.decode_lines(chunk)
                self._refuse_repeats(chunk, messages)
        except (msgspec.MsgspecError, ValueError, RecursionError, DataError, ProtocolError):
            return self._line_by_line(chunk)
        return messages

    def _line_by_line(self, chunk: bytes) -> Iterator[Message]:
        for line in chunk.split(b"\n"):
            text = line.strip(b" \t\r\x00")
            if not text:
                continue
            try:
                message = self._exact.decode(text)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                pass
            else:
                record = self._records([message])[0]
                if record is not None:
                    self._refuse_repeats_in_line(text, self._around([message]) + count_keys(record))
                yield message
                continue
            if text.startswith(b"{"):
                document = _document(text)
                self._refuse_repeats_in_line(text, count_keys(document))
                yield self._other(text, document)
            elif _SAYS_TYPE.search(text):
                raise ProtocolError(
                    "A message stands behind other text in one line.",
                    line=text,
                    stream=stream_in(text),
                )
            else:
                self._noise(text)

    def _refuse_repeats(self, chunk: bytes, messages: Sequence[Message]) -> None:
        """Refuse records that have a key twice, as a dict keeps only the last (`repeated_keys`)."""
        found = self._records(messages)
        records = [record for record in found if record is not None]
        if not records:
            return
        if len(records) < len(messages):
            lines = [line for line in chunk.split(b"\n") if line.strip()]
            if len(lines) != len(messages):
                refuse_repeats_in_messages(chunk, self._path)
                return
            has_record = [record is not None for record in found]
            chunk = b"\n".join(compress(lines, has_record))
            messages = list(compress(messages, has_record))
        if not has_each_key_once(chunk, self._around(messages), records):
            refuse_repeats_in_messages(chunk, self._path)

    def _refuse_repeats_in_line(self, line: bytes, keys: int) -> None:
        if not proves_each_once(line.decode(), keys):
            refuse_repeats_in_messages(line, self._path)


def stream_in(line: bytes) -> str | None:
    """Return the name of the stream that a broken line is of, where its text tells one."""
    found = _SAYS_STREAM.match(line[:STREAM_WITHIN])
    try:
        return None if found is None else str(json.loads(found[1]))
    except ValueError:
        return None


def _document(line: bytes) -> Any:
    try:
        return exact_json(line)
    except ProtocolError as error:
        error.stream = stream_in(line)
        raise


def has_each_key_once(lines: bytes, around: int, records: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether it is proved that no record has a key twice.

    Args:
        lines: The JSON texts of the records, and what is around them.
        around: How many keys there are around them.
        records: What was decoded.
    """
    flat = around + sum(map(len, records))
    most = at_most_keys(lines)
    if most == flat:
        return True
    values = chain.from_iterable(record.values() for record in records)
    nested = [value for value in values if type(value) is dict or type(value) is list]
    try:
        told = msgspec.json.encode(nested)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        return False
    spelled_otherwise = is_spelled_otherwise(lines)
    if not spelled_otherwise and nested and most == flat + at_most_keys(told):
        return True
    ends = key_ends(lines)
    if not nested:
        return ends == flat
    return not spelled_otherwise and ends == flat + key_ends(told)


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold Python's search for cycles off while many objects without any are made.

    It would double the time.
    """
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
    """Read one JSON document exactly, NaN and Infinity included.

    Numbers with a fraction are as `exact_number` gives them.

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
        said = error.msg.replace(" %r at", "")  # simplejson's own blank for the character
        raise ProtocolError(
            f"The line is not JSON ({said}, at character {error.pos}).", line=string
        ) from error
    except RecursionError as error:
        raise ProtocolError("The line is nested too deep.", line=string) from error
    except (ValueError, ArithmeticError) as error:
        told = unreadable_number(string) or str(error)
        raise ProtocolError(
            f"The line has a number that is too long: {told}.", line=string
        ) from error
