"""Mage's process modes: what a source does when it is run as a program, `python my_source.py --catalog ...`.

Standard output is the protocol and nothing else. These are verbs; the engine (`sync`, the assets) never calls them.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejson

from etl_assets.exceptions import ConfigError, EtlAssetsError, SourceError
from etl_assets.protocol.batch import Batch
from etl_assets.protocol.bookmarks import BookmarkTracker
from etl_assets.protocol.catalog import Catalog
from etl_assets.protocol.load import Bookmark
from etl_assets.protocol.schema import from_arrow
from etl_assets.protocol.selection import selected_columns
from etl_assets.protocol.settled import Settled
from etl_assets.protocol.stream import Stream
from etl_assets.redaction import redact
from etl_assets.redaction.errors import shown_cause
from etl_assets.sources.catalog import Catalog as MageCatalog
from etl_assets.sources.catalog import CatalogEntry
from etl_assets.sources.declared import DeclaredColumns
from etl_assets.sources.discovery import with_columns, with_new_fields
from etl_assets.sources.messages import write_activate_version, write_records, write_schema, write_state

if TYPE_CHECKING:
    from etl_assets.sources.base import Source

SAMPLE_ROWS = 100


class ProcessModes:
    """The verbs a source has as a program: short delegations to the functions of this module."""

    emit_activate_version_messages: bool = False
    """Run as a tap: number the rows of each full table and end it with ACTIVATE_VERSION, so that a target removes those
    of older runs. The config may say it too."""

    def process(self: Any) -> None:
        """Do what the mode says, the first that is set: test, sample, discover, count, templates, else sync."""
        process(self)

    def sync(self: Any, catalog: Catalog, properties: Mapping[str, Any] | None = None) -> None:
        """Write the messages of every selected stream; one that fails does not stop the others.

        Raises:
            SourceError: Streams failed; names them, and its cause is the first one's error.
        """
        sync_catalog(self, catalog, properties)

    def process_stream(self: Any, stream: Stream, properties: Mapping[str, Any] | None = None) -> None:
        """Write the SCHEMA message of a stream; one without a schema gets it from its first rows, in `sync_stream`."""
        stream = with_columns(stream, self.internal_column_schema(stream, self._get_bookmarks_for_stream(stream)))
        if stream.schema or properties:
            _write_schema(stream, properties or _selected_schema(stream))

    def sync_stream(self: Any, stream: Stream, properties: Mapping[str, Any] | None = None) -> int:
        """Write the RECORD and STATE messages of a stream; gives the number of records."""
        return sync_stream(self, stream, properties)

    def write_records(
        self: Any, stream: Stream, rows: Sequence[Mapping[str, Any]], properties: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write RECORD messages; gives `final_record` and `max_bookmark` (the largest values, or None)."""
        records = Batch(list(rows)).to_rows(stream)
        if properties is not None:
            records = [{name: record.get(name) for name in properties} for record in records]
        write_records(stream.name, records, version=self.versions.get(stream.name))
        largest = _tracker(self, stream, None)
        if largest is not None:
            largest.take(Batch(list(rows)))
        bookmark = largest.bookmark() if largest is not None else None
        return {
            "final_record": records[-1] if records else None,
            "max_bookmark": [bookmark[name] for name in stream.cursor] if bookmark else None,
        }

    # Mage's names; what overrides `sync` or `sync_stream` calls them.

    def _get_bookmarks_for_stream(self: Any, stream: Stream) -> Bookmark | None:
        """Give the stream's bookmark in the state, or None."""
        return (self.state.get("bookmarks") or {}).get(stream.name) or None

    def _get_bookmark_properties_for_stream(self, stream: Stream) -> list[str]:
        """Give the fields of the stream's bookmark: all of them, of a composite one too."""
        return list(stream.cursor)


def process(source: "Source") -> None:
    """Run the mode that is set, by Mage's priority."""
    modes = source.options
    if modes.get("test_connection"):
        source.test_connection()
    elif modes.get("load_sample_data"):
        _sample(source)
    elif modes.get("discover_mode"):
        _discover(source, names_only=bool(modes.get("discover_streams_mode")))
    elif modes.get("count_records"):
        _count(source)
    elif modes.get("show_templates"):
        _print(_templates(source))
    else:
        source.sync(_catalog_to_sync(source))


def sync_catalog(source: "Source", catalog: Catalog, properties: Mapping[str, Any] | None = None) -> None:
    """Write the messages of every selected stream, the one that was interrupted first."""
    interrupted = source.state.get("currently_syncing")
    streams = sorted(_selected(source, catalog), key=lambda stream: stream.name != interrupted)
    failed: dict[str, Exception] = {}
    for stream in streams:
        try:
            source.process_stream(stream, properties)
            source.sync_stream(stream, properties)
        except BrokenPipeError:
            raise  # nobody reads any more
        except Exception as error:  # noqa: BLE001 - a hook may raise anything: it is the connector's edge
            said = error if isinstance(error, EtlAssetsError) else f"{type(error).__name__}: {error}"
            failed[stream.name] = error
            source.logger.error("stream %r failed: %s", stream.name, redact(str(said)))  # noqa: TRY400 - raised below
    if failed:
        first = next(iter(failed.values()))
        names = ", ".join(repr(name) for name in failed)
        raise SourceError(
            f"{len(failed)} of {len(streams)} streams failed: {names}. {redact(str(first))}"
        ) from shown_cause(first)


def sync_stream(source: "Source", stream: Stream, properties: Mapping[str, Any] | None = None) -> int:
    """Write a stream's records, and its bookmark after each batch that is a checkpoint, and at the end."""
    from etl_assets.sources.read import StreamRead

    began = (source.state.get("bookmarks") or {}).get(stream.name) or None
    read = StreamRead(source, stream, source_name=source.state_name or type(source).__name__, as_tap=True)
    stream = read.stream
    version = _begin_version(source, stream, partial=read.partial)
    tracker, settled = _tracker(source, stream, began), Settled(stream)
    columns = DeclaredColumns(stream, properties)
    entry, records = CatalogEntry.of(stream, selected=True), 0
    for batch in _parts(read.open(began), source.state_message_every if tracker and source.is_sorted else None):
        if batch.remark:
            source.logger.warning("%s: %s", stream.name, batch.remark)
        if not len(batch):
            _save(source, stream, batch.bookmark)
            continue
        rows = batch.to_rows(stream, native_types=True)
        if columns.take(batch, rows):
            _write_schema(stream, columns.properties)
        source.write_records(entry, rows, properties)
        records += len(rows)
        if tracker is not None:
            tracker.take(settled.cut(batch))
        in_order = tracker is not None and source.is_sorted
        if batch.bookmark is not None or in_order:
            _save(source, stream, batch.bookmark or (tracker.bookmark() if tracker else None))
    if version is not None:
        write_activate_version(stream.name, version)
    _save(source, stream, tracker.bookmark() if tracker is not None and not source.is_sorted else None)
    return records


def writes_messages_itself(source: "Source") -> bool:
    """Tell whether a source stands for its Singer messages itself, so that it cannot be read stream by stream."""
    return overridden_mode(source) is not None


def overridden_mode(source: "Source") -> str | None:
    """Give the verb that writes messages and that the source overrides, the first of them, or None."""
    names = ("process", "sync", "process_stream", "sync_stream", "write_records")
    return next((name for name in names if getattr(type(source), name) is not getattr(ProcessModes, name)), None)


def _begin_version(source: "Source", stream: Stream, *, partial: bool) -> int | None:
    """Give the version of a full table's rows where the source is asked for it: in milliseconds, so that it grows."""
    source.versions.pop(stream.name, None)
    asked = source.emit_activate_version_messages or source.config.get("emit_activate_version_messages")
    if not asked or stream.cursor or partial:
        return None
    source.versions[stream.name] = time.time_ns() // 1_000_000
    return source.versions[stream.name]


def _parts(batches: Iterator[Batch], every: int | None) -> Iterator[Batch]:
    """Give batches cut to so many records; a bookmark the source gave comes with the last part."""
    for batch in batches:
        if not every or len(batch) <= every:
            yield batch
            continue
        yield from (batch.slice(start, start + every) for start in range(0, len(batch), every))
        if batch.bookmark is not None:
            yield Batch([], bookmark=batch.bookmark)


def _tracker(source: "Source", stream: Stream, began: Bookmark | None) -> BookmarkTracker | None:
    if not stream.cursor:
        return None
    return BookmarkTracker(stream, began, check_order=source.is_sorted, ordered=False)


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


def _write_schema(stream: Stream, properties: Mapping[str, Any]) -> None:
    write_schema(
        stream.name,
        {**{key: value for key, value in (stream.schema or {}).items() if key != "properties"},
         "type": "object", "properties": dict(properties)},
        stream.primary_key,
        stream.cursor,
        stream.disable_column_type_check,
        partition_keys=list(stream.partition_keys),
        replication_method=stream.method,
        unique_conflict_method=stream.unique_conflict_method,
        unique_constraints=list(stream.unique_constraints),
    )  # fmt: skip


def _catalog_to_sync(source: "Source") -> Catalog:
    if source.catalog is None:
        return MageCatalog.of(source.discover(None))
    return MageCatalog.of(with_new_fields(source, source.catalog))


def _selected(source: "Source", catalog: Catalog) -> list[Stream]:
    """Give the streams to read: those selected in the catalog, or those named, known or not."""
    if source.selected_streams is None:
        return list(catalog.selected)
    known = {stream.name: stream for stream in catalog.streams}
    return [known.get(name) or CatalogEntry.of(Stream(name)) for name in source.selected_streams]


def _discover(source: "Source", *, names_only: bool) -> None:
    if names_only:
        _print(source.discover_streams())
    else:
        found: Any = _with_sampled(source) or source.discover(streams=source.selected_streams)
        _print(found if isinstance(found, Mapping) else found.to_dict())


def _with_sampled(source: "Source") -> Catalog | None:
    """Give the named streams of a source that declares some or none: the schema of the others is found in a sample."""
    from etl_assets.sources.base import Source

    if source.selected_streams is None or type(source).discover is not Source.discover:
        return None
    declared = {stream.name: stream for stream in (source.declared_catalog() or Catalog([])).streams}
    return MageCatalog(
        declared.get(name) or source.build_catalog_entry(name, sampled_schema(source, Stream(name)))
        for name in source.selected_streams
    )


def sampled_schema(source: "Source", stream: Stream) -> dict[str, Any]:
    """Give the JSON Schema of a stream's first rows; {} where there are none."""
    first = _first_batch(source, stream)
    return from_arrow(first.to_arrow(stream).schema) if first is not None else {}


def _count(source: "Source") -> None:
    bookmarks = source.state.get("bookmarks") or {}
    counts = [
        {
            "count": source.count_records(stream, bookmarks=bookmarks.get(stream.name), query=source.query),
            "id": stream.name,
            "stream": stream.name,
        }
        for stream in _selected(source, _catalog_to_sync(source))
    ]
    _print(counts)


def _sample(source: "Source") -> None:
    for stream in _selected(source, _catalog_to_sync(source)):
        first = _first_batch(source, stream)
        rows = [] if first is None else first.to_rows(stream)
        _print({"stream_id": stream.name, "sample_data": rows, "type": "SAMPLE_DATA"})


def _first_batch(source: "Source", stream: Stream) -> Batch | None:
    """Give the first batch with rows, of a read that asks for some only."""
    from etl_assets.sources.read import StreamRead

    name = source.name or type(source).__name__
    read = StreamRead(source, stream, source_name=name, limit=SAMPLE_ROWS, as_tap=True)
    batches: Any = read.open(None, sample=True)
    with closing(batches) as found:
        return next((batch for batch in found if len(batch)), None)


def _templates(source: "Source") -> dict[str, Any]:
    """Give the files of the folder `templates` beside the source's class, by name."""
    module = sys.modules[type(source).__module__]
    folder = Path(getattr(module, "__file__", None) or ".").parent / "templates"
    if not folder.is_dir():
        raise ConfigError(f"{type(source).__name__} has no folder `templates` ({folder}).")
    return {path.stem: simplejson.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}


def _print(document: Any) -> None:
    sys.stdout.write(simplejson.dumps(document, use_decimal=True, ensure_ascii=False) + "\n")
    sys.stdout.flush()
