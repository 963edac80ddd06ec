"""How long a sensor leaves an asset alone after its runs have failed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from etl_assets.assets.runs import STREAM_TAG, TICK_TAG, materialized_in, tag_of

BACK_OFF = 60.0
LONGEST_BACK_OFF = 60 * 60.0
MAX_FAILURES = 10
"""No more are counted: the pause is at its longest by then."""
MAX_TICK_RUNS = 100
"""The newest failed runs of many streams that are looked at; older ones have been waited for."""


class BackOff:
    """The pauses after failed runs that a sensor has launched, at one of its ticks.

    Args:
        instance: Where the runs are.
        source_name: The source, by which the runs of a whole tick are marked.
    """

    def __init__(self, instance: dg.DagsterInstance, source_name: str) -> None:
        self._instance = instance
        self._source_name = source_name
        self._runs_of_ticks: list[dg.RunRecord] | None = None
        self._materialized: dict[str, set[dg.AssetKey]] = {}

    def pause(self, key: dg.AssetKey, since: float | None, now: float) -> float:
        """Return the seconds to wait before an asset is tried again.

        Each failure since its last success doubles them.

        Args:
            key: Of the asset.
            since: When it was last loaded; None for never.
            now: Seconds since 1970.
        """
        failed = [*self._own_runs(key, since), *self._shared_runs(key, since)]
        if not failed:
            return 0.0
        ended = max(_ended(record) for record in failed)
        failures = min(len(failed), MAX_FAILURES)
        pause = min(BACK_OFF * 2.0 ** (failures - 1), LONGEST_BACK_OFF)
        return ended + pause - now

    def _own_runs(self, key: dg.AssetKey, since: float | None) -> list[dg.RunRecord]:
        """Return the failed runs of this asset alone."""
        failed = dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.FAILURE],
            tags={STREAM_TAG: tag_of(key)},
            updated_after=datetime.fromtimestamp(since, tz=UTC) if since else None,
        )
        return list(self._instance.get_run_records(failed, limit=MAX_FAILURES))

    def _shared_runs(self, key: dg.AssetKey, since: float | None) -> Iterator[dg.RunRecord]:
        """Yield the failed runs of many assets in which this one was not loaded.

        Such a run fails for any one of them. Those that it has loaded are not to wait for it.
        """
        if self._runs_of_ticks is None:
            failed = dg.RunsFilter(
                statuses=[dg.DagsterRunStatus.FAILURE], tags={TICK_TAG: self._source_name}
            )
            self._runs_of_ticks = list(self._instance.get_run_records(failed, limit=MAX_TICK_RUNS))
        for record in self._runs_of_ticks:
            run = record.dagster_run
            if since is not None and _ended(record) < since:
                continue
            if key not in (run.asset_selection or ()):
                continue
            if run.run_id not in self._materialized:
                self._materialized[run.run_id] = materialized_in(self._instance, run.run_id)
            if key not in self._materialized[run.run_id]:
                yield record


def _ended(record: dg.RunRecord) -> float:
    return float(record.end_time or record.update_timestamp.timestamp())
