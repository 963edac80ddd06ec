"""A table that is split by the first column of its primary key.

Here are the boundaries, and the rows between two of them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError, shorten
from etl_assets.model.batch import json_value
from etl_assets.model.stream import Stream
from etl_assets.sources.sql.cursor import Comparable, comparable, typed
from etl_assets.sources.sql.reflection import SqlTable

if TYPE_CHECKING:
    from etl_assets.sources.sql.connection import Snapshot

FROM, BEFORE = "from", "before"

_KINDS = {"integer", "decimal", "date", "timestamp", "instant", "text", "uuid"}
_SQLITE_KINDS = {"integer", "text"}
"""SQLite keeps dates and times as texts of whatever form; such a column has no one order."""


def split(
    snapshot: "Snapshot", table: SqlTable, stream: Stream, where: Sequence[Any], parts: int
) -> list[dict[str, Any]]:
    """Return the ranges: integers in equal spans, which needs no look at the rows.

    Others in equal numbers of rows.

    The first range begins at the very beginning, the last one has no end, so that no new row falls
    beside them.

    Args:
        snapshot: The open connection.
        table: The stream's table.
        stream: Has a primary key.
        where: Which rows are going to be read.
        parts: How many ranges at most; fewer where there are fewer keys.

    Raises:
        ConfigError: The key has no order in this database.
    """
    key = _key(snapshot, table, stream)
    shown = key.column.type.expression(key.column.expression, snapshot.dialect)
    found = None
    if key.column.type.kind == "integer":
        found = _spans(snapshot, table, shown, where, parts)
    if found is None:
        found = _equal_counts(snapshot, table, key, shown, where, parts)
    bounds = [None, *dict.fromkeys(json_value(value) for value in found), None]
    pairs = ({FROM: start, BEFORE: end} for start, end in pairwise(bounds))
    return [{word: value for word, value in pair.items() if value is not None} for pair in pairs]


def within(snapshot: "Snapshot", table: SqlTable, stream: Stream, given: Any) -> list[Any]:
    """Return the conditions that a row lies in a range.

    Raises:
        ConfigError: It is no range of this stream's key.
    """
    sa = snapshot.core
    if not isinstance(given, Mapping) or not given.keys() <= {FROM, BEFORE}:
        raise _no_range(stream, given)
    key = _key(snapshot, table, stream)
    try:
        bounds = {
            word: key.bind(typed(value, key.column.type.kind)) for word, value in given.items()
        }
    except ValueError as error:
        raise _no_range(stream, given) from error
    conditions = []
    if FROM in bounds:
        conditions.append(key.expression >= bounds[FROM])
    if BEFORE in bounds:
        before = key.expression < bounds[BEFORE]
        # A row without a key compares with nothing; it is in the first range.
        lost = key.column.nullable and FROM not in bounds
        conditions.append(sa.or_(before, key.column.expression.is_(None)) if lost else before)
    return conditions


def _no_range(stream: Stream, given: Any) -> ConfigError:
    message = f"stream {stream.name!r}: {shorten(given)} is no range of its primary key."
    return ConfigError(message, stream=stream.name)


def _key(snapshot: "Snapshot", table: SqlTable, stream: Stream) -> Comparable:
    if not stream.primary_key:
        raise ConfigError(
            f"stream {stream.name!r}: a split needs a primary key.",
            hint="Declare primary_key.",
            stream=stream.name,
        )
    column = table.column(stream.primary_key[0], stream=stream.name, role="primary key")
    if column.type.kind not in (_SQLITE_KINDS if snapshot.dialect == "sqlite" else _KINDS):
        raise ConfigError(
            f"stream {stream.name!r}: its primary key {column.name!r} ({column.declared}) cannot "
            "be split into ranges.",
            hint="A key that begins with an integer can; else leave `split` out.",
            stream=stream.name,
        )
    return comparable(snapshot, column, stream=stream.name)


def _spans(
    snapshot: "Snapshot", table: SqlTable, shown: Any, where: Sequence[Any], parts: int
) -> list[int] | None:
    """Return equal spans between the smallest and the largest integer.

    None where one of them is none (in SQLite).
    """
    sa = snapshot.core
    smallest, largest = snapshot.connection.execute(
        sa.select(sa.func.min(shown), sa.func.max(shown)).select_from(table.clause).where(*where)
    ).one()
    if smallest is None:
        return []
    try:
        low, high = int(typed(smallest, "integer")), int(typed(largest, "integer"))
    except ValueError:
        return None
    return [
        bound
        for bound in (low + (high - low + 1) * i // parts for i in range(1, parts))
        if bound > low
    ]


def _equal_counts(
    snapshot: "Snapshot",
    table: SqlTable,
    key: Comparable,
    shown: Any,
    where: Sequence[Any],
    parts: int,
) -> list[Any]:
    sa = snapshot.core
    conditions = [*where, key.column.expression.is_not(None)]
    counted = sa.select(sa.func.count(key.column.expression)).select_from(table.clause)
    counted = counted.where(*conditions)
    rows = int(snapshot.connection.execute(counted).scalar_one())
    keys = sa.select(shown.label("k0")).select_from(table.clause)
    keys = keys.where(*conditions).order_by(key.expression).limit(1)
    places = sorted({rows * i // parts for i in range(1, parts)} - {0})
    bounds = []
    for at in places:
        with suppress(
            ValueError
        ):  # a value that Python has none of, as `infinity`: there is a range less
            bounds.append(
                typed(
                    snapshot.connection.execute(keys.offset(at)).scalar_one(), key.column.type.kind
                )
            )
    return bounds
