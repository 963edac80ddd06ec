"""Rows as one short hash per field, by which they are told apart when they come again."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import blake2b
from typing import Any, NamedTuple

from etl_assets.model.batch import json_value
from etl_assets.model.values.numbers import is_far, plain_text
from etl_assets.model.values.scalars import to_json

Row = Mapping[str, Any]

NULL = "-" * 8
"""The cell of a NULL; the alphabet of the others has no `-`."""
CELL_BYTES = 6
"""Eight characters of base64. A row is the same only if every one of its cells is."""
ROW_BYTES = 12
PLAIN_DIGITS = 40


class Seen(NamedTuple):
    """Rows that have come: the cells of each, and the kind of the values of each field."""

    cells: list[dict[str, str]]
    kinds: dict[str, str | None]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Seen":
        """Hash rows, field by field."""
        kinds: dict[str, str | None] = {}
        cells: list[dict[str, str]] = []
        for row in rows:
            cells.append({})
            for name, value in row.items():
                kind, cell = _cell(value)
                kinds[name] = joined(kinds.get(name), kind)
                cells[-1][name] = cell
        return cls(cells, kinds)


def row_hash(row: Row) -> str:
    """Return a short hash of a row's values.

    A NULL field counts as absent, so that a new column is no change.
    """
    present = {name: _hashable(value) for name, value in sorted(row.items()) if value is not None}
    return blake2b(_json(present).encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()


def _json(value: Any) -> str:
    try:
        return to_json(value)
    except ValueError:  # there is a NaN or Infinity inside of it
        return repr(value)


def _hashable(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite() and not is_far(value):
        text = plain_text(value)
        if "." in text:
            # How many zeros end it depends on the other rows of a batch.
            text = text.rstrip("0").rstrip(".")
        return Decimal(text)
    return repr(value) if isinstance(value, float) else json_value(value)  # JSON has no NaN


def joined(one: str | None, other: str | None) -> str | None:
    """Return the kind of values some of which are of one kind and some of another.

    The kind of NULLs alone is None.
    """
    if one is None or other is None:
        return one or other
    return one if one == other else "mixed"


def alike(before: str | None, now: str | None) -> bool:
    """Return whether values of these kinds can be compared; NULL can be compared with anything."""
    if before is None or now is None:
        return True
    return before == now or "mixed" in {before, now}


def content_of(cells: Mapping[str, str]) -> str:
    """Return one hash of all that a row has."""
    present = {name: cells[name] for name in sorted(cells) if cells[name] != NULL}
    return hash_of(to_json(present), ROW_BYTES)


def _cell(value: Any) -> tuple[str | None, str]:
    """Return the kind of a value and its hash.

    Equal numbers have equal hashes, and a number's plain text has the same one.
    """
    if value is None:
        return None, NULL
    kind, text = _canonical(value)
    return kind, hash_of(text, CELL_BYTES)


def _canonical(value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return "boolean", "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return "number", _number(value)
    if isinstance(value, str):
        return "text", value
    if isinstance(value, bytes | bytearray | memoryview):
        return "binary", value.hex()
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            return "timestamp", value.isoformat()
        return "instant", _instant(value)
    if isinstance(value, date):
        return "date", value.isoformat()
    if isinstance(value, time):
        return "time", value.isoformat()
    if isinstance(value, Mapping | list | tuple):
        return "json", _json(_in_order(_hashable(value)))
    return type(value).__name__, str(value)


def _instant(value: datetime) -> str:
    try:
        return value.astimezone(UTC).isoformat()
    except OverflowError:  # in UTC it is in a year that Python has not
        return value.isoformat()


def _in_order(value: Any) -> Any:
    """Return a JSON value with the keys of its objects in order: theirs says nothing."""
    if isinstance(value, Mapping):
        return {key: _in_order(value[key]) for key in sorted(value, key=str)}
    return [_in_order(one) for one in value] if isinstance(value, list) else value


def _number(value: float | Decimal) -> str:
    """Return the shortest text of a number.

    How many zeros end a decimal depends on the other rows of its batch, so they must not count.
    """
    number = Decimal(float.__repr__(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        return str(number)
    sign, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - of a finite number
    whole = "".join(map(str, digits)).lstrip("0")
    kept = whole.rstrip("0")
    minus = "-" if sign else ""
    if not kept:
        return f"{minus}0"
    exponent += len(whole) - len(kept)
    if 0 <= exponent <= PLAIN_DIGITS:
        return f"{minus}{kept}{'0' * exponent}"
    if -PLAIN_DIGITS <= exponent < 0:
        padded = kept.rjust(-exponent + 1, "0")
        return f"{minus}{padded[:exponent]}.{padded[exponent:]}"
    return f"{minus}{kept}e{exponent}"


def hash_of(text: str, size: int) -> str:
    """Return a hash of `size` bytes as base64, which has 4 characters for 3 bytes."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()
    return base64.b64encode(digest).decode()
