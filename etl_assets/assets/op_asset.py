"""The asset of one stream whose step is one op, put together from what all such ops share.

Dagster's decorators look at the arguments of each function, and infer the schema of its config, for
each asset anew. Of thousands of streams that would be most of what loading them costs.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import dagster as dg

from etl_assets.assets.bindings import Binding, bound
from etl_assets.assets.config import SYNC_CONFIG_SCHEMA, SyncConfig
from etl_assets.assets.names import input_name, op_name
from etl_assets.assets.steps import StepSettings

OUTPUT = "result"

Body = Callable[[dg.AssetExecutionContext, SyncConfig], Iterator[Any]]
"""Yields what a generator decorated by Dagster would."""


def op_asset(
    body: Body,
    binding: Binding,
    spec: dg.AssetSpec,
    io_manager_key: str,
    settings: StepSettings,
    *,
    check_specs: Sequence[dg.AssetCheckSpec] = (),
    can_subset: bool = False,
    required_resource_keys: AbstractSet[str] = frozenset(),
) -> dg.AssetsDefinition:
    """Return the asset of a stream that one op materializes.

    Args:
        body: What the op does.
        binding: Of the stream.
        spec: Of the asset.
        io_manager_key: The resource that the op's output goes to.
        settings: Of the op.
        check_specs: Of the checks that the body yields results of.
        can_subset: Whether a run may select some of the asset and its checks only.
        required_resource_keys: The resources that the body uses itself.
    """

    def compute(context: dg.AssetExecutionContext, _inputs: object) -> Iterator[Any]:
        yield from body(context, SyncConfig(**context.op_execution_context.op_config))

    upstream = {input_name(dep.asset_key): dep.asset_key for dep in spec.deps}
    checks = {one.get_python_identifier(): one for one in check_specs}
    op = dg.OpDefinition(
        # An output of its own name: one made of the key could hold a space, which Dagster refuses.
        outs={
            OUTPUT: dg.Out(dg.Any, io_manager_key=io_manager_key, is_required=not can_subset),
            **{output: dg.Out(None, is_required=not can_subset) for output in checks},
        },
        ins={one: dg.In(dg.Nothing) for one in upstream},
        name=op_name(spec.key),
        compute_fn=bound(compute, {OUTPUT: binding}),
        config_schema=SYNC_CONFIG_SCHEMA,
        required_resource_keys=set(required_resource_keys),
        retry_policy=settings.retry_policy,
        pool=settings.pool,
        tags=settings.op_tags,
    )
    return dg.AssetsDefinition(
        node_def=op,
        keys_by_input_name=upstream,
        keys_by_output_name={OUTPUT: spec.key},
        specs=[spec],
        check_specs_by_output_name=checks,
        can_subset=can_subset,
        resource_defs=settings.resources,
        hook_defs=settings.hooks,
        backfill_policy=settings.backfill_policy,
    )
