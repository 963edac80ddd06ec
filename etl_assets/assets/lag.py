"""How far a table is behind: the age of the newest replication key that is loaded."""

import re
from datetime import UTC, date, datetime
from typing import Any

from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.model.values.scalars import FinerError, to_instant

_DATE_ALONE = re.compile(r"\s*[\d-]*\s*")
_BEYOND_MICROSECONDS = re.compile(r"(\.\d{6})\d+")


def lag_seconds(
    bookmark: Bookmark | None, stream: Stream, now: datetime | None = None
) -> float | None:
    """Return the seconds from a bookmark's moment to now; None where it has no moment.

    A moment without an offset is read as UTC. It is negative where the key lies in the future. A
    date says no moment, and a number is never guessed to be one.

    Args:
        bookmark: After the sync.
        stream: The stream, whose first replication key is looked at.
        now: By default the present.
    """
    if not bookmark or not stream.cursor:
        return None
    moment = _moment(bookmark.get(stream.cursor[0]))
    if moment is None:
        return None
    return round(((now or datetime.now(UTC)) - moment).total_seconds(), 3)


def _moment(value: Any) -> datetime | None:
    """Return the moment that a replication key names, or None."""
    if isinstance(value, str):
        if _DATE_ALONE.fullmatch(value):
            return None
        value = _BEYOND_MICROSECONDS.sub(r"\1", value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        return None
    try:
        moment = to_instant(value)
    except (FinerError, ValueError, OverflowError):
        return None
    return moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)
