"""An asset that is a page: all streams of a destination, how far each is, and what is wrong."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from etl_assets.arguments import Kind, checked
from etl_assets.assets.bindings import Binding, bindings_of
from etl_assets.assets.bookmarks import BookmarkEvent, newest_events, newest_loads
from etl_assets.assets.collector import is_collecting
from etl_assets.assets.dagster_private import (
    AssetPartitionStatus,
    assets_of_repository,
    failing_checks,
    last_runs,
)
from etl_assets.assets.errors import Edge
from etl_assets.assets.lag import lag_seconds
from etl_assets.assets.markdown import as_cell
from etl_assets.assets.observer import shortened
from etl_assets.assets.options import PREFIX
from etl_assets.destinations.base import Destination
from etl_assets.exceptions import ConfigError
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.stored import Bookmark, StreamState
from etl_assets.redaction import redact

OVERVIEW = dg.AssetKey(["etl_assets", "overview"])
MAX_BOOKMARK = 40
"""Characters of a bookmark in the table."""
RUN_CHARACTERS = 8
"""So many of a run's id are shown, as in Dagster's list of runs."""
HEAD = (
    "Source", "Stream", "Status", "Failing checks", "Rows", "Partitions", "Lag", "Loaded", "Run",
    "Bookmark",
)  # fmt: skip
"""What matters most comes first: on an asset's page the table may be wider than its place."""

_ASSETS: Kind = (Iterable, "the list that stream_assets gave")
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


@dataclass(frozen=True)
class PartitionCounts:
    """How many partitions of a stream there are, and of these were loaded, or failed.

    Args:
        every: All there are by now.
        loaded: Those that were loaded, whatever became of them later.
        failed: Those whose last run failed.
    """

    every: int
    loaded: int
    failed: int

    def __str__(self) -> str:
        told = f"{self.loaded:,} of {self.every:,}"
        return f"{told}, {self.failed:,} failed" if self.failed else told


@dataclass(frozen=True)
class Line:
    """What is known of one stream.

    Args:
        binding: The source and the stream.
        event: The newest event of a run that loaded it.
        state: Its state row, where the destination was asked and has one.
        run: The last run that was to load it; None for none.
        failing: The names of its checks that have failed.
        partitions: How many it has; None where it is not partitioned.
    """

    binding: Binding
    event: BookmarkEvent | None
    state: StreamState | None
    run: dg.DagsterRun | None
    failing: Sequence[str]
    partitions: PartitionCounts | None = None

    @property
    def status(self) -> str:
        """What became of the last run that was to load it."""
        run = self.run
        loaded_by = self.event.run_id if self.event else None
        if run is not None and run.run_id != loaded_by:
            if run.status in {dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}:
                return "failed" if run.status is dg.DagsterRunStatus.FAILURE else "canceled"
            if not run.is_finished:
                return "queued" if run.status is dg.DagsterRunStatus.QUEUED else "in progress"
        return "loaded" if self.event or self.state else "never loaded"

    @property
    def bookmark(self) -> Bookmark | None:
        """The bookmark: of the state row, which rules, else of the event.

        None for a stream that is loaded by partition: it says nothing of the others.
        """
        if self.binding.is_partitioned:
            return None
        if self.state is not None:
            return plain(self.state.bookmark)
        return plain(self.event.bookmark.value) if self.event else None

    @property
    def lag(self) -> float | None:
        """Seconds from the bookmark's moment to now."""
        shared = self.event is not None and self.event.shared
        return None if shared else lag_seconds(self.bookmark, self.binding.stream)

    @property
    def rows(self) -> int | None:
        """Rows in the table, as the last load has counted them."""
        if self.state is not None:
            return self.state.rows_in_table
        return self.event.rows if self.event else None

    def cells(self) -> list[str]:
        """Return the cells of the table, as text."""
        lag, rows, run = self.lag, self.rows, self.run
        return [
            self.binding.source_name,
            self.binding.stream.full_name,
            self.status,
            ", ".join(self.failing),
            "" if rows is None else f"{rows:,}",
            "" if self.partitions is None else str(self.partitions),
            "" if lag is None else span(lag),
            self._loaded_at(),
            "" if run is None else run.run_id[:RUN_CHARACTERS],
            _cut(shortened(self.bookmark)),
        ]

    def _loaded_at(self) -> str:
        if self.state is not None:
            return f"{self.state.committed_at:%Y-%m-%d %H:%M}"
        if self.event is None:
            return ""
        return f"{datetime.fromtimestamp(self.event.timestamp, tz=UTC):%Y-%m-%d %H:%M}"


@checked(assets=_ASSETS, destination=(Destination, "an etl_assets Destination"))
def build_overview_asset(
    assets: Iterable[Any] | None = None,
    *,
    destination: Destination | None = None,
    key: Any = OVERVIEW,
    group_name: str = "etl_assets",
) -> dg.AssetsDefinition:
    """Return an asset that shows all streams on one page, made whenever it is materialized.

    ```python
    overview = build_overview_asset([*shop_assets, *crm_assets], destination=warehouse)
    every_hour = build_sync_schedule([overview], "0 * * * *", name="overview")
    ```

    The page is its metadata `etl_assets/overview`: source, stream, status, the checks that fail,
    rows, how many partitions are loaded and failed, lag, when it was loaded, the last run and the
    bookmark. It comes after no asset, so that it
    is also made when one of them fails.

    Args:
        assets: What `stream_assets` gave, of as many sources as there are. By default the streams
            of all definitions of the project, those of components too.
        destination: Where the streams are loaded. If it keeps state, its state rows are shown,
            which also know of loads by others; without it, the events of Dagster are.
        key: Of the asset; a second overview needs another.
        group_name: Of the asset.

    Raises:
        ConfigError: There are no assets of streams.
    """
    given = None if assets is None else list(assets)
    if given is not None and not bindings_of(given) and not is_collecting():
        raise _no_streams()

    def overview(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        with Edge():
            shown = assets_of_repository(context) if given is None else given
            bindings = bindings_of(shown)
            if not bindings:
                raise _no_streams()
            lines = _lines(context, bindings, destination, _partitions(shown))
            return dg.MaterializeResult(metadata=_page(lines))

    return dg.asset(
        key=key,
        group_name=group_name,
        description="All streams on one page: how far each is, and what is wrong.",
        kinds={"markdown"},
    )(overview)


def _no_streams() -> ConfigError:
    return ConfigError(
        "The overview has no streams.",
        hint="Give it the lists that stream_assets gave, together in one list.",
    )


def _partitions(assets: Iterable[Any]) -> dict[dg.AssetKey, dg.PartitionsDefinition[Any]]:
    """Return the partitions of the assets that have some."""
    return {
        key: spec.partitions_def
        for one in assets
        if isinstance(one, dg.AssetsDefinition)
        for key, spec in one.specs_by_key.items()
        if spec.partitions_def is not None
    }


def _page(lines: Sequence[Line]) -> dict[str, Any]:
    lags = [line.lag for line in lines if line.lag is not None]
    failed = [line for line in lines if line.status == "failed"]
    metadata: dict[str, Any] = {
        f"{PREFIX}overview": dg.MetadataValue.md(redact(as_table(lines))),
        f"{PREFIX}streams": len(lines),
        f"{PREFIX}streams_failed": len(failed),
        f"{PREFIX}checks_failing": sum(len(line.failing) for line in lines),
    }
    counts = [line.partitions for line in lines if line.partitions is not None]
    if counts:
        metadata[f"{PREFIX}partitions_missing"] = sum(one.every - one.loaded for one in counts)
        metadata[f"{PREFIX}partitions_failed"] = sum(one.failed for one in counts)
    if lags:
        metadata[f"{PREFIX}lag_seconds"] = max(lags)
    return metadata


def _lines(
    context: dg.AssetExecutionContext,
    bindings: Mapping[dg.AssetKey, Binding],
    destination: Destination | None,
    definitions: Mapping[dg.AssetKey, dg.PartitionsDefinition[Any]],
) -> list[Line]:
    """Return what is known of each stream, those first with which something is wrong."""
    by_partition = {key for key, binding in bindings.items() if binding.is_partitioned}
    events = {
        **newest_events(context.instance, bindings.keys() - by_partition),
        **newest_loads(context.instance, by_partition),
    }
    runs = last_runs(context.instance, list(bindings))
    failing = failing_checks(context, bindings.keys())
    states = _states(destination)
    lines = []
    for key, binding in bindings.items():
        stream = binding.stream
        state = states.get((binding.source_name, stream.namespace or "", stream.name))
        counts = _counted(context.instance, key, definitions.get(key))
        checks = failing.get(key, ())
        lines.append(Line(binding, events.get(key), state, runs.get(key), checks, counts))

    def by_trouble(line: Line) -> tuple[bool, str, str]:
        has_failed = line.status == "failed" or bool(line.partitions and line.partitions.failed)
        is_well = not has_failed and not line.failing
        return is_well, line.binding.source_name, line.binding.stream.full_name

    return sorted(lines, key=by_trouble)


def _states(destination: Destination | None) -> dict[tuple[str, str, str], StreamState]:
    """Return the state row of each stream, by source, namespace and name.

    Of one that is loaded by partition it is the newest, without the bookmark of that partition.
    """
    if destination is None or not destination.capabilities.keeps_state:
        return {}
    found: dict[tuple[str, str, str], StreamState] = {}
    for state in destination.states():
        key = (state.source, state.namespace, state.stream)
        if state.shared:
            continue
        if not state.partition:
            found[key] = state
        elif key not in found or _is_newer(state, found[key]):
            found[key] = replace(state, bookmark=None)
    return found


def _is_newer(state: StreamState, than: StreamState) -> bool:
    return bool(than.partition) and state.committed_at > than.committed_at


def _counted(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    definition: dg.PartitionsDefinition[Any] | None,
) -> PartitionCounts | None:
    """Return how many partitions an asset has, as Dagster's events tell."""
    if definition is None:
        return None
    names = definition.get_partition_keys(dynamic_partitions_store=instance)
    statuses = instance.get_status_by_partition(key, names, definition) or {}
    loaded = set(names) & instance.get_materialized_partitions(key)
    failed = [name for name, status in statuses.items() if status is AssetPartitionStatus.FAILED]
    return PartitionCounts(len(names), len(loaded), len(failed))


def as_table(lines: Sequence[Line]) -> str:
    """Return a Markdown table of the streams, and when it was made."""
    rows = [HEAD, ["---"] * len(HEAD)]
    rows += [[as_cell(cell) for cell in line.cells()] for line in lines]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    now = datetime.fromtimestamp(time.time(), tz=UTC)
    return f"{table}\n\nTimes are in UTC; made at {now:%Y-%m-%d %H:%M:%S}."


def span(seconds: float) -> str:
    """Return a length of time in one unit, such as `3 min`, `26 h` or `12 d`."""
    for unit, length in _UNITS:
        if abs(seconds) >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} s"


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_BOOKMARK else f"{text[: MAX_BOOKMARK - 1]}…"
