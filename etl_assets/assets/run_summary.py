"""What became of all streams of a run, in one readable place: an event of the run, and a tag of it.

A step knows its own streams only, and the steps of a run are processes of their own. So it is put
together when the run has ended, by a sensor, from the events of the run.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from etl_assets.arguments import COUNT, TEXT, Kind, checked
from etl_assets.assets.bindings import bindings_of
from etl_assets.assets.collector import is_collecting
from etl_assets.assets.dagster_private import report_in_run
from etl_assets.assets.errors import PREFIX, REASONS
from etl_assets.assets.markdown import as_cell
from etl_assets.assets.partition_runs import PARTITION_ROW_COUNT
from etl_assets.exceptions import ConfigError
from etl_assets.progress_text import counted, duration_text
from etl_assets.redaction import redact

SUMMARY_TAG = f"{PREFIX}summary"
"""The tag of a run that has its summary: the list of runs in the UI shows it."""
MOST_RUNS = 50
"""So many runs are looked at in one tick."""
LOOKS_BACK = timedelta(hours=1)
"""A sensor that was off, or is new, leaves runs alone that ended longer ago."""
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_ASSETS: Kind = (Iterable, "the list that stream_assets gave")


@dataclass(frozen=True)
class Loaded:
    """What a run has loaded of one stream.

    Args:
        rows: Rows that came, over all partitions.
        seconds: How long it took.
    """

    rows: int = 0
    seconds: float = 0.0


@dataclass
class RunSummary:
    """What became of the streams of a run, by the user string of their asset.

    Args:
        loaded: Those that were loaded.
        failed: Why the others failed, and what to do about it.
        skipped: Those that were planned, and neither loaded nor failed.
        failed_checks: What their checks with the severity `error` have found, by stream and check.
    """

    loaded: dict[str, Loaded] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    failed_checks: dict[str, str] = field(default_factory=dict)

    def add_unloaded(self, name: str, why: str | None) -> None:
        """Add a stream that was not loaded, with what failed; None if nothing of it did."""
        if why is None:
            self.skipped.append(name)
        else:
            self.failed[name] = why

    @property
    def headline(self) -> str:
        """One line, such as `99 of 100 streams loaded (5,000 rows), 1 failed: shop/orders`."""
        streams = len(self.loaded) + len(self.failed) + len(self.skipped)
        rows = counted(sum(one.rows for one in self.loaded.values()), "row")
        told = [f"{len(self.loaded)} of {counted(streams, 'stream')} loaded ({rows})"]
        if self.failed:
            told.append(f"{len(self.failed)} failed: {_some(list(self.failed))}")
        if self.skipped:
            told.append(f"{len(self.skipped)} not loaded: {_some(self.skipped)}")
        if self.failed_checks:
            checks = counted(len(self.failed_checks), "check")
            told.append(f"{checks} failed: {_some(list(self.failed_checks))}")
        return redact(", ".join(told))

    def metadata(self) -> dict[str, Any]:
        """Return the tables of the event, as Markdown; what failed comes first."""
        found: dict[str, Any] = {}
        if self.failed:
            rows = [[name, " ".join(why.split())] for name, why in self.failed.items()]
            found["failed"] = _table(("Stream", "Why, and what to do"), rows)
        if self.failed_checks:
            rows = [[name, " ".join(why.split())] for name, why in self.failed_checks.items()]
            found["failed_checks"] = _table(("Check", "What it found"), rows)
        if self.skipped:
            found["not_loaded"] = _table(("Stream",), [[name] for name in self.skipped])
        if self.loaded:
            slowest_first = sorted(self.loaded.items(), key=lambda item: -item[1].seconds)
            rows = [
                [name, f"{one.rows:,}", duration_text(one.seconds)] for name, one in slowest_first
            ]
            found["loaded"] = _table(("Stream", "Rows", "Time"), rows)
        return {f"{PREFIX}{name}": table for name, table in found.items()}


def summary_of(
    instance: dg.DagsterInstance, run_id: str, streams: Iterable[dg.AssetKey]
) -> RunSummary:
    """Return what became of the streams of a run that has ended.

    Args:
        instance: Where its events are.
        run_id: Of the run.
        streams: The assets of streams; others that the run has materialized are left out.
    """
    wanted = set(streams)
    planned: dict[dg.AssetKey, str] = {}
    summary, reasons = RunSummary(), dict[str, str]()
    checks: dict[tuple[str, str], str | None] = {}
    failed_steps: dict[str, str] = {}
    kinds = {
        dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
        dg.DagsterEventType.ASSET_MATERIALIZATION,
        dg.DagsterEventType.ASSET_CHECK_EVALUATION,
        dg.DagsterEventType.STEP_FAILURE,
    }
    for entry in instance.all_logs(run_id, of_type=kinds):
        event = entry.dagster_event
        if event is None:
            continue
        if event.event_type is dg.DagsterEventType.STEP_FAILURE:
            failed_steps[str(event.step_key)] = _reason(event)
            reasons |= _reasons_of_streams(event)
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            told = event.asset_check_evaluation_data
            if told.asset_key in wanted:
                # A check that is evaluated again, in a retry, has its newest result.
                checks[told.asset_key.to_user_string(), told.check_name] = _error_of(told)
        elif event.asset_key in wanted and event.asset_key is not None:
            if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION:
                name = event.asset_key.to_user_string()
                summary.loaded[name] = _added(summary.loaded.get(name), event)
            else:
                planned[event.asset_key] = str(event.step_key)
    # A gate that has failed is the reason why its stream has.
    summary.failed_checks = {
        f"{name}:{check}": why
        for (name, check), why in checks.items()
        if why is not None and name in summary.loaded
    }
    for key, step in planned.items():
        name = key.to_user_string()
        if name not in summary.loaded:
            summary.add_unloaded(name, reasons.get(name) or _of_step(step, failed_steps))
    return summary


def _of_step(step: str, failed: Mapping[str, str]) -> str | None:
    """Return why a step failed; of a split stream, why any of its steps did."""
    of_graph = step.partition(".")[0]
    parts = [why for key, why in failed.items() if key.partition(".")[0] == of_graph]
    return parts[0] if parts else None


def _error_of(evaluation: dg.AssetCheckEvaluation) -> str | None:
    """Return what a check found; None if it has passed, or only warns."""
    is_error = evaluation.severity is dg.AssetCheckSeverity.ERROR
    return None if evaluation.passed or not is_error else evaluation.description or ""


def _reason(event: dg.DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    return "" if data.error is None else data.error.message.strip()


def _reasons_of_streams(event: dg.DagsterEvent) -> dict[str, str]:
    """Return why each stream failed whose step was that of many."""
    data = event.step_failure_data.user_failure_data
    told = None if data is None else data.metadata.get(REASONS)
    value = None if told is None else told.value
    return {str(name): str(why) for name, why in value.items()} if isinstance(value, dict) else {}


def _added(before: Loaded | None, event: dg.DagsterEvent) -> Loaded:
    """Add a materialization.

    Each of several partitions has one, with the time of all of them and its own rows.
    """
    materialization = event.step_materialization_data.materialization
    found = {name: one.value for name, one in materialization.metadata.items()}
    rows, seconds = found.get(f"{PREFIX}records_loaded"), found.get(f"{PREFIX}duration_seconds")
    same = before or Loaded()
    of_partition = 0 if f"{PREFIX}records_loaded" in found else found.get(PARTITION_ROW_COUNT)
    return Loaded(
        max(same.rows, _number(rows)) + _number(of_partition),
        max(same.seconds, float(_number(seconds))),
    )


def _number(value: Any) -> Any:
    return value if isinstance(value, int | float) else 0


def _some(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    shown = ", ".join(names[:most])
    return shown if more <= 0 else f"{shown} and {more} more"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> dg.MarkdownMetadataValue:
    lines = [list(head), ["---"] * len(head), *([as_cell(one) for one in row] for row in rows)]
    return dg.MetadataValue.md(redact("\n".join(f"| {' | '.join(line)} |" for line in lines)))


@checked(
    assets=_ASSETS,
    name=TEXT,
    minimum_interval_seconds=COUNT,
    default_status=(dg.DefaultSensorStatus, "a DefaultSensorStatus"),
)
def build_run_summary_sensor(
    assets: Iterable[Any] | None = None,
    *,
    name: str = "run_summaries",
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """Return a sensor that writes into each run, once it has ended, what became of its streams.

    ```python
    summaries = build_run_summary_sensor([*shop_assets, *crm_assets])
    defs = dg.Definitions(assets=[*shop_assets, *crm_assets], sensors=[summaries])
    ```

    The run gets an event with the streams that were loaded (rows, time), those that failed (why,
    and what to do) and those that were not begun, and the tag `etl_assets/summary` with one line of
    that.

    Args:
        assets: What `stream_assets` gave, of as many sources as there are. By default the streams
            of all definitions of the project, those of components too.
        name: Of the sensor.
        minimum_interval_seconds: Seconds between two evaluations, at least.
        default_status: Whether it runs without being switched on.

    Raises:
        ConfigError: There are no assets of streams.
    """
    given = None if assets is None else list(bindings_of(assets))
    if given is not None and not given and not is_collecting():
        raise ConfigError(
            "The summaries have no streams.",
            hint="Give them the lists that stream_assets gave, together in one list.",
        )

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        streams = _streams_of_project(context) if given is None else given
        told = _summarize(context.instance, streams, datetime.now(UTC) - LOOKS_BACK)
        return dg.SkipReason("; ".join(told) or "no run has ended")

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=evaluate,
        asset_selection=None if given is None else dg.AssetSelection.assets(*given),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description="Writes into each run what became of its streams.",
    )


def _streams_of_project(context: dg.SensorEvaluationContext) -> list[dg.AssetKey]:
    project = context.repository_def
    return [] if project is None else list(bindings_of(project.assets_defs_by_key.values()))


def _summarize(
    instance: dg.DagsterInstance, streams: Sequence[dg.AssetKey], since: datetime
) -> list[str]:
    """Write the summaries of runs that have none, and return a line of each."""
    told = []
    filters = dg.RunsFilter(statuses=_ENDED, updated_after=since)
    for record in instance.get_run_records(filters, limit=MOST_RUNS):
        run = record.dagster_run
        if SUMMARY_TAG in run.tags:
            continue
        summary = summary_of(instance, run.run_id, streams)
        if not (summary.loaded or summary.failed or summary.skipped):
            continue
        # The tag first: an event more would say the same twice, for ever.
        instance.add_run_tags(run.run_id, {SUMMARY_TAG: summary.headline})
        report_in_run(instance, run, summary.headline, summary.metadata())
        told.append(f"run {run.run_id}: {summary.headline}")
    return told
