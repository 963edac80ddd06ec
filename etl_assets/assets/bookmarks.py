"""Bookmarks in the event log: the newest event *of a run*.

An event without a run moves no bookmark.

The web server takes a runless event from anybody who reaches it, and "Report materialization" in
the UI makes one without a bookmark, which must not hide the one before.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import dagster as dg

from etl_assets.assets.bookmark_metadata import BOOKMARK, LOAD_ID, ShownBookmark, bookmark_in
from etl_assets.exceptions import ConfigError
from etl_assets.model.stored import Bookmark

ROW_COUNT = "dagster/row_count"
DESTINATION = "etl_assets/destination"
SCOPE = "etl_assets/bookmark_scope"
PAGE = 100
"""How many records a page has.

Three hundred events without a bookmark took two seconds one by one, and 76 ms by the page.
"""


@dataclass(frozen=True)
class BookmarkEvent:
    """The event of a run that carries a bookmark.

    Args:
        bookmark: What it carries.
        run_id: Of its run; never empty.
        load_id: Of its load; "" where it names none.
        timestamp: Seconds since 1970, by the clock of the machine that ran the step: it orders
            nothing.
        number: Of its record in the event log, which counts them; 0 where it was not asked for.
        rows: In the table; None where the event does not say.
        destination: The identity of a destination that keeps no state; "" for one that does.
        checkpoint: It is an observation: its run committed so far, and maybe no further.
        shared: The bookmark is the state of the whole source.
    """

    bookmark: ShownBookmark
    run_id: str
    load_id: str
    timestamp: float
    number: int
    rows: int | None = None
    destination: str = ""
    checkpoint: bool = False
    shared: bool = False


def newest_event(instance: dg.DagsterInstance, key: dg.AssetKey) -> BookmarkEvent | None:
    """Return the newest materialization of a run that carries a bookmark."""
    return next(_materializations(instance, key), None)


def newest_events(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]
) -> dict[dg.AssetKey, BookmarkEvent | None]:
    """Return the newest event of each asset, with one read for all of them where possible."""
    keys = list(keys)
    latest = instance.get_latest_materialization_events(keys)
    found: dict[dg.AssetKey, BookmarkEvent | None] = {}
    for key in keys:
        entry = latest.get(key)
        found[key] = (
            None if entry is None else (_from_entry(entry, 0) or newest_event(instance, key))
        )
    return found


def newest_loads(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey]
) -> dict[dg.AssetKey, BookmarkEvent | None]:
    """Return the newest event of each asset that is loaded by partition: it has no bookmark."""
    latest = instance.get_latest_materialization_events(keys)
    nothing = ShownBookmark(None, whole=True)
    return {
        key: None if entry is None or not entry.run_id else _event(entry, nothing, 0)
        for key, entry in latest.items()
    }


def newest_bookmark(
    instance: dg.DagsterInstance, key: dg.AssetKey, destination: str, *, shared: bool = False
) -> Bookmark | None:
    """Return the bookmark to go on from where the destination keeps none.

    It is that of the newest materialization, or of a later checkpoint.

    Args:
        instance: Where events are.
        key: Of the asset.
        destination: The destination's identity: what another one has loaded, this one has not.
        shared: Ask for the state of the whole source, not for that of the stream.

    Raises:
        ConfigError: The event shows only the digest of its bookmark.
    """
    event = _newest(instance, key, destination, shared=shared)
    return None if event is None else _whole(event, key)


def newest_shared_bookmark(
    instance: dg.DagsterInstance, keys: Iterable[dg.AssetKey], destination: str
) -> Bookmark | None:
    """Return the state of a whole source to go on from where the destination keeps none.

    It is the newest of the states of its streams.
    """
    found = ((_newest(instance, key, destination, shared=True), key) for key in keys)
    newest = max(
        ((event, key) for event, key in found if event), key=lambda one: one[0].number, default=None
    )
    return None if newest is None else _whole(*newest)


def _newest(
    instance: dg.DagsterInstance, key: dg.AssetKey, destination: str, *, shared: bool
) -> BookmarkEvent | None:
    def mine(event: BookmarkEvent) -> bool:
        return event.destination == destination and event.shared == shared

    event = next(filter(mine, _materializations(instance, key)), None)
    checkpoint = next(filter(mine, _checkpoints(instance, key)), None)
    if checkpoint and (event is None or checkpoint.number > event.number):
        return checkpoint
    return event


def _whole(event: BookmarkEvent, key: dg.AssetKey) -> Bookmark | None:
    if not event.bookmark.whole:
        raise ConfigError(
            f"The newest event of {key.to_user_string()} shows only the digest of its bookmark, "
            "and the destination keeps none.",
            hint="Run it once with `full_refresh`, or with a `bookmark` in the run config.",
        )
    return event.bookmark.value


def _materializations(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[BookmarkEvent]:
    return _events(
        instance.fetch_materializations, key, limit=1
    )  # the newest one is nearly always enough


def _checkpoints(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[BookmarkEvent]:
    return _events(instance.fetch_observations, key, limit=PAGE)


def _events(
    fetch: Callable[..., dg.EventRecordsResult], key: dg.AssetKey, limit: int
) -> Iterator[BookmarkEvent]:
    cursor: str | None = None
    while True:
        page = fetch(key, limit=limit, cursor=cursor)
        for record in page.records:
            event = _from_entry(record.event_log_entry, record.storage_id)
            if event is not None:
                yield event
        if not page.has_more:
            return
        cursor, limit = page.cursor, PAGE


def _from_entry(entry: dg.EventLogEntry, number: int) -> BookmarkEvent | None:
    shown = entry.asset_materialization or entry.asset_observation
    if not entry.run_id or shown is None or BOOKMARK not in shown.metadata:
        return None
    return _event(entry, bookmark_in(shown.metadata), number)


def _event(entry: dg.EventLogEntry, bookmark: ShownBookmark, number: int) -> BookmarkEvent:
    shown = entry.asset_materialization or entry.asset_observation
    metadata = {} if shown is None else shown.metadata
    load_id, rows = metadata.get(LOAD_ID), metadata.get(ROW_COUNT)
    destination = metadata.get(DESTINATION)
    return BookmarkEvent(
        bookmark=bookmark,
        run_id=entry.run_id,
        load_id=str(load_id.value) if load_id is not None else "",
        timestamp=entry.timestamp,
        number=number,
        destination=str(destination.value) if destination is not None else "",
        rows=rows.value if isinstance(rows, dg.IntMetadataValue) else None,
        checkpoint=entry.asset_observation is not None,
        shared=SCOPE in metadata,
    )
