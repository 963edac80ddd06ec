"""How far a bookmark may go: up to `max_bookmark`.

Otherwise a single row in the far future would hide all that come later.
"""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import BookmarkError, shorten
from etl_assets.model.batch import json_value

if TYPE_CHECKING:
    from etl_assets.sources.sql.cursor import Cursor
    from etl_assets.sources.sql.query import Query

SKEW = timedelta(days=1)
"""How far a stored bookmark may lie beyond one that counts from now, as clocks differ."""


def capped(asked: "Query", upto: Any = None) -> Any:
    """Return the largest value of the first replication key that a bookmark may have.

    None where there is none.

    Args:
        asked: The read.
        upto: Another bound, as Python has it: the smaller one rules.
    """
    most = None if asked.cursor is None else _most(asked, asked.cursor)
    if most is None or upto is None:
        return upto if most is None else most
    return min(most, upto)


def refuse_beyond(asked: "Query") -> None:
    """Refuse a bookmark beyond the bound, which would hide rows.

    It was stored before there was a bound, or under another one.

    Raises:
        BookmarkError: It names both.
    """
    cursor = asked.cursor
    most = None if cursor is None else _most(asked, cursor)
    if most is None or cursor is None or cursor.bookmark is None:
        return
    if cursor.bookmark[0] > (
        most + SKEW if isinstance(asked.rules.max_bookmark, timedelta) else most
    ):
        raise BookmarkError(
            f"stream {asked.stream.name!r}: the stored bookmark {cursor.columns[0].name!r} = "
            f"{shorten(json_value(cursor.bookmark[0]))} lies beyond max_bookmark "
            f"({shorten(json_value(most))}), so rows before it may not have been read.",
            hint="Run once with full_refresh, or set the bookmark back with `etl-assets state "
            "set`.",
            stream=asked.stream.name,
        )


def _most(asked: "Query", cursor: "Cursor") -> Any:
    given = asked.rules.max_bookmark
    if given is None:
        return None
    column = cursor.columns[0]
    if not isinstance(given, timedelta):
        return asked.words.typed_for(column, given, "the source's `max_bookmark` of")
    if column.type.kind not in {"instant", "timestamp", "date"}:
        raise asked.words.error(
            f"max_bookmark={given!r} does not fit the replication key {column.name!r} "
            f"({column.declared}).",
            hint="Give a value of that column; a timedelta is for dates and times, and counts from "
            "now.",
        )
    now = datetime.now(UTC) + given
    if column.type.kind == "date":
        return now.date()
    zoned = column.type.kind == "instant"
    if asked.snapshot.dialect == "sqlite" and column.type.kind == "timestamp":
        from etl_assets.sources.sql.sqlite.times import values_have_zone

        zoned = bool(values_have_zone(asked.snapshot, column.expression))
    return now if zoned else now.replace(tzinfo=None)
