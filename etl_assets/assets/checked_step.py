"""The step of a stream with checks, and what the last step of a split one does with its checks.

Its body drives the load, because an IO manager cannot yield what checks find.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from etl_assets.assets.bindings import Binding, refuse_same_names
from etl_assets.assets.closing import log_closing
from etl_assets.assets.config import SyncConfig
from etl_assets.assets.dagster_private import keys_of_step, output_context
from etl_assets.assets.errors import Edge
from etl_assets.assets.io_manager import Output
from etl_assets.assets.metadata import log_changes
from etl_assets.assets.op_asset import OUTPUT, op_asset
from etl_assets.assets.split_read import SplitRead
from etl_assets.assets.steps import StepSettings
from etl_assets.assets.stream_checks import (
    check_specs,
    checks_of,
    checks_of_load,
    evaluated_alone,
    evaluations,
    refuse_checks,
    results_of,
)
from etl_assets.destinations.base import Destination
from etl_assets.exceptions import CheckFailedError, ConfigError
from etl_assets.sources.read import StreamRead


def checked_asset(
    binding: Binding, spec: dg.AssetSpec, io_manager_key: str, settings: StepSettings
) -> dg.AssetsDefinition:
    """Return the asset of a stream with checks."""

    def materialize(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Any]:
        with Edge(settings.retry_policy, context.retry_number):
            refuse_same_names(context, [binding])
            if context.selected_asset_keys:
                yield from load_checked(context, binding.read(config), binding, io_manager_key)
                return
            place = _destination(binding, getattr(context.resources, io_manager_key))
            checks = context.selected_asset_check_keys
            yield from evaluated_alone(binding, _key(context), place, checks)

    return op_asset(
        materialize,
        binding,
        spec,
        io_manager_key,
        settings,
        can_subset=True,  # a check can be executed by itself
        check_specs=check_specs(binding, spec.key),
        required_resource_keys={io_manager_key},
    )


def load_checked(
    context: dg.AssetExecutionContext,
    read: StreamRead | SplitRead,
    binding: Binding,
    io_manager_key: str,
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Load a stream with checks, and yield its materialization with what they have found.

    Args:
        context: Of the step.
        read: What is loaded.
        binding: Of the stream.
        io_manager_key: The resource with its destination.

    Raises:
        CheckFailedError: One of them is a gate, and has failed. Its results were yielded.
    """
    destination = _destination(binding, getattr(context.resources, io_manager_key))
    refuse_checks(binding, destination)
    key, checks = context.asset_key, checks_of(binding)
    selected = context.selected_asset_check_keys
    output = Output(
        destination,
        output_context(context, OUTPUT),
        read,
        checks=checks_of_load(binding),
        observed=context,
    )
    try:
        result = output.synced()
    except CheckFailedError as error:
        # Nothing was loaded, so there is no materialization; why not is told before the step fails.
        yield from evaluations(key, checks, error.results, selected)
        raise
    log_changes(context.log, binding.stream.full_name, result)
    log_closing(context.log, binding.stream.full_name, result)
    changed_by = result.last_changed_by
    yield dg.MaterializeResult(
        asset_key=key,
        metadata=output.metadata(result),
        data_version=dg.DataVersion(changed_by) if changed_by else None,
        check_results=list(evaluations(key, checks, results_of(binding, result), selected)),
    )


def _key(context: dg.AssetExecutionContext) -> dg.AssetKey:
    """Return the key of the step's asset, also where the run only executes its checks."""
    return keys_of_step(context)[OUTPUT]


def _destination(binding: Binding, manager: Any) -> Destination:
    found = getattr(manager, "destination", None)
    if isinstance(found, Destination):
        return found
    stream, first = binding.stream, checks_of(binding)[0]
    raise ConfigError(
        f"stream {stream.full_name!r}: the check {first.name!r} needs an IO manager of this "
        f"library, and {type(manager).__name__} is none.",
        hint="Leave checks out, or use the IO manager of a database, such as DuckDBIOManager.",
        stream=stream.name,
    )
