"""How an error shows a value, and how it names what the reader may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from etl_assets import redaction
from etl_assets.redaction.redactor import BEYOND

SHOWN_CHARACTERS = 80
"""A value in an error is cut to this many characters (`contract/values.md`)."""

SHOWN_NAMES = 10


def shorten(value: object, limit: int = SHOWN_CHARACTERS) -> str:
    """Return the `repr` of a value in at most `limit` characters, masked before it is cut."""
    if isinstance(value, str | bytes):
        # A huge text is cut before its repr is made: the repr of 200 MB would need several times
        # that much memory. What is kept is long enough for any secret to be recognized.
        value = value[: limit + BEYOND + redaction.redactor().longest]
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print an integer of thousands of digits
        if isinstance(value, int):
            return f"<an integer of {value.bit_length()} bits>"
        return f"<a {type(value).__name__}>"
    except RecursionError:
        text = f"<a deeply nested {type(value).__name__}>"
    shown = redaction.redact(text, end=limit + 1)
    if len(shown) <= limit and len(text) <= limit:
        return shown
    return shown[: limit - 1] + "…"


def did_you_mean(name: str, known: Iterable[str], *, most: int = SHOWN_NAMES) -> str:
    """Return a sentence with the nearest known names.

    Where none is near, it lists the known names, at most `most` of them.
    """
    known = sorted(map(str, set(known)))
    near = get_close_matches(str(name), known, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(map(repr, near))}?"
    if not known:
        return "There are none."
    shown = [repr(one) for one in known[:most]]
    if len(known) > most:
        shown.append("…")
    return f"Known: {', '.join(shown)}."
