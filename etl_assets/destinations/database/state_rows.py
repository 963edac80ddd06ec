"""The rows of `_etl_assets_state`: how they are written and read, and what may be wrong with them.

Somebody else may have damaged a row. It is a row all the same: its key is known, so that it can be
listed, set anew or reset. Whoever would sync from it gets a `StateError`.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import simplejson

from etl_assets.exceptions import BookmarkError, StateError, shorten
from etl_assets.model.json.depth import nested_too_deep
from etl_assets.model.limits import MAX_STATE_BYTES
from etl_assets.model.stored import Bookmark, Column, StreamState, TableName

STATE_TABLE = "_etl_assets_state"
FORMAT = 2
"""The format of our tables. Those of a newer one are refused, those of an older one migrated.

In format 2, the ledger has a `commit_number`.
"""
STATE_COLUMNS = (
    "source",
    "namespace",
    "stream",
    "partition",
    "load_id",
    "run_id",
    "bookmark",
    "committed_at",
    "format",
    "table_schema",
    "table_name",
    "columns",
    "rows_in_table",
    "changed_by",
)
_NEVER = datetime.fromtimestamp(0, UTC)


def dump(bookmark: Bookmark | None, *, stream: str | None = None) -> str | None:
    """Return a bookmark as JSON that keeps every digit, or None for no bookmark.

    Args:
        bookmark: The bookmark.
        stream: The stream it belongs to; None for the whole source.

    Raises:
        BookmarkError: JSON has no such value (NaN, Infinity, a lone surrogate, an object), or the
            bookmark is too long.
    """
    if bookmark is None:
        return None
    try:
        text: str = simplejson.dumps(
            bookmark, use_decimal=True, ensure_ascii=False, allow_nan=False
        )
        size = len(text.encode())
    except (ValueError, TypeError, RecursionError) as error:
        wrong = [name for name, value in bookmark.items() if not _is_json({name: value})]
        told = f": {wrong[0]!r} = {shorten(bookmark[wrong[0]])}" if wrong else ""
        raise BookmarkError(
            f"{_whose(stream)}: the bookmark cannot be stored as JSON{told} "
            f"({type(error).__name__}: {error}).",
            hint="Give texts, whole and finite numbers, dates as texts, "
            "and lists and objects of these.",
            stream=stream,
        ) from error
    if size > MAX_STATE_BYTES:
        raise BookmarkError(
            f"{_whose(stream)}: the bookmark has {size:,} bytes, "
            f"and at most {MAX_STATE_BYTES:,} are stored. It begins {shorten(text)}.",
            hint="Let the source keep a position, not a list of what it has read.",
            stream=stream,
        )
    return text


def _is_json(value: Any) -> bool:
    try:
        simplejson.dumps(value, use_decimal=True, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):
        return False
    return True


def _whose(stream: str | None) -> str:
    return "the source" if stream is None else f"stream {stream!r}"


def parse(text: Any) -> Any:
    """Read a bookmark that was stored.

    Raises:
        StateError: It is not a JSON object. The error says why, but not whose bookmark it is.
    """
    if text is None:
        return None
    if not isinstance(text, str):
        raise StateError("it is not UTF-8 text")
    if nested_too_deep(text):
        raise StateError("it is nested too deep")
    try:
        found = simplejson.loads(text, use_decimal=True, allow_nan=False)
    except simplejson.JSONDecodeError as error:
        raise StateError(
            f"it is not JSON ({error.msg}, at character {error.pos}): {shorten(text)}"
        ) from error
    except (ValueError, ArithmeticError) as error:
        raise StateError(f"it has a number that cannot be read: {shorten(text)}") from error
    if not isinstance(found, dict):
        raise StateError(
            f"it is a {type(found).__name__}, where an object was stored: {shorten(text)}"
        )
    return found


def state_of(row: Sequence[Any]) -> StreamState:
    """Return a state row as it stands, with what is wrong with it.

    Raises:
        StateError: A newer version of this library has written it.
    """
    values = dict(zip(STATE_COLUMNS, row, strict=True))
    reading = _Reading(values)
    state = StreamState(
        source=reading.text("source"),
        namespace=reading.text("namespace", missing=""),
        stream=reading.text("stream", missing=""),
        partition=reading.text("partition", missing=""),
        load_id=reading.text("load_id"),
        run_id=reading.text("run_id", missing=""),
        bookmark=reading.bookmark(),
        committed_at=reading.instant("committed_at"),
        table=TableName(
            reading.text("table_name", missing=""), reading.text("table_schema", missing="")
        ),
        columns=reading.columns(),
        rows_in_table=reading.number("rows_in_table", missing=0),
        changed_by=reading.text("changed_by", missing=""),
    )
    number = reading.number("format")
    if number > FORMAT:
        raise StateError(
            f"The stored state of stream {state.stream!r} has format {number}; "
            f"this version knows {FORMAT}.",
            hint="Upgrade etl-assets.",
            stream=state.stream,
        )
    return replace(state, damage="; ".join(reading.wrong)) if reading.wrong else state


@dataclass
class _Reading:
    """The values of a row, each read by itself: a damaged one does not take others along."""

    values: Mapping[str, Any]
    wrong: list[str] = field(default_factory=list)

    def text(self, name: str, missing: str | None = None) -> str:
        value = self.values[name]
        if value is None and missing is not None:
            return missing
        if isinstance(value, str):
            return value
        self.wrong.append(f"{name} is {'NULL' if value is None else 'not UTF-8 text'}")
        return ""

    def number(self, name: str, missing: int | None = None) -> int:
        value = self.values[name]
        if value is None and missing is not None:
            return missing
        try:
            return int(value)
        except (TypeError, ValueError):
            self.wrong.append(
                f"{name} is {'NULL' if value is None else f'no number: {shorten(value)}'}"
            )
            return 0

    def instant(self, name: str) -> datetime:
        text = self.text(name)
        try:
            return datetime.fromisoformat(text).astimezone(UTC) if text else _NEVER
        except (ValueError, OverflowError):
            self.wrong.append(f"{name} is no date and time: {shorten(text)}")
            return _NEVER

    def bookmark(self) -> Bookmark | None:
        try:
            found: Bookmark | None = parse(self.values["bookmark"])
        except StateError as error:
            self.wrong.append(f"bookmark: {error}")
            return None
        return found

    def columns(self) -> list[Column]:
        text = self.text("columns", missing="[]") or "[]"
        try:
            return [Column(**column) for column in json.loads(text)]
        except (ValueError, TypeError, RecursionError) as error:
            self.wrong.append(f"columns: {type(error).__name__}: {shorten(text)}")
            return []


def lost_bookmark(state: StreamState) -> StreamState:
    """Return a state row whose bookmark is gone, with that said of it."""
    told = "bookmark: it is NULL, though the load that this row is of has left one"
    return replace(state, damage="; ".join(filter(None, (state.damage, told))))


def sound(state: StreamState) -> StreamState:
    """Return a state row that is not damaged.

    Raises:
        StateError: It is damaged. The error names the row and the commands that repair it.
    """
    if state.damage is None:
        return state
    label = label_of(state)
    what = f"stream {state.stream!r}" if state.stream else "the state of the whole source"
    raise StateError(
        f"source {state.source!r}, {what}: its row in the table {STATE_TABLE} is damaged: "
        f"{state.damage}.",
        hint=f"Load everything anew after `etl-assets state reset {label}`, or go on from a "
        f"bookmark that you know with `etl-assets state set {label} BOOKMARK`.",
        stream=state.stream or None,
    )


def label_of(state: StreamState) -> str:
    """Return what the commands call a state row."""
    name = f"{state.namespace}.{state.stream}" if state.namespace else state.stream
    partition = f" --partition {shlex.quote(state.partition)}" if state.partition else ""
    return f"{shlex.quote(f'{state.source}/{name}')}{partition}"
