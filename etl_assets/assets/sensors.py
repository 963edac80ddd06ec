"""A sensor that launches the streams of a source that have new data, and a schedule for all of them.

It keeps no cursor and sets no run key: with them a stream whose run failed would stay stuck until
its source changes
again. Each evaluation compares the source with the newest event instead; a wrong guess is harmless,
as a commit checks that nobody was faster.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from etl_assets.arguments import COUNT, FLAG, NUMBER, TEXT, Kind, checked
from etl_assets.assets.arguments import check_arguments
from etl_assets.assets.bindings import Binding, bindings_of
from etl_assets.assets.bookmarks import BookmarkEvent, newest_events
from etl_assets.assets.collector import is_collecting
from etl_assets.assets.config import FULL_REFRESH_TAG
from etl_assets.assets.errors import Edge
from etl_assets.assets.factory import CatalogLike, OptionsByStream, bindings_by_key, named
from etl_assets.assets.names import word
from etl_assets.assets.options import StreamOptions
from etl_assets.assets.translator import StreamTranslator
from etl_assets.exceptions import ConfigError
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.redaction import redact
from etl_assets.sources.base import Source

STREAM_TAG = "etl_assets/stream"
"""Run tag: the asset key of the stream that a sensor launched."""

UNFINISHED = [
    status
    for status in dg.DagsterRunStatus
    if status
    not in {
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.FAILURE,
        dg.DagsterRunStatus.CANCELED,
        dg.DagsterRunStatus.MANAGED,
    }
]
"""Also those that wait in the queue, which Dagster does not count as in progress."""

STALE_AFTER = 30 * 60
TIMEOUT = 10.0
BACK_OFF = 60.0
LONGEST_BACK_OFF = 60 * 60.0
MAX_FAILURES = 10
"""No more are counted: the pause is at its longest by then."""
MAX_RUNS = 500


ASSETS: Kind = (Iterable, "the list that stream_assets gave")


@dataclass(frozen=True)
class Polled:
    """What one sensor looks after.

    Args:
        source: The source.
        streams: Its streams, by the keys of their assets.
        stale_after: Seconds of silence after which a run in progress is taken for dead.
        timeout: Seconds that one question to the source may take.
    """

    source: Source
    streams: Mapping[dg.AssetKey, Stream]
    stale_after: float
    timeout: float

    def evaluate(
        self, instance: dg.DagsterInstance, now: float
    ) -> tuple[list[dg.RunRequest], dict[str, str]]:
        """Return the runs to launch, and for every other stream why it is left alone."""
        events = newest_events(instance, self.streams)
        reasons: dict[dg.AssetKey, str] = {}
        live = _live_runs(instance, self.streams, now, self.stale_after)
        waiting = {
            key: pause
            for key, event in events.items()
            if (pause := _pause(instance, key, event, now)) > 0
        }
        free = {}
        for key, event in events.items():
            if key in live:
                reasons[key] = f"run {live[key]} is in progress"
            elif key in waiting:
                reasons[key] = f"its last runs failed; tried again in {waiting[key]:.0f} s"
            else:
                free[key] = event
        answers = self.news(free)
        for key, new in answers.items():
            if not new:
                reasons[key] = (
                    "nothing new"
                    if new is False
                    else "the source cannot tell whether there is anything new"
                )
        requests = [_request(key) for key in self.streams if answers.get(key)]
        return requests, {key.to_user_string(): reason for key, reason in reasons.items()}

    def news(
        self, events: Mapping[dg.AssetKey, BookmarkEvent | None]
    ) -> dict[dg.AssetKey, bool | None]:
        """Return which streams have new data; None where the source cannot tell.

        Args:
            events: The newest event of each stream asked about.
        """
        answers: dict[dg.AssetKey, bool | None] = {}
        asked: dict[Stream, Bookmark | None] = {}
        rows: dict[Stream, int] = {}
        for key, event in events.items():
            if event is None:
                answers[key] = True  # nothing was loaded yet, whatever the source says
                continue
            if event.shared:
                answers[key] = (
                    None  # the state of a whole source is for its connector alone to read
                )
                continue
            asked[self.streams[key]] = plain(event.bookmark.value)
            if event.rows is not None:
                rows[self.streams[key]] = event.rows
        told = self.source.pending(asked, timeout=self.timeout, rows=rows) if asked else {}
        return {
            key: answers[key] if key in answers else told.get(self.streams[key]) for key in events
        }


def streams_with_news(
    source: Source, assets: Iterable[Any], instance: dg.DagsterInstance, *, timeout: float = TIMEOUT
) -> list[dg.AssetKey]:
    """Return the assets whose streams were never loaded or have new data, for a script that syncs what is to be synced.

    Args:
        source: The source.
        assets: What `stream_assets` gave.
        instance: Where the events are.
        timeout: Seconds that one question to the source may take.
    """
    streams = {
        key: binding.stream
        for key, binding in _among(bindings_of(assets), source, None, None).items()
    }
    answers = Polled(source, streams, STALE_AFTER, timeout).news(newest_events(instance, streams))
    return [key for key, new in answers.items() if new]


@checked(
    name=TEXT,
    source_name=TEXT,
    assets=ASSETS,
    minimum_interval_seconds=COUNT,
    stale_after=NUMBER,
    timeout=NUMBER,
    default_status=(dg.DefaultSensorStatus, "a DefaultSensorStatus"),
)
def build_source_sensor(  # noqa: PLR0913 - what to look after, and how
    source: Source,
    streams: Sequence[str] | str | None = None,
    *,
    assets: Iterable[Any] | None = None,
    name: str | None = None,
    source_name: str | None = None,
    catalog: CatalogLike | None = None,
    translator: StreamTranslator | None = None,
    options: OptionsByStream | None = None,
    defaults: StreamOptions | Mapping[str, Any] | None = None,
    minimum_interval_seconds: int = 30,
    stale_after: float = STALE_AFTER,
    timeout: float = TIMEOUT,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Return a sensor that asks the source, over one connection, and launches the streams that have new data.

    ```python
    assets = stream_assets(shop, destination=warehouse)
    sensor = build_source_sensor(shop, assets=assets)
    ```

    Args:
        source: The source.
        streams: Names and globs, as for `stream_assets`; with `assets`, those among them.
        assets: What `stream_assets` gave; the surest way to say which keys the streams have.
        name: Of the sensor.
        source_name: Of the source, in place of its own.
        catalog: As for `stream_assets`.
        translator: As for `stream_assets`.
        options: As for `stream_assets`.
        defaults: As for `stream_assets`.
        minimum_interval_seconds: Seconds between two evaluations, at least.
        stale_after: Seconds of silence after which a run in progress is taken for dead; a sync logs
            every minute.
        timeout: Seconds that one question to the source may take.
        default_status: Whether it runs without being switched on.

    Raises:
        ConfigError: There is no stream to look after, or a source without a name.
    """
    check_arguments(source, streams, source_name, translator, options)
    chosen_name = named(source, source_name)
    if assets is None:
        found = bindings_by_key(
            source, streams, chosen_name, catalog, translator, options, defaults=defaults
        )
    else:
        found = _among(bindings_of(assets), source, chosen_name, streams)
    if not found and not is_collecting():
        raise ConfigError(
            f"The sensor of {chosen_name!r} has no stream to look after.",
            hint="Give it the list that stream_assets gave: assets=..., or streams=[...].",
        )
    return dg.SensorDefinition(
        name=name or f"{word(chosen_name)}_new_data",
        evaluation_fn=_evaluation(
            Polled(
                source,
                {key: binding.stream for key, binding in found.items()},
                stale_after,
                timeout,
            )
        ),
        asset_selection=dg.AssetSelection.assets(*found),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description=f"Launches the streams of {chosen_name} that have new data.",
    )


@checked(
    assets=ASSETS,
    cron_schedule=((str, list, tuple), 'a text such as "0 5 * * *", or a list of them'),
    name=TEXT,
    full_refresh=FLAG,
    execution_timezone=TEXT,
    default_status=(dg.DefaultScheduleStatus, "a DefaultScheduleStatus"),
)
def build_sync_schedule(
    assets: Iterable[Any],
    cron_schedule: str,
    *,
    name: str | None = None,
    full_refresh: bool = False,
    execution_timezone: str | None = None,
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED,
) -> dg.ScheduleDefinition:
    """Return a schedule that syncs assets in one run.

    Args:
        assets: What `stream_assets` gave, or asset keys.
        cron_schedule: When.
        name: Of the schedule.
        full_refresh: Read everything anew each time.
        execution_timezone: Of the cron schedule.
        default_status: Whether it runs without being switched on.

    Raises:
        ConfigError: There are no assets.
    """
    keys = [
        key
        for one in assets
        for key in (one.keys if isinstance(one, dg.AssetsDefinition) else [_key(one)])
    ]
    if not keys and not is_collecting():
        raise ConfigError(
            "The schedule has no assets.", hint="Give it the list that stream_assets gave, or keys."
        )
    tags = {FULL_REFRESH_TAG: "*"} if full_refresh else {}

    def evaluate(_context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        # Named one by one: the run then says which assets it is about, and a sensor leaves them
        # alone meanwhile.
        return dg.RunRequest(asset_selection=keys, tags=tags)

    first = keys[0].path[0] if keys else "nothing"
    return dg.ScheduleDefinition(
        name=name or f"{word(first)}_{'full_refresh' if full_refresh else 'sync'}",
        cron_schedule=cron_schedule,
        execution_fn=evaluate,
        target=dg.AssetSelection.assets(*keys),
        execution_timezone=execution_timezone,
        default_status=default_status,
    )


def _evaluation(
    polled: Polled,
) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult | dg.SkipReason]:
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        with Edge():
            requests, reasons = polled.evaluate(context.instance, time.time())
        told = "; ".join(f"{key}: {reason}" for key, reason in reasons.items())
        if not requests:
            return dg.SkipReason(redact(told) or "no streams")
        if told:
            context.log.info(redact(told))
        return dg.SensorResult(run_requests=requests)

    return evaluate


def _key(given: Any) -> dg.AssetKey:
    if isinstance(given, dg.AssetKey):
        return given
    return dg.AssetKey.from_user_string(given) if isinstance(given, str) else dg.AssetKey(given)


def _among(
    found: Mapping[dg.AssetKey, Binding],
    source: Source,
    source_name: str | None,
    streams: Sequence[str] | str | None,
) -> dict[dg.AssetKey, Binding]:
    wanted = None if streams is None else {streams} if isinstance(streams, str) else set(streams)
    return {
        key: binding
        for key, binding in found.items()
        if (binding.source is source or binding.source_name == source_name)
        and (wanted is None or {binding.stream.name, binding.stream.full_name} & wanted)
    }


def _request(key: dg.AssetKey) -> dg.RunRequest:
    return dg.RunRequest(asset_selection=[key], tags={STREAM_TAG: tag_of(key)})


def tag_of(key: dg.AssetKey) -> str:
    """Return the value of the run tag for an asset."""
    return key.to_escaped_user_string()


def _live_runs(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey], now: float, stale_after: float
) -> dict[dg.AssetKey, str]:
    """Return the run in progress of each asset that has one, unless it has been silent so long that it must be dead."""
    by_tag = {tag_of(key): key for key in keys}
    wanted = set(by_tag.values())
    live: dict[dg.AssetKey, str] = {}
    records = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED), limit=MAX_RUNS)
    for record in records:
        run = record.dagster_run
        concerned = wanted & set(run.asset_selection or ())
        tagged = by_tag.get(run.tags.get(STREAM_TAG, ""))
        if tagged is not None:
            concerned.add(tagged)
        if concerned and not _is_dead(instance, run, now, stale_after):
            live.update(dict.fromkeys(concerned, run.run_id))
    return live


def _is_dead(
    instance: dg.DagsterInstance, run: dg.DagsterRun, now: float, stale_after: float
) -> bool:
    if run.status is dg.DagsterRunStatus.QUEUED:
        return False  # it waits for its turn, and logs nothing meanwhile
    newest = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    return bool(newest) and now - newest[0].timestamp > stale_after


def _pause(
    instance: dg.DagsterInstance, key: dg.AssetKey, event: BookmarkEvent | None, now: float
) -> float:
    """Return the seconds to wait before an asset is tried again: doubled by each failure since its last success."""
    since = datetime.fromtimestamp(event.timestamp, tz=UTC) if event else None
    failed = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE], tags={STREAM_TAG: tag_of(key)}, updated_after=since
    )
    records = instance.get_run_records(failed, limit=MAX_FAILURES)
    if not records:
        return 0.0
    ended = max(record.end_time or record.update_timestamp.timestamp() for record in records)
    return float(ended + min(BACK_OFF * 2.0 ** (len(records) - 1), LONGEST_BACK_OFF) - now)
