"""Run config of a stream's asset, and the run tag that refreshes many streams at once."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import dagster as dg
from pydantic import Field

from etl_assets.model.stream import Stream

FULL_REFRESH_TAG = "etl_assets/full_refresh"
"""Run tag: `*`, or names of streams, `source/stream` or globs, parted by commas."""


class SyncConfig(dg.Config):
    """What one run may ask of one stream."""

    full_refresh: bool = Field(
        default=False, description="Read everything anew; 'auto' replaces the table."
    )
    bookmark: dict[str, Any] | None = Field(
        default=None, description="Read from here instead of the stored bookmark."
    )
    keep_bookmark: bool = Field(
        default=False,
        description="Go on from where this run ends, though its bookmark is ahead of the stored "
        "one: rows between them are skipped for good. By default the stored bookmark stays then, "
        "and the next run reads from there.",
    )
    limit: int | None = Field(default=None, description="Read at most so many rows.")
    query: dict[str, Any] | None = Field(
        default=None, description="Passed on to load_data of the source."
    )


SYNC_CONFIG_SCHEMA = SyncConfig.to_config_schema()
"""One for the ops of all streams: Dagster takes milliseconds to infer it."""


class SourceSyncConfig(dg.Config):
    """What one run may ask of the streams of a source that are read together."""

    # Not by a factory: Dagster shows a plain default in the launchpad.
    full_refresh: list[str] = Field(
        default=[],
        description="Streams to read anew and to replace: names, source/stream or globs.",
    )


def refreshed_by_tag(tags: Mapping[str, str], names: Iterable[str]) -> bool:
    """Return whether the run's tag asks for a full refresh of what has these names.

    Args:
        tags: The run's tags.
        names: Names of one stream: `stream`, `source/stream`, its asset key with slashes.
    """
    return matches((part.strip() for part in tags.get(FULL_REFRESH_TAG, "").split(",")), names)


def matches(patterns: Iterable[str], names: Iterable[str]) -> bool:
    """Return whether one of the patterns is meant for what has these names."""
    known = list(names)
    return any(fnmatchcase(name, pattern) for pattern in patterns if pattern for name in known)


def names_of(source: str, stream: Stream, key: dg.AssetKey) -> set[str]:
    """Return the names by which a run may speak of a stream."""
    names = {name for one in (stream.name, stream.full_name) for name in (one, f"{source}/{one}")}
    return {*names, key.to_user_string()}
