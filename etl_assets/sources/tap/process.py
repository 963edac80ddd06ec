"""Mage's `process` and `sync`: what a source does when it is run as a program, `python my_source.py --catalog ...`.

Standard output is the protocol and nothing else. These are verbs; the engine (`sync`, the assets)
never calls them.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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
from etl_assets.sources.catalog import CatalogEntry
from etl_assets.sources.discovery import with_columns
from etl_assets.sources.messages import (
    write_activate_version,
    write_records,
    write_schema,
    write_state,
)
from etl_assets.sources.tap.arguments import is_called_by_the_program, parse_arguments
from etl_assets.sources.tap.declared import DeclaredColumns
from etl_assets.sources.tap.modes import (
    catalog_to_sync,
    run_mode,
    streams_to_read,
    take_arguments,
    templates_beside,
)

if TYPE_CHECKING:
    from etl_assets.sources.base import Source


class ProcessModes:
    """The verbs a source has as a program: short delegations to the functions of this module."""

    emit_activate_version_messages: bool = False
    """Run as a tap: number the rows of each full table and end it with ACTIVATE_VERSION, so that a target removes those
    of older runs. The config may say it too."""
    sync_writes_states: bool = False
    """`sync_stream` is calling `write_records`, and writes the STATE messages itself."""

    @classmethod
    def templates(cls) -> dict[str, Any]:
        """Return the files of the folder `templates` beside the class, by name.

        Raises:
            ConfigError: There is no such folder.
        """
        return templates_beside(cls)

    def process(self: Any) -> None:
        """Do what the mode says, the first that is set: test, sample, discover, count, templates, else sync."""
        process(self)

    def sync(self: Any, catalog: Catalog, properties: Mapping[str, Any] | None = None) -> None:
        """Write the messages of every selected stream; one that fails does not stop the others.

        Raises:
            SourceError: Streams failed; names them, and its cause is the first one's error.
        """
        sync_catalog(self, catalog, properties)

    def process_stream(
        self: Any, stream: Stream, properties: Mapping[str, Any] | None = None
    ) -> None:
        """Write the SCHEMA message of a stream.

        One without a schema gets it from its first rows, in `sync_stream`.
        """
        bookmarks = self._get_bookmarks_for_stream(stream)
        internal = self.internal_column_schema(stream, bookmarks=bookmarks)
        stream = with_columns(stream, internal)
        if stream.schema or properties:
            declared = (stream.schema or {}).get("properties") or {}
            columns = _selected_schema(stream)
            if properties is not None:
                columns = {
                    name: declared.get(name, prop)
                    for name, prop in {**properties, **internal}.items()
                }
            _write_schema(
                stream,
                columns,
                self._get_bookmark_properties_for_stream(stream, bookmarks=bookmarks),
            )

    def sync_stream(self: Any, stream: Stream, properties: Mapping[str, Any] | None = None) -> int:
        """Write the RECORD and STATE messages of a stream; returns the number of records."""
        return sync_stream(self, stream, properties)

    def write_records(
        self: Any,
        stream: Stream,
        rows: Sequence[Mapping[str, Any]],
        properties: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Write RECORD messages, and of a sorted stream that is followed its STATE.

        Args:
            stream: The stream.
            rows: Its rows.
            properties: The columns to write, in place of those that are selected.

        Returns:
            `final_record`, None without rows; and `max_bookmark`, a list of the largest values of
            the bookmark
            properties: empty for a stream that is not followed, and for a sorted one, whose STATE
                is already written.
        """
        return write_rows(self, stream, list(rows), properties)

    # Mage's names; what overrides `sync` or `sync_stream` calls them.

    def _get_bookmarks_for_stream(self: Any, stream: Stream) -> Bookmark | None:
        """Return the stream's bookmark in the state, or None."""
        return (self.state.get("bookmarks") or {}).get(stream.name) or None

    def _get_bookmark_properties_for_stream(
        self: Any, stream: Stream, bookmarks: Bookmark | None = None
    ) -> list[str]:
        """Return the fields that say how far a stream was read.

        A hook. All of them, of a composite one too.
        """
        del bookmarks
        return [] if stream.method == "FULL_TABLE" else self._get_replication_key(stream)

    def _get_replication_key(self, stream: Stream) -> list[str]:
        """Return the fields of a stream's replication key, however it is read."""
        return list(
            dict.fromkeys(
                name for name in (stream.replication_key, *stream.bookmark_properties) if name
            )
        )


def process(source: "Source") -> None:
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
    source: "Source", catalog: Catalog, properties: Mapping[str, Any] | None = None
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


def sync_stream(
    source: "Source", stream: Stream, properties: Mapping[str, Any] | None = None
) -> int:
    """Write a stream's records, and its bookmark after each batch that is a checkpoint, and at the end."""
    from etl_assets.sources.read import StreamRead

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
    source: Any, stream: Stream, rows: list[Mapping[str, Any]], properties: Mapping[str, Any] | None
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
    """Return what is written of a batch: the selected columns, or those of `properties` and the source's own."""
    if properties is None:
        return batch.to_rows(stream)
    columns = dict.fromkeys((*properties, *internal))
    cut = Batch([{name: row.get(name) for name in columns} for row in batch.rows or ()])
    return cut.to_rows(Stream(stream.name))


@contextmanager
def _states_by_sync(source: "Source") -> Iterator[None]:
    """Have `write_records` write no STATE: whoever syncs the stream knows better where one may stand."""
    source.sync_writes_states = True
    try:
        yield
    finally:
        source.sync_writes_states = False


def writes_messages_itself(source: "Source") -> bool:
    """Return whether a source stands for its Singer messages itself, so that it cannot be read stream by stream."""
    return overridden_mode(source) is not None


def overridden_mode(source: "Source") -> str | None:
    """Return the verb that writes messages and that the source overrides, the first of them, or None."""
    names = ("process", "sync", "process_stream", "sync_stream", "write_records")
    return next(
        (name for name in names if getattr(type(source), name) is not getattr(ProcessModes, name)),
        None,
    )


def _begin_version(source: "Source", stream: Stream, *, partial: bool) -> int | None:
    """Return the version of a full table's rows where the source is asked for it: in milliseconds, so that it grows."""
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


def comes_in_order(source: "Source", stream: Stream) -> bool:
    """Return whether rows come in the order of the replication key: the source says so, and somebody chose the key.

    Where a catalog entry names no key, it is the only one its metadata call valid: of that, nobody
    promised anything.
    """
    entry = stream.to_dict()
    chosen = entry.get("replication_key") or entry.get("bookmark_properties")
    return source.is_sorted and bool(chosen or stream.metadata_of().get("replication-key"))


def _tracker(source: "Source", stream: Stream, began: Bookmark | None) -> BookmarkTracker | None:
    if not stream.cursor:
        return None
    in_order = comes_in_order(source, stream)
    return BookmarkTracker(stream, began, check_order=in_order, ordered=False)


def _save(source: "Source", stream: Stream, bookmark: Bookmark | None) -> None:
    """Put a bookmark into the source's state, beside those of the other streams, and write the whole."""
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
