"""The line of a run's log that says what became of a stream."""

import dagster as dg

from etl_assets.assets.observer import shortened
from etl_assets.assets.partition_runs import shortened_names
from etl_assets.model.load import SyncResult
from etl_assets.progress_text import counted, duration_text
from etl_assets.redaction import redact
from etl_assets.strategies import WriteStrategy

_DONE = {
    WriteStrategy.APPEND: "appended",
    WriteStrategy.MERGE: "merged",
    WriteStrategy.REPLACE: "replaced the table with",
}


def closing_line(stream: str, result: SyncResult) -> str:
    """Return a line such as `orders: merged 2 rows in 2.1 s, bookmark 5 -> 7, 20 rows in table`.

    It shows bookmarks without what tells their boundary rows apart, and nothing that is secret.

    Args:
        stream: Its name, as in the other lines of the log.
        result: What was done.
    """
    how, loaded = _DONE[result.strategy], list(result.partition_rows)
    if loaded:
        partitions = "partition" if len(loaded) == 1 else "partitions"
        how = f"replaced {partitions} {shortened_names(loaded)} with"
    done = f"{how} {counted(result.records_loaded, 'row')}"
    if result.duration_seconds > 0:  # a publication that a former attempt has made takes no time
        done = f"{done} in {duration_text(result.duration_seconds)}"
    parts = [done]
    bookmark = _bookmark(result)
    if bookmark and not loaded:  # a partition is always read from its beginning
        parts.append(bookmark)
    if result.rows_in_table is not None:
        parts.append(f"{counted(result.rows_in_table, 'row')} in table")
    return redact(f"{stream}: {', '.join(parts)}")


def log_closing(log: dg.DagsterLogManager, stream: str, result: SyncResult) -> None:
    """Log what became of a stream."""
    log.info(closing_line(stream, result))


def _bookmark(result: SyncResult) -> str:
    before, now = shortened(result.bookmark_previous), shortened(result.bookmark)
    if not now:
        return ""
    whose = "bookmark of the source" if result.shared else "bookmark"
    if before == now:
        return f"{whose} still {now}"
    if not before:
        return f"{whose} {now}"
    return f"{whose} {before} -> {now}"
