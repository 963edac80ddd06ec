"""What a run asks of a step that many streams share, wherever its run config says so."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg

from etl_assets.assets.config import SourceSyncConfig, matches
from etl_assets.assets.names import word
from etl_assets.exceptions import ConfigError, did_you_mean, shorten


def refreshed_streams(
    context: dg.AssetExecutionContext, config: SourceSyncConfig, source: str
) -> list[str]:
    """Return the names and globs of streams that the run config asks to refresh.

    Args:
        context: Of the step.
        config: Under the step's name.
        source: The source's name. Until this version the step was called by it and a hash of the
            streams, so that run config written for another set of streams was not looked at.

    Raises:
        ConfigError: Run config under the step's old name is not what it can be.
    """
    found = list(config.full_refresh)
    for old, given in _under_old_names(context, source):
        context.log.warning(
            "Run config for %r is taken as that of %r: the step has a name that stays the same, "
            "whatever streams it has. Rename it in the run config; the next version will not look "
            "there.",
            old,
            context.op_execution_context.op.name,
        )
        found += _full_refresh(old, given)
    return found


def check_known(patterns: Iterable[str], names: Iterable[set[str]]) -> None:
    """Refuse what is meant for no stream of the step.

    Args:
        patterns: Names and globs of streams.
        names: The names by which a run may speak of each stream of the step.

    Raises:
        ConfigError: Names the first that is unknown.
    """
    known = set().union(*names)
    for pattern in patterns:
        if not matches([pattern], known):
            raise ConfigError(
                f"full_refresh in run config names {pattern!r}, which is no stream of the step.",
                hint=did_you_mean(pattern, known),
                stream=pattern,
            )


def _under_old_names(
    context: dg.AssetExecutionContext, source: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the run config of ops that are not there, but were called as this step was before."""
    old_name = re.compile(rf"{re.escape(word(source))}__[0-9a-f]{{8}}")
    ops: Any = context.run.run_config.get("ops") or {}
    for name, given in ops.items():
        if old_name.fullmatch(name) and not context.job_def.has_node_named(name):
            yield name, given or {}


def _full_refresh(op: str, given: Mapping[str, Any]) -> list[str]:
    config = dict(given.get("config") or {})
    asked = config.pop("full_refresh", [])
    if not config and isinstance(asked, list) and all(isinstance(one, str) for one in asked):
        return asked
    raise ConfigError(
        f"The run config of {op!r} is {shorten(given)}.",
        hint='It is a list of streams: {"config": {"full_refresh": ["orders"]}}.',
    )
