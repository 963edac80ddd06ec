"""JSON texts of plain values, written at speed; other values are for a slower encoder."""

from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

_MAYBE_INFINITE = frozenset({float, Decimal})
_CONTAINERS = frozenset({dict, list})
_PLAIN = frozenset({str, int, bool, type(None)}) | _MAYBE_INFINITE | _CONTAINERS
_DEPTH = 50
_encoder = msgspec.json.Encoder(decimal_format="number")


def plain_json(container: dict[str, Any] | list[Any]) -> str | None:
    """Return the compact JSON text of a dict or list of JSON's own types, or None.

    Every digit is kept. It is None where something else is in it, or what JSON cannot hold (NaN, an
    unpaired surrogate), or an integer of more than 64 bits, or it is deeply nested.
    """
    try:
        return _encoder.encode(container).decode() if _is_plain(container, 1) else None
    except (ValueError, OverflowError):
        return None


def _is_plain(container: Any, depth: int) -> bool:
    values = container.values() if type(container) is dict else container
    kinds = set(map(type, values))
    if not kinds <= _PLAIN or depth > _DEPTH:
        return False
    if type(container) is dict and not set(map(type, container)) <= {str}:
        return False
    if not kinds.isdisjoint(_MAYBE_INFINITE):
        numbers = (value for value in values if type(value) in _MAYBE_INFINITE)
        if not all(map(isfinite, numbers)):
            return False
    if kinds.isdisjoint(_CONTAINERS):
        return True
    return all(_is_plain(value, depth + 1) for value in values if type(value) in _CONTAINERS)
