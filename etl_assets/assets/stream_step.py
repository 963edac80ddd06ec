"""The steps that load streams: of one stream, of a split one, of one with checks, or of many."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from etl_assets.assets.bindings import Binding, refuse_same_names
from etl_assets.assets.checked_step import checked_asset
from etl_assets.assets.config import SyncConfig
from etl_assets.assets.errors import Edge
from etl_assets.assets.op_asset import OUTPUT, op_asset
from etl_assets.assets.partition_checks import check_one_definition
from etl_assets.assets.source_step import source_asset
from etl_assets.assets.split_step import check_splits, split_asset
from etl_assets.assets.steps import StepSettings
from etl_assets.assets.stream_checks import checks_of, refuse_checks
from etl_assets.destinations.base import Destination


def check_steps(
    bindings: Sequence[Binding],
    specs: Sequence[dg.AssetSpec],
    place: Destination | None,
    *,
    together: bool,
) -> None:
    """Refuse what cannot be loaded in the steps that the streams get, or into their destination."""
    check_splits(bindings, place, together=together)
    for binding in bindings:
        refuse_checks(binding, place)
    if together:
        check_one_definition(bindings, specs)


def assets_of_streams(
    bindings: Sequence[Binding],
    specs: Sequence[dg.AssetSpec],
    io_manager_key: str,
    settings: StepSettings,
    *,
    together: bool,
) -> list[dg.AssetsDefinition]:
    """Return the assets: one for each stream, or one for all of them together."""
    if not bindings:
        return []
    if together:
        return [source_asset(bindings, specs, io_manager_key, settings.of_streams(bindings))]
    return [
        _asset(binding, spec, io_manager_key, settings.of_stream(binding))
        for binding, spec in zip(bindings, specs, strict=True)
    ]


def _asset(
    binding: Binding,
    spec: dg.AssetSpec,
    io_manager_key: str,
    settings: StepSettings,
) -> dg.AssetsDefinition:
    """Return the asset of one stream, by the kind of step that it needs."""
    if binding.options.split:
        return split_asset(binding, spec, io_manager_key, settings)
    if checks_of(binding):
        return checked_asset(binding, spec, io_manager_key, settings)

    def materialize(context: dg.AssetExecutionContext, config: SyncConfig) -> Iterator[Any]:
        with Edge(settings.retry_policy, context.retry_number):
            refuse_same_names(context, [binding])
            read = binding.read(config)
        yield dg.Output(read, OUTPUT)

    return op_asset(materialize, binding, spec, io_manager_key, settings)
