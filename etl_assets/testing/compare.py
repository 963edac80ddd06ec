"""Whether what was read back is what was sent, and in which form: exact, text, JSON or base64."""

import base64
import binascii
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import simplejson

from etl_assets.model.values.scalars import to_text

EXACT, TEXT, JSON, BASE64 = "exact", "text", "json", "base64"

Row = Mapping[str, Any]


def same(found: Any, sent: Any) -> bool:
    """Return whether two values are the same: numbers exactly, instants by their moment."""
    if sent is None or found is None:
        return sent is None and found is None
    if isinstance(sent, bool) or isinstance(found, bool):
        return isinstance(sent, bool) and isinstance(found, bool) and sent == found
    if _is_number(sent) and _is_number(found):
        return _same_number(found, sent)
    if isinstance(sent, datetime) and isinstance(found, datetime):
        return (sent.tzinfo is None) == (found.tzinfo is None) and sent == found
    if isinstance(sent, datetime) != isinstance(found, datetime):
        return False
    if isinstance(sent, Mapping) and isinstance(found, Mapping):
        return set(sent) == set(found) and all(same(found[name], sent[name]) for name in sent)
    if isinstance(sent, list | tuple) and isinstance(found, list | tuple):
        return len(sent) == len(found) and all(map(same, found, sent))
    if isinstance(sent, bytes | bytearray | memoryview) and isinstance(
        found, bytes | bytearray | memoryview
    ):
        return bytes(sent) == bytes(found)
    return type(sent) is type(found) and bool(sent == found)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal)


def _same_number(found: Any, sent: Any) -> bool:
    if any(isinstance(one, float | Decimal) and not math.isfinite(one) for one in (found, sent)):
        return str(float(found)) == str(float(sent))
    if isinstance(found, float) and isinstance(sent, float):
        return found == sent and math.copysign(1, found) == math.copysign(1, sent)
    if isinstance(sent, float) and isinstance(found, Decimal):
        return found in {Decimal(repr(sent)), Decimal(sent)}
    return Decimal(found) == Decimal(sent)


def form_of(found: Any, sent: Any) -> str | None:
    """Return the form in which a value was stored, or None if what was found is not it."""
    if same(found, sent):
        return EXACT
    if found is None or sent is None or not isinstance(found, str):
        return None
    for form, recovers in _FORMS.items():
        if recovers(found, sent):
            return form
    return None


def _as_text(found: str, sent: Any) -> bool:
    if isinstance(sent, bytes | Mapping | list | tuple | str):
        return False
    if isinstance(sent, datetime):
        return _parsed(datetime.fromisoformat, found, sent)
    if isinstance(sent, date):
        return _parsed(date.fromisoformat, found, sent)
    if isinstance(sent, time):
        return _parsed(time.fromisoformat, found, sent)
    if _is_number(sent) and not isinstance(sent, bool):
        try:
            return _same_number(float(found) if isinstance(sent, float) else Decimal(found), sent)
        except (InvalidOperation, ValueError):
            return False
    return found == (to_text(sent) if isinstance(sent, bool | timedelta) else str(sent))


def _parsed(parse: Callable[[str], Any], found: str, sent: Any) -> bool:
    try:
        return same(parse(found), sent)
    except ValueError:
        return False


def _as_json(found: str, sent: Any) -> bool:
    if isinstance(sent, bytes):
        return False
    try:
        value = simplejson.loads(found, use_decimal=True)
    except (ValueError, RecursionError):
        return False
    return _json_same(value, sent)


def _json_same(found: Any, sent: Any) -> bool:
    if isinstance(sent, Mapping) and isinstance(found, Mapping):
        return set(sent) == set(found) and all(_json_same(found[name], sent[name]) for name in sent)
    if isinstance(sent, list | tuple) and isinstance(found, list):
        return len(sent) == len(found) and all(map(_json_same, found, sent))
    if isinstance(sent, datetime | date | time | UUID):
        return isinstance(found, str) and _as_text(found, sent)
    return same(found, sent)


def _as_base64(found: str, sent: Any) -> bool:
    try:
        return isinstance(sent, bytes) and base64.b64decode(found, validate=True) == sent
    except (binascii.Error, ValueError):
        return False


_FORMS: Mapping[str, Callable[[str, Any], bool]] = {
    TEXT: _as_text,
    JSON: _as_json,
    BASE64: _as_base64,
}


def form_of_field(found: Any, wanted: Any, sent: Any) -> str | None:
    """Return the form of a value that may be stored by its meaning (`wanted`) or as `sent`."""
    form = form_of(found, wanted)
    if form is None and sent is not None and form_of(found, sent) is not None:
        return TEXT  # as the source wrote it
    return form


def row_forms(found: Row, wanted: Row, sent: Row) -> dict[str, str | None]:
    """Return the form of each field; a field that the row lacked must be NULL or missing."""
    names = dict.fromkeys([*wanted, *found])
    return {
        name: form_of_field(found.get(name), wanted.get(name), sent.get(name)) for name in names
    }


def paired(found: Sequence[Row], wanted: Sequence[Row]) -> list[tuple[Row, int]]:
    """Return each found row with the position of its original, by `id` or else by its values.

    Raises:
        AssertionError: Rows are missing, or there are too many. The error says which.
    """
    if len(found) != len(wanted):
        raise AssertionError(
            f"{len(found)} rows were read back, not {len(wanted)}: {_shown(found)}"
        )
    left = list(range(len(wanted)))
    pairs = []
    for row in found:
        position = next((at for at in left if _is_for(row, wanted[at])), None)
        if position is None:
            raise AssertionError(
                f"a row that was not to be there: {_shown([row])}; left: {_shown(wanted)}"
            )
        left.remove(position)
        pairs.append((row, position))
    return pairs


def _is_for(found: Row, wanted: Row) -> bool:
    if "id" in wanted:
        return form_of(found.get("id"), wanted["id"]) is not None
    return all(form is not None for form in row_forms(found, wanted, wanted).values())


def _shown(rows: Sequence[Row]) -> str:
    try:
        text = repr(list(rows))
    except RecursionError:
        text = "<rows nested too deep to show>"
    return text if len(text) <= 400 else text[:399] + "…"
