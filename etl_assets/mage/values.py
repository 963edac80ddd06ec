"""Single values, under the names connectors written for Mage import."""

import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any


def encode_complex(obj: Any) -> Any:
    """Return the JSON value of a date, time, time span or UUID, and any other value as it is."""
    if callable(getattr(obj, "isoformat", None)):
        return obj.isoformat()
    return str(obj) if isinstance(obj, timedelta | uuid.UUID) else obj


def is_number(s: Any) -> bool:
    """Return whether a text is a number."""
    try:
        float(s)
    except ValueError:
        return False
    return True


def get_abs_path(path: str) -> str:
    """Return a path from the root on."""
    return str(Path(path).absolute())


def date_intervals(
    start_date: datetime, end_date: datetime, timedelta: timedelta
) -> list[tuple[datetime, datetime]]:
    """Split a span of time into spans of at most `timedelta`.

    Each of them but the last ends a second before the next one begins. If only one of the two
    dates has a time zone, it applies to both.
    """
    zone = start_date.tzinfo or end_date.tzinfo
    first = start_date.replace(tzinfo=start_date.tzinfo or zone)
    end = end_date.replace(tzinfo=end_date.tzinfo or zone)
    spans = []
    while first + timedelta < end:
        spans.append((first, first + timedelta - _SECOND))
        first += timedelta
    return [*spans, (first, end)]


_SECOND = timedelta(seconds=1)
