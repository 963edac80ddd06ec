"""The YAML of a component, and what it stands for in Python."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import dagster as dg
from pydantic import ConfigDict, Field

from etl_assets.assets.component.templates import located, rendered, with_references
from etl_assets.assets.io_manager import to_io_manager
from etl_assets.assets.options import StreamOptions
from etl_assets.destinations.connectors import get_destination
from etl_assets.exceptions import ConfigError, shorten
from etl_assets.sources.base import Source
from etl_assets.sources.connectors import get_source

Tags = dict[str, str | int | float | bool]


class NamedModel(dg.Model):
    """A source or destination by its name; more words are what `get_source` takes."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(
        description="Such as `postgres`, `files`, `source-faker` or `tap-jsonl`; or a name that a "
        "package has registered."
    )
    config: dict[str, Any] | str | None = Field(
        default=None,
        description="The config; `{{ env.NAME }}` in it is read when a connection is opened.",
    )


class SourceModel(NamedModel):
    """A source by its name."""

    source_name: str | None = Field(
        default=None,
        description="Unique in the project: it names the keys, the group, the schema and the "
        "stored state.",
    )


class RetryPolicyModel(dg.Model):
    """When Dagster tries a step again."""

    max_retries: int = 1
    delay: float | None = None
    backoff: Literal["exponential", "linear"] | None = None
    jitter: Literal["full", "plus_minus"] | None = None


class BackfillPolicyModel(dg.Model):
    """How many partitions one run of a backfill is for."""

    type: Literal["single_run", "multi_run"]
    max_partitions_per_run: int = 1


class OpModel(dg.Model):
    """The steps of all streams."""

    tags: dict[str, Any] | str | None = Field(
        default=None, description="For the executor: a Celery queue, the resources of a pod."
    )
    pool: str | None = Field(default=None, description="Dagster's limit on what runs at once.")
    retry_policy: RetryPolicyModel | str | None = None
    hooks: list[str] | str | None = Field(
        default=None, description="Template variables, such as `{{ notify }}`."
    )
    op_name: str | None = Field(
        default=None,
        description="Of the one step of `granularity: source`, in place of the source's name.",
    )


class StreamModel(dg.Model):
    """What is particular about one stream, or about all: `StreamOptions` as YAML."""

    write_strategy: str | None = None
    primary_key: list[str] | str | None = None
    replication_key: list[str] | str | None = None
    replication_method: str | None = None
    types: dict[str, Any] | str | None = None
    on_conflict: str | None = None
    on_table_changed: str | None = None
    adopt: bool | str | None = None
    schema_contract: dict[str, str] | str | None = None
    keep_rejected: bool | str | None = None
    late_rows: str | None = None
    repeated_keys: str | None = None
    table: dict[str, str] | str | None = None
    deps: list[str] | str | None = Field(default=None, description="Keys such as `crm/accounts`.")
    description: str | None = None
    group: str | None = None
    group_name: str | None = None
    tags: Tags | str | None = None
    metadata: dict[str, Any] | str | None = None
    owners: list[str] | str | None = None
    automation_condition: str | None = Field(
        default=None, examples=["{{ dg.AutomationCondition.eager() }}"]
    )
    freshness_policy: str | None = Field(
        default=None,
        examples=["{{ dg.FreshnessPolicy.time_window(fail_window=datetime.timedelta(hours=24)) }}"],
    )
    code_version: str | int | None = None
    pool: str | None = None
    retry_policy: RetryPolicyModel | str | None = None
    op_tags: dict[str, Any] | str | None = None
    hooks: list[str] | str | None = None
    checks: list[Any] | dict[str, Any] | str | None = Field(
        default=None, examples=[{"unique_key": {}, "not_null": "email"}]
    )
    split: int | str | None = None
    partitions_def: str | None = Field(
        default=None, examples=["{{ dg.DailyPartitionsDefinition('2026-01-01') }}"]
    )
    partition_by: dict[str, str] | str | None = Field(
        default=None, description="The field that says in which partition a row is."
    )
    backfill_policy: BackfillPolicyModel | str | None = None
    outside_partition: str | None = None
    preview: int | str | None = Field(
        default=None, description="So many rows of each load are shown with its event."
    )


class ScheduleModel(dg.Model):
    """A schedule that syncs all streams of the component."""

    cron_schedule: str | list[str]
    name: str | None = None
    execution_timezone: str | None = None
    full_refresh: bool | str = False
    default_status: Literal["RUNNING", "STOPPED"] = "STOPPED"
    skip_if_running: bool | str = Field(
        default=True, description="Leave out what another run is loading."
    )
    stale_after: float | str | None = Field(
        default=None, description="Seconds of silence after which a run is taken for dead."
    )


class SensorModel(dg.Model):
    """A sensor that launches the streams that have new data."""

    name: str | None = None
    streams: list[str] | str | None = Field(
        default=None, description="Those that it looks after; all by default."
    )
    minimum_interval_seconds: int | str = 30
    stale_after: float | str | None = None
    timeout: float | str | None = None
    runs: Literal["stream", "tick"] = "stream"
    default_status: Literal["RUNNING", "STOPPED"] = "STOPPED"


class UpstreamModel(dg.Model):
    """The assets that stand for the source's tables in Dagster's lineage."""

    key_prefix: list[str] | str | None = Field(
        default=None, description="What the keys of external assets, made for them, begin with."
    )
    keys: dict[str, str] | str | None = Field(
        default=None,
        description="In place of these: assets of the project, by the name of the stream.",
    )


class OverviewModel(dg.Model):
    """An asset that shows all streams of the component on one page."""

    key: list[str] | str | None = Field(
        default=None, description="By default `etl_assets/overview/<source>`."
    )
    group_name: str | None = None
    cron_schedule: str | list[str] | None = Field(
        default=None, description="When it is made; else on demand."
    )


@dataclass(frozen=True)
class StepOptions(StreamOptions):
    """What is said of the steps: options of all streams, and the name of the step they share."""

    op_name: str | None = None


def to_source(context: dg.ResolutionContext, given: SourceModel | str) -> Source:
    """Return the source that a component names; nothing is connected to."""
    with located(context):
        made = _made(context, given, get_source)
        if not isinstance(made, Source):
            raise ConfigError(
                f"source is {shorten(made)}, which is no etl_assets Source.",
                hint="Name one, such as `name: postgres`, or a template variable that gives one.",
            )
        return made


def to_destination(context: dg.ResolutionContext, given: NamedModel | str | None) -> Any:
    """Return the destination that a component names, or the IO manager; nothing is connected to."""
    if given is None:
        return None
    with located(context):
        made = _made(context, given, get_destination)
        to_io_manager(made)
        return made


def _made(context: dg.ResolutionContext, given: NamedModel | str, make: Any) -> Any:
    """Return what a name and its config stand for, or the object that a template variable gives."""
    words = with_references(context, given if isinstance(given, str) else given.model_dump())
    if isinstance(words, str):
        words = {"name": words}
    if not isinstance(words, Mapping):
        return words
    return make(**{word: value for word, value in words.items() if value is not None})


def to_options(
    context: dg.ResolutionContext, given: StreamModel | None, name: str
) -> StreamOptions:
    """Return the options of a stream.

    Args:
        context: Where they stand.
        given: As YAML.
        name: Of the stream, for the message of an error.
    """
    if given is None:
        return StreamOptions()
    with located(context):
        words = rendered(context, given.model_dump(exclude_unset=True))
        return StreamOptions.of(_in_python(words), name)


def op_options(context: dg.ResolutionContext, given: OpModel) -> StepOptions:
    """Return what is said of all steps as options of all streams."""
    with located(context):
        words = rendered(context, given.model_dump(exclude_unset=True))
        if "tags" in words:
            words["op_tags"] = words.pop("tags")
        return StepOptions.of(_in_python(words), "op")


def words_of(context: dg.ResolutionContext, given: dg.Model) -> dict[str, Any]:
    """Return what a model says, without what it leaves out or says `null` of."""
    words = rendered(context, given.model_dump(exclude_unset=True))
    return {word: value for word, value in words.items() if value is not None}


def _in_python(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the types that `StreamOptions` has, where YAML knows no such type."""
    found = {word: value for word, value in words.items() if value is not None}
    if isinstance(found.get("retry_policy"), Mapping):
        found["retry_policy"] = _retry_policy(found["retry_policy"])
    if isinstance(found.get("backfill_policy"), Mapping):
        found["backfill_policy"] = _backfill_policy(found["backfill_policy"])
    if isinstance(found.get("deps"), list):
        found["deps"] = [_key(one) for one in found["deps"]]
    if isinstance(found.get("tags"), Mapping):
        found["tags"] = {name: str(value) for name, value in found["tags"].items()}
    if isinstance(found.get("hooks"), list):
        found["hooks"] = set(found["hooks"])
    if "code_version" in found:
        found["code_version"] = str(found["code_version"])
    return found


def _key(given: Any) -> Any:
    return dg.AssetKey.from_user_string(given) if isinstance(given, str) else given


def _backfill_policy(given: Mapping[str, Any]) -> dg.BackfillPolicy:
    if given["type"] == "single_run":
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(given.get("max_partitions_per_run", 1))


def _retry_policy(given: Mapping[str, Any]) -> dg.RetryPolicy:
    backoff, jitter = given.get("backoff"), given.get("jitter")
    return dg.RetryPolicy(
        max_retries=given.get("max_retries", 1),
        delay=given.get("delay"),
        backoff=dg.Backoff[backoff.upper()] if backoff else None,
        jitter=dg.Jitter[jitter.upper()] if jitter else None,
    )
