"""Up to which replication key PostgreSQL is sure that no row can still come.

One may come from a transaction that is not over yet.

A row whose key is `now()` has the time at which its transaction began, and is seen when that
transaction commits. A read in between would put the bookmark above the row, and no later read would
give it. So before the snapshot of a read is taken, the server is asked which transactions are open,
and the bookmark stays at or before the beginning of the oldest one. Only those count that have
written something, however old they are, and those that may be about to: that began less than
`YOUNG_SECONDS` ago. An older one without a write is taken for a query, which would hold the
bookmark for nothing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_assets.sources.sql.cursor import Cursor

if TYPE_CHECKING:
    from etl_assets.sources.sql.connection import Snapshot
    from etl_assets.sources.sql.query import Query

YOUNG_SECONDS = 60
"""A transaction's first write comes sooner than this after its beginning.

So does the beginning of one that is hidden
from the role, or prepared, before it was seen."""

LONG_SECONDS = 300
"""A bookmark that waits for so long is worth a word."""

TIMES = {"timestamp", "instant", "date"}

_BOUND = f"""
WITH asked AS (SELECT statement_timestamp() AS at, interval '{YOUNG_SECONDS} s' AS young),
others AS (
    SELECT a.xact_start, a.backend_xid IS NOT NULL AS writes,
        a.query = '<insufficient privilege>' OR a.state = 'disabled' AS hidden
    FROM pg_catalog.pg_stat_activity a
    WHERE a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid()
    AND a.backend_type IS DISTINCT FROM 'autovacuum worker'),
told AS (
    SELECT asked.at, (SELECT bool_or(hidden) FROM others) AS hidden, LEAST(
        asked.at - interval '0.1 s',
        (SELECT min(xact_start) FROM others WHERE writes OR xact_start > asked.at - asked.young),
        (SELECT asked.at - asked.young FROM others WHERE hidden LIMIT 1),
        (SELECT min(prepared) - asked.young FROM pg_catalog.pg_prepared_xacts
            WHERE database = pg_catalog.current_database())) AS bound
    FROM asked)
SELECT bound, bound AT TIME ZONE z.zone AS local_bound, at + interval '{YOUNG_SECONDS} s' AS beyond,
    (at + interval '{YOUNG_SECONDS} s') AT TIME ZONE z.zone AS local_beyond,
    at - bound > interval '{LONG_SECONDS} s' AS long, hidden
FROM told, (SELECT pg_catalog.current_setting('TimeZone') AS zone) z
WHERE NOT pg_catalog.pg_is_in_recovery()"""


@dataclass(frozen=True)
class Bound:
    """What is known of rows that may still come.

    Args:
        upto: A value of the first replication key, as Python has it: rows at or below it are all
            there. None where nothing tells.
        problem: Why not every late row is waited for; "" where each one is.
        waits_for_long: A transaction that has written is open for more than `LONG_SECONDS`.
    """

    upto: Any = None
    problem: str = ""
    waits_for_long: bool = False


def bound_of(asked: "Query") -> Bound:
    """Return up to where the rows that are read now are all there.

    Nothing is asked where `lag` says enough.
    """
    if asked.cursor is None or asked.rules.lag is not None:
        return Bound()
    return bound_before(asked.snapshot, asked.cursor)


def remark_of(asked: "Query", bound: Bound) -> str | None:
    """Return what is to be said of late rows.

    What cannot be told is said at the first read only, who is waited for at each.
    """
    if asked.cursor is None:
        return None
    is_first_read = asked.cursor.bookmark is None
    if bound.problem and is_first_read and asked.rules.lookback is None:
        return (
            f"rows that are committed late may be missed, with a {asked.stream.cursor[0]!r} below "
            f"those that were read before: {bound.problem}. Set `lag` (or, with a primary key, "
            "`lookback`) to more than a transaction takes; lag=0 says that none comes late"
        )
    if bound.waits_for_long:
        return (
            f"a transaction is open since {bound.upto}, so the bookmark does not pass that: each "
            "run reads what comes after it again, or, where rows are appended, leaves it to a "
            "later one. It has written, or was prepared; pg_stat_activity and pg_prepared_xacts "
            "tell whose it is, should it be forgotten"
        )
    return None


def bound_before(snapshot: "Snapshot", cursor: Cursor) -> Bound:
    """Ask for the bound, then begin the snapshot anew.

    Each transaction that was over when the bound was asked for is in it.

    Args:
        snapshot: Nothing that was read in it before counts any more.
        cursor: The stream's replication key.
    """
    column = cursor.columns[0]
    if snapshot.is_mysql:
        return Bound(problem="this database does not tell which transactions are open")
    if snapshot.dialect != "postgresql":
        return Bound()
    if column.type.kind not in TIMES:
        return Bound(problem=f"{column.name!r} is no time at which a transaction began")
    row = snapshot.begin_after(_BOUND)
    if row is None:
        return Bound(problem="a standby does not tell which transactions are open on its primary")
    aware = column.type.kind == "instant"
    bound, local_bound, beyond_, local_beyond, is_long, is_hidden = row
    upto, beyond = (bound, beyond_) if aware else (local_bound, local_beyond)
    if column.type.kind == "date":
        upto, beyond = upto.date(), beyond.date()
    key = cursor.keys[0]
    if cursor.any_row(key.expression > key.bind(beyond)):
        return Bound(
            problem=f"{column.name!r} has values in the future, so it is not set by the server's "
            "clock"
        )
    hidden = (
        "the role may not see other sessions' transactions, of which only the first "
        f"{YOUNG_SECONDS} s are waited for"
    )
    return Bound(upto, hidden if is_hidden else "", bool(is_long))
