"""Asset checks of healthy streams whose step fails because of another stream.

Dagster runs a check as a step of its own, and none that comes after a failed step: each would be
shown as "Execution failed". So the step that is about to fail runs those of what it has loaded.
"""

from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet

import dagster as dg

from etl_assets.assets.dagster_private import assets_of_run, checks_of_run, run_checks
from etl_assets.assets.metadata import decoration


def evaluate_checks(context: dg.AssetExecutionContext, loaded: AbstractSet[dg.AssetKey]) -> None:
    """Run the asset checks of this run that need nothing but what was loaded.

    Args:
        context: Of the step that is about to fail.
        loaded: The assets that it has materialized.
    """
    waiting = assets_of_run(context) - loaded
    with decoration(context.log, "Running the asset checks of the healthy streams"):
        keys = set(_ready(checks_of_run(context), loaded, waiting))
        if keys:
            run_checks(context, keys)


def _ready(
    checks: Collection[dg.AssetsDefinition],
    loaded: AbstractSet[dg.AssetKey],
    waiting: AbstractSet[dg.AssetKey],
) -> Iterator[dg.AssetCheckKey]:
    for one in checks:
        ready = {spec.key for spec in one.check_specs if _is_ready(spec, loaded, waiting)}
        if one.can_subset or len(ready) == len(list(one.check_specs)):
            yield from ready


def _is_ready(
    spec: dg.AssetCheckSpec, loaded: AbstractSet[dg.AssetKey], waiting: AbstractSet[dg.AssetKey]
) -> bool:
    needs = {dep.asset_key for dep in spec.additional_deps}
    return spec.asset_key in loaded and needs.isdisjoint(waiting)
