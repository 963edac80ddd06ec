"""What runs are at: which are alive, the one test of it, and what they materialize.

A run whose process was killed stays in progress for ever. What tells it from a living one is its
silence: a sync logs at least once a minute.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

import dagster as dg

STREAM_TAG = "etl_assets/stream"
"""Run tag: the asset key of the stream that a sensor launched."""
TICK_TAG = "etl_assets/source"
"""Run tag: the name of the source whose streams with news a sensor launched in one run."""

ENDED = {
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
    dg.DagsterRunStatus.MANAGED,
}
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in ENDED]
"""Also those that wait in the queue, which Dagster does not count as in progress."""

STALE_AFTER = 30 * 60
MAX_RUNS = 500
"""The newest ones; what is older than so many unfinished runs is dead."""


def live_runs(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey], now: float, stale_after: float
) -> dict[dg.AssetKey, str]:
    """Return the id of the run in progress of each asset that has one.

    Args:
        instance: Where the runs are.
        keys: The assets asked about.
        now: Seconds since the epoch.
        stale_after: Seconds of silence after which a run is taken for dead.
    """
    wanted = set(keys)
    live: dict[dg.AssetKey, str] = {}
    records = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED), limit=MAX_RUNS)
    for record in records:
        run = record.dagster_run
        concerned = wanted & _assets_of(instance, run, wanted)
        if concerned and not is_dead(instance, run, now, stale_after):
            live.update(dict.fromkeys(concerned, run.run_id))
    return live


def is_dead(
    instance: dg.DagsterInstance, run: dg.DagsterRun, now: float, stale_after: float
) -> bool:
    """Return whether a run has been silent for so long that its process must be gone."""
    if run.status is dg.DagsterRunStatus.QUEUED:
        return False  # it waits for its turn, and logs nothing meanwhile
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return bool(newest) and now - newest[0].timestamp > stale_after


def tag_of(key: dg.AssetKey) -> str:
    """Return the value of the run tag for an asset."""
    return key.to_escaped_user_string()


def _assets_of(
    instance: dg.DagsterInstance, run: dg.DagsterRun, wanted: AbstractSet[dg.AssetKey]
) -> AbstractSet[dg.AssetKey]:
    if run.asset_selection is not None:
        return run.asset_selection
    tag = run.tags.get(STREAM_TAG)
    if tag is not None:
        return {key for key in wanted if tag_of(key) == tag}
    # A run of a whole job names no assets, but has planned to materialize some.
    return _assets_in(instance, run.run_id, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)


def materialized_in(instance: dg.DagsterInstance, run_id: str) -> set[dg.AssetKey]:
    """Return the assets that a run has materialized so far."""
    return _assets_in(instance, run_id, dg.DagsterEventType.ASSET_MATERIALIZATION)


def _assets_in(
    instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType
) -> set[dg.AssetKey]:
    """Return the assets of a run's events of one kind."""
    found: set[dg.AssetKey] = set()
    cursor: str | None = None
    while True:
        page = instance.get_records_for_run(run_id, of_type=kind, cursor=cursor)
        for record in page.records:
            event = record.event_log_entry.dagster_event
            if event is not None and event.asset_key is not None:
                found.add(event.asset_key)
        if not page.has_more:
            return found
        cursor = page.cursor
