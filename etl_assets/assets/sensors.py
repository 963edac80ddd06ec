"""A sensor that launches the streams of a source with new data, and a schedule for all of them.

It keeps no cursor and sets no run key: with them a stream whose run failed would stay stuck until
its source changes again. Each evaluation compares the source with the newest event instead. A wrong
guess is harmless, as a commit checks that nobody was faster.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg

from etl_assets.arguments import COUNT, FLAG, NUMBER, TEXT, Kind, checked
from etl_assets.assets.arguments import check_arguments
from etl_assets.assets.back_off import BACK_OFF, BackOff
from etl_assets.assets.bindings import Binding, bindings_of
from etl_assets.assets.bookmarks import BookmarkEvent, newest_events
from etl_assets.assets.collector import is_collecting
from etl_assets.assets.config import FULL_REFRESH_TAG
from etl_assets.assets.errors import Edge
from etl_assets.assets.factory import CatalogLike, OptionsByStream, bindings_by_key, named
from etl_assets.assets.names import word
from etl_assets.assets.options import StreamOptions
from etl_assets.assets.runs import (
    STALE_AFTER,
    STREAM_TAG,
    TICK_TAG,
    UNFINISHED,
    live_runs,
    tag_of,
)
from etl_assets.assets.translator import StreamTranslator
from etl_assets.exceptions import ConfigError
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.catalog import Catalog
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.redaction import redact
from etl_assets.sources.base import Source

__all__ = [
    "BACK_OFF",
    "STALE_AFTER",
    "STREAM_TAG",
    "TICK_TAG",
    "UNFINISHED",
    "Polled",
    "Runs",
    "build_source_sensor",
    "build_sync_schedule",
    "streams_with_news",
    "tag_of",
]

TIMEOUT = 10.0

Runs = Literal["stream", "tick"]
"""A run for each stream with news, or one run for all that a tick has found."""

ASSETS: Kind = (Iterable, "the list that stream_assets gave")


@dataclass(frozen=True)
class Polled:
    """What one sensor looks after.

    Args:
        source: The source.
        streams: Its streams, by the keys of their assets.
        stale_after: Seconds of silence after which a run in progress is taken for dead.
        timeout: Seconds that one question to the source may take.
        runs: What a run is for: one stream, or all that have news at a tick.
        source_name: Under which the source's state is stored; it marks the runs of a tick.
    """

    source: Source
    streams: Mapping[dg.AssetKey, Stream]
    stale_after: float
    timeout: float
    runs: Runs = "stream"
    source_name: str = ""

    def evaluate(
        self, instance: dg.DagsterInstance, now: float
    ) -> tuple[list[dg.RunRequest], dict[str, str]]:
        """Return the runs to launch, and for every other stream why it is left alone."""
        events = newest_events(instance, self.streams)
        reasons: dict[dg.AssetKey, str] = {}
        live = live_runs(instance, self.streams, now, self.stale_after)
        free: dict[dg.AssetKey, BookmarkEvent | None] = {}
        back_off = BackOff(instance, self.source_name)
        for key, event in events.items():
            since = event.timestamp if event else None
            pause = back_off.pause(key, since, now)
            if key in live:
                reasons[key] = f"run {live[key]} is in progress"
            elif pause > 0:
                reasons[key] = f"its last runs failed; tried again in {pause:.0f} s"
            else:
                free[key] = event
        answers = self.news(free)
        for key, new in answers.items():
            if new is None:
                reasons[key] = "the source cannot tell whether there is anything new"
            elif not new:
                reasons[key] = "nothing new"
        requests = self._requests([key for key in self.streams if answers.get(key)])
        return requests, {key.to_user_string(): reason for key, reason in reasons.items()}

    def _requests(self, keys: list[dg.AssetKey]) -> list[dg.RunRequest]:
        """Return the runs that load these assets."""
        if self.runs == "stream":
            return [
                dg.RunRequest(asset_selection=[key], tags={STREAM_TAG: tag_of(key)}) for key in keys
            ]
        if not keys:
            return []
        return [dg.RunRequest(asset_selection=keys, tags={TICK_TAG: self.source_name})]

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
            elif event.shared:
                # The state of a whole source is for its connector alone to read.
                answers[key] = None
            else:
                asked[self.streams[key]] = plain(event.bookmark.value)
                if event.rows is not None:
                    rows[self.streams[key]] = event.rows
        if asked:
            told = self.source.pending(asked, timeout=self.timeout, rows=rows)
            for key in events.keys() - answers.keys():
                answers[key] = told.get(self.streams[key])
        return {key: answers[key] for key in events}


def streams_with_news(
    source: Source, assets: Iterable[Any], instance: dg.DagsterInstance, *, timeout: float = TIMEOUT
) -> list[dg.AssetKey]:
    """Return the assets whose streams were never loaded or have new data.

    It is for scripts that sync only these. Streams that are loaded by partition are left out.

    Args:
        source: The source.
        assets: What `stream_assets` gave.
        instance: Where the events are.
        timeout: Seconds that one question to the source may take.
    """
    streams = {
        key: binding.stream
        for key, binding in _among(bindings_of(assets), source, None, None).items()
        if not binding.is_partitioned
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
    runs=TEXT,
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
    runs: Runs = "stream",
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.STOPPED,
) -> dg.SensorDefinition:
    """Return a sensor that launches the streams with new data.

    It asks the source about all of them over one connection. Streams that are loaded by partition
    are left out.

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
        runs: `stream`: a run for each stream with new data; `tick`: one run for all of them.
        default_status: Whether it runs without being switched on.

    Raises:
        ConfigError: There is no stream to look after, or a source without a name.
    """
    check_arguments(source, streams, source_name, translator, options)
    _check_runs(runs)
    chosen_name = named(source, source_name)
    if assets is None:
        found = bindings_by_key(
            source, streams, chosen_name, catalog, translator, options, defaults=defaults
        )
    else:
        found = _among(bindings_of(assets), source, chosen_name, streams)
    found = _without_partitions(found)
    if not found and not is_collecting():
        raise ConfigError(
            f"The sensor of {chosen_name!r} has no stream to look after; those with partitions are "
            "left out.",
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
                runs,
                chosen_name,
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
    skip_if_running=FLAG,
    stale_after=NUMBER,
)
def build_sync_schedule(
    assets: Iterable[Any],
    cron_schedule: str,
    *,
    name: str | None = None,
    full_refresh: bool = False,
    execution_timezone: str | None = None,
    default_status: dg.DefaultScheduleStatus = dg.DefaultScheduleStatus.STOPPED,
    skip_if_running: bool = True,
    stale_after: float = STALE_AFTER,
) -> dg.ScheduleDefinition:
    """Return a schedule that syncs assets in one run.

    Partitioned assets among them are left out: `dagster.build_schedule_from_partitioned_job` is for
    these.

    Args:
        assets: What `stream_assets` gave, or asset keys.
        cron_schedule: When.
        name: Of the schedule.
        full_refresh: Read everything anew each time.
        execution_timezone: Of the cron schedule.
        default_status: Whether it runs without being switched on.
        skip_if_running: Leave out the assets that another run is materializing, and with one of
            them those of the same step. A tick with nothing left is skipped.
        stale_after: Seconds of silence after which a run in progress is taken for dead, as for
            `build_source_sensor`.

    Raises:
        ConfigError: There are no assets.
    """
    steps = [_keys(one) for one in assets]
    keys = [key for step in steps for key in step]
    if not keys and not is_collecting():
        raise ConfigError(
            "The schedule has no assets; those with partitions are left out.",
            hint="Give it the list that stream_assets gave, or keys.",
        )
    tags = {FULL_REFRESH_TAG: "*"} if full_refresh else {}

    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        live: dict[dg.AssetKey, str] = {}
        # A context that a test makes has no instance, so that nothing can be running.
        if skip_if_running and context.instance_ref is not None:
            live = live_runs(context.instance, keys, time.time(), stale_after)
        free = [key for step in steps if live.keys().isdisjoint(step) for key in step]
        told = "; ".join(
            f"{key.to_user_string()}: run {run} is in progress" for key, run in live.items()
        )
        if not free:
            return dg.SkipReason(told)
        if told:
            context.log.info("Left out: %s", told)
        # Named one by one: the run then says which assets it is about, and a sensor leaves them
        # alone meanwhile.
        return dg.RunRequest(asset_selection=free, tags=tags)

    first = keys[0].path[0] if keys else "nothing"
    kind = "full_refresh" if full_refresh else "sync"
    return dg.ScheduleDefinition(
        name=name or f"{word(first)}_{kind}",
        cron_schedule=cron_schedule,
        execution_fn=evaluate,
        target=dg.AssetSelection.assets(*keys),
        execution_timezone=execution_timezone,
        default_status=default_status,
    )


def _check_runs(runs: str) -> None:
    if runs not in {"stream", "tick"}:
        raise ConfigError(
            f"runs is {runs!r}.",
            hint='It is "stream", a run for each stream with new data, or "tick", one for all.',
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


def _keys(given: Any) -> list[dg.AssetKey]:
    """Return the keys of what one step materializes without partitions, or the one given."""
    if isinstance(given, dg.AssetsDefinition):
        return [key for key in given.keys if given.specs_by_key[key].partitions_def is None]
    if isinstance(given, dg.AssetKey):
        return [given]
    if isinstance(given, str):
        return [dg.AssetKey.from_user_string(given)]
    return [dg.AssetKey(given)]


def _without_partitions(found: Mapping[dg.AssetKey, Binding]) -> dict[dg.AssetKey, Binding]:
    """Return the streams whose bookmark tells whether they have new data."""
    return {key: binding for key, binding in found.items() if not binding.is_partitioned}


def _among(
    found: Mapping[dg.AssetKey, Binding],
    source: Source,
    source_name: str | None,
    streams: Sequence[str] | str | None,
) -> dict[dg.AssetKey, Binding]:
    """Return the bindings of one source, and of these the named ones.

    Raises:
        ConfigError: A name or glob stands for none.
    """
    among = {
        key: binding
        for key, binding in found.items()
        if binding.source is source or binding.source_name == source_name
    }
    if streams is None or not among:
        return among
    # By its key: a stream that is loaded into two places is one of the source's.
    known = {binding.stream.key: binding.stream for binding in among.values()}
    wanted = {stream.key for stream in Catalog(known.values()).select(streams)}
    return {key: binding for key, binding in among.items() if binding.stream.key in wanted}
