"""What JSON cannot say, in the case files: an object with a single key that begins with `$`.

| Written | Means |
| --- | --- |
| `{"$int": "18446744073709551616"}` | an integer, by its digits |
| `{"$float": "nan"}`, `"inf"`, `"-inf"`, `"5e-324"` | a double, by Python's text of it |
| `{"$decimal": "1.10"}` | a `Decimal` with these digits |
| `{"$bytes": "00ff"}` | bytes, in hexadecimal |
| `{"$date": "2026-01-01"}`, `{"$time": "12:30:00"}` | Python's own, by their ISO 8601 |
| `{"$datetime": "2026-01-01T00:00:00+02:00"}` | the same, with an offset or without |
| `{"$uuid": "00000000-0000-0000-0000-000000000001"}` | a `UUID` |
| `{"$codepoints": ["61", "D800"]}` | text of these code points, unpaired surrogates too |
| `{"$repeat": ["x", 10485760]}` | text, so many times |
| `{"$nested": 20000}` | so many arrays in each other |
| `{"$wide": 2000}` | an object with so many fields, `c0` to `c1999`, each its number |
| `{"$all_bytes": true}` | all 256 bytes |
| `{"$object": {...}}` | an object as it is, for one whose key begins with `$` |
| `{"$missing": true}` | as a field of a row: the row has no such field |

Everything else is what JSON says; its integers keep every digit, its other numbers are doubles.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

MISSING = object()
"""Stands for a field that a row does not have."""


def _nested(depth: int) -> list[Any]:
    outer: list[Any] = []
    for _ in range(depth - 1):
        outer = [outer]
    return outer


_TAGS: Mapping[str, Callable[[Any], Any]] = {
    "$int": int,
    "$float": float,
    "$decimal": Decimal,
    "$bytes": bytes.fromhex,
    "$date": date.fromisoformat,
    "$time": time.fromisoformat,
    "$datetime": datetime.fromisoformat,
    "$uuid": UUID,
    "$codepoints": lambda codes: "".join(chr(int(code, 16)) for code in codes),
    "$repeat": lambda given: given[0] * given[1],
    "$nested": _nested,
    "$wide": lambda columns: {f"c{number}": number for number in range(columns)},
    "$all_bytes": lambda _: bytes(range(256)),
    "$object": lambda given: given,
    "$missing": lambda _: MISSING,
}


def decode(written: Any) -> Any:
    """Return the value that stands for something written in a case file.

    Raises:
        ValueError: There is no such tag.
    """
    if isinstance(written, list):
        return [decode(item) for item in written]
    if not isinstance(written, Mapping):
        return written
    if len(written) == 1:
        tag, given = next(iter(written.items()))
        if tag in _TAGS:
            return _TAGS[tag](given)
        if tag.startswith("$"):
            raise ValueError(f"there is no tag {tag!r}; there are {', '.join(_TAGS)}")
    return {name: decode(item) for name, item in written.items()}


def decode_row(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row; `{"$wide": n}` may stand for a whole one, and a missing field is left out."""
    row = decode(written)
    return {name: value for name, value in row.items() if value is not MISSING}
