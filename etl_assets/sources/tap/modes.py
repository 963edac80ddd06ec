"""What a source does once when it is run as a program, and prints: Mage's modes beside the sync.

Standard output is the protocol and nothing else. These are verbs; the engine (`sync`, the assets)
never calls them.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import simplejson

from etl_assets.model.batch import Batch
from etl_assets.model.catalog import Catalog
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import Catalog as MageCatalog
from etl_assets.sources.catalog import CatalogEntry
from etl_assets.sources.discovery import with_new_fields
from etl_assets.sources.read import StreamRead

SAMPLE_ROWS = 100
TYPE_SAMPLE_DATA = "SAMPLE_DATA"

_NONE_SELECTED = (
    "No stream is selected, so nothing is read. Set `selected` to true in the metadata of the "
    "catalog's streams (the entry whose breadcrumb is empty), or name them with "
    "--selected_streams_json."
)


def run_mode(source: Source) -> bool:
    """Run the mode that is set, by Mage's priority.

    Returns False where there is none, so that it is to sync.
    """
    if source.should_test_connection:
        source.test_connection()
    elif source.load_sample_data:
        _sample(source)
    elif source.discover_mode:
        _discover(source)
    elif source.count_records_mode:
        _count(source)
    elif source.show_templates:
        _print(source.templates())
    else:
        return False
    return True


def catalog_to_sync(source: Source) -> Catalog:
    """Return the catalog to sync: the one that the source was given, or else discovers.

    A given one has new fields where its streams take them. Where streams were named it has those
    alone: a source that overrides `sync` reads what is in it.
    """
    given = source.catalog
    catalog = MageCatalog.of(
        with_new_fields(source, given) if given is not None else catalog_of(source)
    )
    if source.selected_streams is not None:
        names = set(source.selected_streams)
        catalog = catalog.copy()
        catalog.streams = [stream for stream in catalog.streams if stream.name in names]
    return catalog


def catalog_of(source: Source) -> Catalog:
    """Return the catalog a source was given, or else the one it discovers."""
    if source.catalog is None:
        # A source that declares nothing is asked for all: names that it does not know are read all
        # the same.
        names = source.selected_streams if _discovers(source) else None
        return MageCatalog.of(source.discover(streams=names))
    return MageCatalog.of(source.catalog)


def streams_to_read(source: Source, catalog: Any) -> list[Stream]:
    """Return the selected streams, the one that was interrupted first.

    Or those that are named, known or not.
    """
    if source.selected_streams is None:
        own: Any = catalog if hasattr(catalog, "get_selected_streams") else MageCatalog.of(catalog)
        streams = list(own.get_selected_streams(source.state))
        if not streams:
            source.logger.warning(_NONE_SELECTED)
        return streams
    known = {stream.name: stream for stream in catalog.streams}
    names = sorted(
        source.selected_streams, key=lambda name: name != source.state.get("currently_syncing")
    )
    return [known.get(name) or CatalogEntry.of(Stream(name)) for name in names]


def sampled_schema(source: Source, stream: Stream) -> dict[str, Any]:
    """Return the JSON Schema of a stream's first rows; {} where there are none."""
    first = _first_batch(source, stream)
    return from_arrow(first.to_arrow(stream).schema) if first is not None else {}


def _discover(source: Source) -> None:
    if source.discover_streams_mode:
        json.dump(source.discover_streams(), sys.stdout)
        _end_line()
        return
    found: Any = _with_sampled(source) or source.discover(streams=source.selected_streams)
    _print(found if isinstance(found, Mapping) else MageCatalog.of(found).to_dict())


def _with_sampled(source: Source) -> Catalog | None:
    """Return the named streams; one that the source does not declare has a sample's schema."""
    if source.selected_streams is None or _discovers(source):
        return None
    declared = {
        stream.name: stream for stream in (source.declared_catalog() or Catalog([])).streams
    }
    return MageCatalog(
        declared.get(name) or source.build_catalog_entry(name, sampled_schema(source, Stream(name)))
        for name in source.selected_streams
    )


def _discovers(source: Source) -> bool:
    return type(source).discover is not Source.discover


def _count(source: Source) -> None:
    bookmarks = source.state.get("bookmarks") or {}
    counts = [
        {
            "count": source.count_records(
                stream, bookmarks=bookmarks.get(stream.name), query=source.query
            ),
            "id": stream.name,
            "stream": stream.name,
        }
        for stream in streams_to_read(source, catalog_of(source))
    ]
    json.dump(counts, sys.stdout)
    _end_line()


def _sample(source: Source) -> None:
    """Print the first rows of each stream as Mage does: pandas' JSON of the columns, as a text."""
    import pandas as pd

    for stream in streams_to_read(source, catalog_of(source)):
        first = _first_batch(source, stream)
        rows = [] if first is None else first.to_rows(stream, native_types=True)
        text = pd.DataFrame.from_records(rows).to_json()
        _print({"stream_id": stream.name, "sample_data": text, "type": TYPE_SAMPLE_DATA})


def _first_batch(source: Source, stream: Stream) -> Batch | None:
    """Return the first batch with rows, of a read that asks for some only."""
    name = source.name or type(source).__name__
    read = StreamRead(source, stream, source_name=name, limit=SAMPLE_ROWS, as_tap=True)
    batches: Any = read.open(None, sample=True)
    with closing(batches) as found:
        return next((batch for batch in found if len(batch)), None)


def _print(document: Any) -> None:
    sys.stdout.write(simplejson.dumps(document, use_decimal=True, ensure_ascii=False))
    _end_line()


def _end_line() -> None:
    sys.stdout.write("\n")
    sys.stdout.flush()
