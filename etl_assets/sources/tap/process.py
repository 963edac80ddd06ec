"""Mage's `process` and `sync`: what a source does as a program, `python my_source.py ...`.

Standard output is the protocol and nothing else. These are verbs; the engine (`sync`, the assets)
never calls them.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from etl_assets.exceptions import EtlAssetsError, SourceError
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.settled import Settled
from etl_assets.model.bookmarks.tracker import BookmarkTracker
from etl_assets.model.catalog import Catalog
from etl_assets.model.selection import selected_columns
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.redaction import redact
from etl_assets.redaction.errors import masked_errors, shown_cause
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import CatalogEntry
from etl_assets.sources.discovery import with_columns
from etl_assets.sources.messages import (
    write_activate_version,
    write_records,
    write_schema,
    write_state,
)
from etl_assets.sources.read import StreamRead
from etl_assets.sources.tap.arguments import is_called_by_the_program, parse_arguments
from etl_assets.sources.tap.declared import DeclaredColumns
from etl_assets.sources.tap.modes import catalog_to_sync, run_mode, streams_to_read
from etl_assets.sources.tap.verbs import comes_in_order, take_arguments


def process(source: Source) -> None:
    """Run the mode that is set, or sync.

    A script that calls this itself has its command line read first.
    """
    is_program = is_called_by_the_program()
    with masked_errors():
        if is_program:
            take_arguments(source, parse_arguments(sys.argv[1:]))
        if not run_mode(source):
            source.sync(catalog_to_sync(source))


def sync_catalog(
    source: Source, catalog: Catalog, properties: Mapping[str, Any] | None = None
) -> None:
    """Write the messages of every selected stream, the one that was interrupted first."""
    streams = streams_to_read(source, catalog)
    failed: dict[str, Exception] = {}
    for stream in streams:
        try:
            source.process_stream(stream, properties)
            source.sync_stream(stream, properties)
        except BrokenPipeError:
            raise  # nobody reads any more
        except Exception as error:  # noqa: BLE001 - a hook may raise anything: it is the connector's edge
            said = (
                error if isinstance(error, EtlAssetsError) else f"{type(error).__name__}: {error}"
            )
            failed[stream.name] = error
            source.logger.error("stream %r failed: %s", stream.name, redact(str(said)))  # noqa: TRY400 - raised below
    if failed:
        first = next(iter(failed.values()))
        names = ", ".join(repr(name) for name in failed)
        raise SourceError(
            f"{len(failed)} of {len(streams)} streams failed: {names}. {redact(str(first))}"
        ) from shown_cause(first)


def process_stream(
    source: Source, stream: Stream, properties: Mapping[str, Any] | None = None
) -> None:
    """Write the SCHEMA message of a stream whose schema, or `properties`, say its columns."""
    bookmarks = source._get_bookmarks_for_stream(stream)  # noqa: SLF001 - Mage's hooks, here and below
    followed = source._get_bookmark_properties_for_stream(stream, bookmarks=bookmarks)  # noqa: SLF001
    internal = source.internal_column_schema(stream, bookmarks=bookmarks)
    stream = with_columns(stream, internal)
    if not stream.schema and not properties:
        return
    columns = _selected_schema(stream)
    if properties is not None:
        declared = (stream.schema or {}).get("properties") or {}
        asked = {**properties, **internal}
        columns = {name: declared.get(name, prop) for name, prop in asked.items()}
    _write_schema(stream, columns, followed)


def sync_stream(source: Source, stream: Stream, properties: Mapping[str, Any] | None = None) -> int:
    """Write a stream's records, and its bookmark at each checkpoint and at the end."""
    began = (source.state.get("bookmarks") or {}).get(stream.name) or None
    followed = source._get_bookmark_properties_for_stream(stream)  # noqa: SLF001 - Mage's hook
    read = StreamRead(
        source, stream, source_name=source.state_name or type(source).__name__, as_tap=True
    )
    stream = read.stream
    version = _begin_version(source, stream, partial=read.partial)
    tracker = _tracker(source, stream, began) if followed else None
    in_order = tracker is not None and comes_in_order(source, stream)
    columns, settled = DeclaredColumns(stream, properties), Settled(stream)
    entry, records = CatalogEntry.of(stream, selected=True), 0
    for batch in _parts(read.open(began), source.state_message_every if in_order else None):
        if batch.remark:
            source.logger.warning("%s: %s", stream.name, batch.remark)
        if not len(batch):
            _save(source, stream, batch.bookmark)
            continue
        rows = batch.to_rows(stream, native_types=True)
        if columns.take(batch, rows):
            _write_schema(stream, columns.properties, list(stream.cursor))
        with _states_by_sync(source):
            source.write_records(entry, rows, properties)
        records += len(rows)
        if tracker is not None:
            tracker.take(settled.cut(batch))
        if batch.bookmark is not None or in_order:
            _save(source, stream, batch.bookmark or (tracker.bookmark() if tracker else None))
    if version is not None:
        write_activate_version(stream.name, version)
    _save(source, stream, tracker.bookmark() if tracker is not None and not in_order else None)
    return records


def write_rows(
    source: Source,
    stream: Stream,
    rows: list[Mapping[str, Any]],
    properties: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Write rows as RECORD messages, with a STATE behind them where `sync_stream` writes none."""
    began = source._get_bookmarks_for_stream(stream)  # noqa: SLF001 - Mage's hooks, here and below
    followed = source._get_bookmark_properties_for_stream(stream, bookmarks=began)  # noqa: SLF001
    internal = source.internal_column_schema(stream, bookmarks=began)
    stream = with_columns(stream, internal)
    tracker, in_order = None, source.is_sorted
    if followed and stream.method != "FULL_TABLE":
        by = (
            stream
            if list(stream.cursor) == list(followed)
            else stream.replace(replication_key=list(followed))
        )
        in_order = comes_in_order(source, by)
        tracker = _tracker(source, by, began if in_order else None)
    writes_states = in_order and not source.sync_writes_states
    last: dict[str, Any] | None = None
    for part in _parts(iter([Batch(rows)]), source.state_message_every if writes_states else None):
        records = _records(stream, part, properties, internal)
        write_records(stream.name, records, version=source.versions.get(stream.name))
        last = records[-1] if records else last
        if tracker is not None and (writes_states or not in_order):
            tracker.take(part)
            _save(source, stream, tracker.bookmark() if writes_states and records else None)
    found = tracker.position() if tracker is not None and not in_order else None
    return {"final_record": last, "max_bookmark": list((found or {}).values())}


def _records(
    stream: Stream, batch: Batch, properties: Mapping[str, Any] | None, internal: Iterable[str]
) -> list[dict[str, Any]]:
    """Return what is written of a batch: selected columns, or `properties` and internal ones."""
    if properties is None:
        return batch.to_rows(stream)
    columns = dict.fromkeys((*properties, *internal))
    cut = Batch([{name: row.get(name) for name in columns} for row in batch.rows or ()])
    return cut.to_rows(Stream(stream.name))


@contextmanager
def _states_by_sync(source: Source) -> Iterator[None]:
    """Have `write_records` write no STATE: `sync_stream` knows better where one may stand."""
    source.sync_writes_states = True
    try:
        yield
    finally:
        source.sync_writes_states = False


def _begin_version(source: Source, stream: Stream, *, partial: bool) -> int | None:
    """Return the version of a full table's rows, if the source is asked for one.

    It is a time in milliseconds, so that it grows.
    """
    source.versions.pop(stream.name, None)
    asked = source.emit_activate_version_messages or source.config.get(
        "emit_activate_version_messages"
    )
    if not asked or stream.cursor or partial:
        return None
    source.versions[stream.name] = time.time_ns() // 1_000_000
    return source.versions[stream.name]


def _parts(batches: Iterator[Batch], every: int | None) -> Iterator[Batch]:
    """Yield batches cut to so many records; a bookmark the source gave comes with the last part."""
    for batch in batches:
        if not every or len(batch) <= every:
            yield batch
            continue
        yield from (batch.slice(start, start + every) for start in range(0, len(batch), every))
        if batch.bookmark is not None:
            yield Batch([], bookmark=batch.bookmark)


def _tracker(source: Source, stream: Stream, began: Bookmark | None) -> BookmarkTracker | None:
    if not stream.cursor:
        return None
    in_order = comes_in_order(source, stream)
    return BookmarkTracker(stream, began, check_order=in_order, ordered=False)


def _save(source: Source, stream: Stream, bookmark: Bookmark | None) -> None:
    """Put a bookmark into the source's state, and write the whole state."""
    if bookmark is None:
        return
    source.state.setdefault("bookmarks", {})[stream.name] = dict(bookmark)
    write_state(source.state)


def _selected_schema(stream: Stream) -> dict[str, Any]:
    declared = (stream.schema or {}).get("properties") or {}
    names = selected_columns(stream)
    return {name: prop for name, prop in declared.items() if names is None or name in names}


def _write_schema(stream: Stream, properties: Mapping[str, Any], followed: Sequence[str]) -> None:
    write_schema(
        stream.name,
        {"type": "object", **(stream.schema or {}), "properties": dict(properties)},
        stream.primary_key,
        followed,
        stream.disable_column_type_check,
        partition_keys=list(stream.partition_keys),
        replication_method=stream.method,
        unique_conflict_method=stream.unique_conflict_method,
        unique_constraints=list(stream.unique_constraints),
    )  # fmt: skip
