"""Numbers as text: what a few characters may cost is bounded, and what is beyond that is named.

An exponent of nine digits is a dozen characters, and stands for a billion zeros. As a `Decimal` it
costs nothing, and JSON writes it as it came; but whoever writes its zeros out, or makes an integer
of it, runs out of memory.
"""

import sys
from decimal import Decimal, DecimalException
from typing import Any

import simplejson

from etl_assets.exceptions import shorten
from etl_assets.model.limits import MAX_NUMBER_CHARACTERS, MAX_ZEROS

SHOWN_CHARACTERS = 30
"""The digits of what is too long tell little."""


class TooLongError(ValueError):
    """A number would take too many characters to be written.

    Args:
        reason: Why.
        hint: What the reader can do.
    """

    def __init__(self, reason: str, *, hint: str) -> None:
        super().__init__(reason)
        self.hint = hint


def is_far(value: Decimal) -> bool:
    """Return whether a number's exponent stands for more zeros than are written out.

    It costs the same for any number.
    """
    size = value.adjusted()
    if -MAX_ZEROS <= size <= MAX_ZEROS or not value.is_finite():
        return False
    exponent = value.as_tuple().exponent
    # A number that is written with so many digits is large as well, but has no zeros to add.
    return isinstance(exponent, int) and (exponent > MAX_ZEROS or size < -MAX_ZEROS)


def plain_text(value: Decimal) -> str:
    """Return a number's text, without an exponent.

    Raises:
        TooLongError: The exponent stands for more than `MAX_ZEROS` zeros.
    """
    if not value.is_finite():
        return str(value)
    if is_far(value):
        raise TooLongError(
            f"its exponent stands for more than {MAX_ZEROS:,} zeros, which are not written out",
            hint="Correct it in the source; a field that is declared as JSON (`{}`) keeps it as it "
            "is written.",
        )
    return f"{value:f}"


def integer_text(value: int) -> str:
    """Return an integer's text.

    Raises:
        TooLongError: It has more digits than Python writes.
    """
    try:
        return str(value)
    except ValueError:
        limit = f"{sys.get_int_max_str_digits():,}"
        raise TooLongError(f"it has more than {limit} digits", hint="Send it as a text.") from None


def decimal_of(text: str) -> Decimal:
    """Read a number exactly.

    Raises:
        ValueError: It is no number, too long, or its exponent is beyond what `Decimal` holds.
    """
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise ValueError(f"a number of more than {MAX_NUMBER_CHARACTERS:,} characters")
    try:
        return Decimal(text)
    except DecimalException:
        raise ValueError("a number whose exponent is out of bounds") from None


class _Odd:
    """A number of a document that cannot be read."""

    def __init__(self, text: str, reason: str) -> None:
        self.text = text
        self.reason = reason


def unreadable_number(document: str) -> str | None:
    """Return which number of a JSON text cannot be read, and why; None if all can.

    Returns:
        Such as
            `field 'record.n': an integer of 5,000 digits, at most 4,300 digits. Value: '99999…'`.
    """
    decoder = simplejson.JSONDecoder(parse_float=_float, parse_int=_int, parse_constant=str)
    try:
        waiting: list[tuple[Any, tuple[str, ...]]] = [(decoder.decode(document), ())]
    except (ValueError, RecursionError):
        return None  # it is no JSON
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, _Odd):
            field = f"field {'.'.join(path)!r}: " if path else ""
            return f"{field}{value.reason}. Value: {shorten(value.text, SHOWN_CHARACTERS)}"
        if isinstance(value, dict):
            waiting += [(one, (*path, name)) for name, one in value.items()]
        elif isinstance(value, list):
            waiting += [(one, (*path, str(place))) for place, one in enumerate(value)]
    return None


def _float(text: str) -> _Odd | None:
    try:
        decimal_of(text)
    except ValueError as error:
        return _Odd(text, str(error))
    return None


def _int(text: str) -> _Odd | None:
    digits, limit = len(text.removeprefix("-")), sys.get_int_max_str_digits()
    if not limit or digits <= limit:
        return None
    return _Odd(text, f"an integer of {digits:,} digits, at most {limit:,} digits")
