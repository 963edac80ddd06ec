"""Single values, under the names connectors written for Mage import."""

import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any


def encode_complex(obj: Any) -> Any:
    """Return the JSON value of a date, a time, a span of time or a UUID, and of anything else itself."""
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
    """Return the spans of at most `timedelta` that make up a span of time.

    Each but the last ends a second early.

    Where one of the two has a time zone, it is that of both.
    """
    zone = start_date.tzinfo or end_date.tzinfo
    first, end = (
        moment if moment.tzinfo else moment.replace(tzinfo=zone)
        for moment in (start_date, end_date)
    )
    spans = []
    while first + timedelta < end:
        spans.append((first, first + timedelta - _SECOND))
        first += timedelta
    return [*spans, (first, end)]


_SECOND = timedelta(seconds=1)
