"""Every private name of Dagster that this package uses, and why; each has a test in `tests/assets`.

A release of Dagster may move them. Then this module is where it shows, and where it is mended.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg
from dagster._check import CheckError
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.definitions.metadata.metadata_set import NamespacedMetadataSet, TableMetadataSet
from dagster._core.definitions.output import OutputDefinition
from dagster._core.events import EngineEventData
from dagster._core.execution.api import create_execution_plan, execute_plan_iterator
from dagster._core.execution.build_resources import wrap_resource_for_execution
from dagster._core.execution.context.metadata_logging import (
    AssetMetadataHandle,
    OutputMetadataAccumulator,
)
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.execution.plan.outputs import StepOutputHandle
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.partition_status_cache import AssetPartitionStatus
from typing_extensions import override

from etl_assets.exceptions import ConfigError

__all__ = [
    "AssetPartitionStatus",
    "NamespacedMetadataSet",
    "TableMetadataSet",
    "add_event_metadata",
    "add_partition_metadata",
    "assets_of_repository",
    "assets_of_run",
    "attempts",
    "checks_of_run",
    "compute_function",
    "failing_checks",
    "instance_of",
    "is_of_all_partitions",
    "keys_of_step",
    "last_runs",
    "output_context",
    "output_mapping",
    "partition_names",
    "report_in_run",
    "resource_of",
    "retry_policy",
    "run_checks",
    "run_tags",
    "set_data_version",
    "step_of",
    "with_own_name",
    "work_out_outputs_once",
]


def output_context(context: dg.AssetExecutionContext, output: str) -> dg.OutputContext:
    """Return what an IO manager would be given for an output of the step that runs."""
    step = context.op_execution_context.get_step_execution_context()
    return step.get_output_context(StepOutputHandle(step.step.key, output))


def instance_of(context: dg.OutputContext) -> dg.DagsterInstance:
    """Return the instance; an `OutputContext` has no public way to it."""
    return context.step_context.instance


def run_tags(context: dg.OutputContext) -> dict[str, str]:
    """Return the tags of the run; an `OutputContext` has no public way to them."""
    return dict(context.step_context.run_tags)


def retry_policy(context: dg.OutputContext) -> dg.RetryPolicy | None:
    """Return the retry policy of the op, or else that of its job."""
    return context.step_context.op_retry_policy


def attempts(context: dg.OutputContext) -> int:
    """Return how many times this step was tried before."""
    return context.step_context.previous_attempt_count


def set_data_version(context: dg.OutputContext, version: str) -> None:
    """Set the data version of the materialization to come.

    Public only in an asset's body, which has ended by then.
    """
    context.step_context.set_data_version(context.asset_key, dg.DataVersion(version))


def add_event_metadata(context: dg.OutputContext, metadata: Mapping[str, Any]) -> None:
    """Add metadata to the materialization to come, and to nothing else.

    The context's own `add_output_metadata` has Dagster repeat it in the event that an output was
    handled, which doubles what the event log holds of each run.
    """
    context.step_context.add_asset_metadata(metadata, asset_key=context.asset_key)


def step_of(context: dg.AssetExecutionContext) -> StepExecutionContext:
    """Return the context of the step in which the body of an asset runs."""
    return context.op_execution_context.get_step_execution_context()


def partition_names(context: dg.AssetExecutionContext) -> list[str]:
    """Return the keys of the partitions that a run is about; none of a run without partitions.

    Public for a run of one partition or of a range, each with an error where it is the other.
    """
    step = step_of(context)
    if not (step.has_partition_key or step.has_partition_key_range):
        return []
    return list(context.partition_keys)


def add_partition_metadata(
    step: StepExecutionContext, key: dg.AssetKey, metadata: Mapping[str, Mapping[str, int]]
) -> None:
    """Add metadata to the events to come of single partitions.

    Dagster's own `add_asset_metadata` takes one partition at a time, and each time looks through
    all of the run's and copies all metadata: for the hours of a year that takes minutes.

    Args:
        step: The step that materializes the asset.
        key: Of the asset.
        metadata: By the partition's key.
    """
    held = dict(step._metadata_accumulator.per_output_metadata)  # noqa: SLF001 - see above
    for partition, added in metadata.items():
        handle = AssetMetadataHandle(asset_key=key, partition_key=partition)
        values = {name: dg.MetadataValue.int(one) for name, one in added.items()}
        held[handle] = {**held.get(handle, {}), **values}
    step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=held)  # noqa: SLF001


def is_of_all_partitions(context: dg.InputContext) -> bool:
    """Return whether an input of an asset without partitions is all of those of the other asset.

    Then it is all of its table, also the rows that are in no partition.
    """
    try:
        step = context.step_context
    except dg.DagsterInvariantViolationError:
        return False  # a script loads the partitions that it has named
    if step.entity_partitions_def is not None:
        return False
    every = context.asset_partitions_def.get_partition_keys(
        dynamic_partitions_store=context.instance
    )
    return set(context.asset_partition_keys) >= set(every)


def assets_of_repository(context: dg.AssetExecutionContext) -> list[dg.AssetsDefinition]:
    """Return the assets defined beside the one that runs.

    None where it runs without a repository, as in a test.
    """
    try:
        return list(context.repository_def.assets_defs_by_key.values())
    except CheckError:
        return []


def keys_of_step(context: dg.AssetExecutionContext) -> Mapping[str, dg.AssetKey]:
    """Return the keys of all assets of a step by its outputs, also of those not selected."""
    keys: Mapping[str, dg.AssetKey] = context.assets_def.node_keys_by_output_name
    return keys


def work_out_outputs_once(context: dg.AssetExecutionContext) -> None:
    """Keep which assets a step may yield.

    Dagster works it out for each that it yields, among all, which is quadratic. Of 2,000 assets in
    one step that was half of the step's time.
    """
    step = step_of(context)
    keys = step.get_output_asset_keys()  # the same from a step's beginning to its end
    step.get_output_asset_keys = lambda: keys  # type: ignore[method-assign] # of this one object


def resource_of(manager: dg.IOManager) -> dg.ResourceDefinition:
    """Return the definition of a resource that is this IO manager.

    Dagster makes one wherever it is given the IO manager itself, and refuses two under one key.
    """
    definition: dg.ResourceDefinition = wrap_resource_for_execution(manager)
    return definition


def compute_function(assets_def: dg.AssetsDefinition) -> Any:
    """Return the function an asset was made of.

    It stays the same object through `with_resources` and new keys.
    """
    if not assets_def.is_executable:
        return None
    node = assets_def.node_def
    # Of a graph, the op that gives the asset's output.
    op = (
        node.node_named(node.output_mappings[0].maps_from.node_name).definition
        if isinstance(node, dg.GraphDefinition)
        else node
    )
    made = getattr(op, "compute_fn", None)
    return getattr(made, "decorated_fn", made)


class _KeyedOutputMapping(dg.OutputMapping):
    """The mapping of a graph's output that has an IO manager of its own."""

    io_manager_key: str

    @override
    def get_definition(self, is_dynamic: bool) -> OutputDefinition:
        made = super().get_definition(is_dynamic)
        return OutputDefinition(
            made.dagster_type,
            made.name,
            made.description,
            made.is_required,
            io_manager_key=self.io_manager_key,
        )


def output_mapping(output: str, node: str, io_manager_key: str) -> dg.OutputMapping:
    """Return the mapping of a graph's output from the output of one of its nodes, both of one name.

    Dagster's own says nothing of an IO manager. A graph's output then asks for the default one,
    which is not among the resources of a run that selects some assets, unless one of them happens
    to use it.
    """
    mapping = _KeyedOutputMapping(output, node, output)
    mapping.io_manager_key = io_manager_key
    return mapping


class _OwnName(dg.OpDefinition):
    """An op whose name no other op of the project may have.

    Dagster compares the ops of one name when it loads a project. Of two that differ it only says
    that they conflict.
    """

    @override
    def __ne__(self, other: object) -> bool:
        if self is other:
            return False
        if isinstance(other, dg.OpDefinition | dg.GraphDefinition) and other.name == self.name:
            raise ConfigError(
                f"Two steps of this project are named {self.name!r}.",
                hint='Give that of many streams another name: stream_assets(..., op_name="...").',
            )
        return True

    __hash__ = dg.OpDefinition.__hash__


def with_own_name(assets_def: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """Have a project refused, with what to do about it, if another op has the name of this one."""
    # Its decorator makes the op, and there is no argument for the class.
    assets_def.op.__class__ = _OwnName
    return assets_def


def assets_of_run(context: dg.AssetExecutionContext) -> set[dg.AssetKey]:
    """Return the assets that this run materializes."""
    return set(context.job_def.asset_layer.executable_asset_keys)


def checks_of_run(context: dg.AssetExecutionContext) -> list[dg.AssetsDefinition]:
    """Return the definitions of this run's asset checks that are steps of their own."""
    graph = context.job_def.asset_layer.asset_graph
    found = graph.assets_defs_for_keys(graph.asset_check_keys)
    return [one for one in found if not one.keys]


def run_checks(context: dg.AssetExecutionContext, keys: AbstractSet[dg.AssetCheckKey]) -> None:
    """Run asset checks now, as steps of the present run; Dagster itself would begin them later.

    Their events are those of any run of them: the evaluations that were planned for this run are
    there then, and a run that goes on from its failure knows of them.
    """
    config = context.run.run_config
    job = InMemoryJob(context.job_def.get_subset(asset_check_selection=keys))
    plan = create_execution_plan(job, run_config=config)
    for _event in execute_plan_iterator(
        plan, job, context.run, context.instance, run_config=config
    ):
        pass  # each was logged as it came


def last_runs(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetKey]
) -> dict[dg.AssetKey, dg.DagsterRun]:
    """Return the last run that was to materialize each asset; assets without one are left out."""
    run_ids = {
        record.asset_entry.asset_key: record.asset_entry.last_run_id
        for record in instance.get_asset_records(keys)
    }
    wanted = [run_id for run_id in run_ids.values() if run_id]
    if not wanted:
        return {}
    runs = {run.run_id: run for run in instance.get_runs(dg.RunsFilter(run_ids=wanted))}
    return {key: runs[run_id] for key, run_id in run_ids.items() if run_id in runs}


def failing_checks(
    context: dg.AssetExecutionContext, keys: AbstractSet[dg.AssetKey]
) -> dict[dg.AssetKey, list[str]]:
    """Return the names of the checks whose last evaluation failed, by asset.

    Empty where a step runs without a repository, as in a test: nothing tells then which there are.
    """
    try:
        known = context.repository_def.asset_graph.asset_check_keys
    except CheckError:
        return {}
    asked = sorted(one for one in known if one.asset_key in keys)
    if not asked:
        return {}
    found = context.instance.event_log_storage.get_latest_asset_check_execution_by_key(asked)
    failing: dict[dg.AssetKey, list[str]] = {}
    for one in asked:
        record = found.get(one)
        if record is not None and record.status is AssetCheckExecutionRecordStatus.FAILED:
            failing.setdefault(one.asset_key, []).append(one.name)
    return failing


def report_in_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, message: str, metadata: Mapping[str, Any]
) -> None:
    """Write an event into a run that may have ended; events of assets would be about these."""
    instance.report_engine_event(message, run, EngineEventData(metadata=metadata))
