"""What a source does once when it is run as a program, and prints: Mage's modes beside the sync.

Standard output is the protocol and nothing else. These are verbs; the engine (`sync`, the assets)
never calls them.
"""

import json
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simplejson

from etl_assets.exceptions import ConfigError
from etl_assets.model.batch import Batch
from etl_assets.model.catalog import Catalog
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.model.stream import Stream
from etl_assets.sources.catalog import Catalog as MageCatalog
from etl_assets.sources.catalog import CatalogEntry
from etl_assets.sources.discovery import with_new_fields

if TYPE_CHECKING:
    from etl_assets.sources.base import Source

SAMPLE_ROWS = 100
TYPE_SAMPLE_DATA = "SAMPLE_DATA"

MODES: Mapping[str, str] = {
    "test_connection": "should_test_connection",
    "load_sample_data": "load_sample_data",
    "discover_mode": "discover_mode",
    "discover_streams_mode": "discover_streams_mode",
    "count_records": "count_records_mode",
    "show_templates": "show_templates",
}
"""Mage's arguments that choose a mode, and the attributes in which it keeps them."""

_NONE_SELECTED = (
    "No stream is selected, so nothing is read. Set `selected` to true in the metadata of the catalog's streams "
    "(the entry whose breadcrumb is empty), or name them with --selected_streams_json."
)


def take_arguments(source: "Source", given: Mapping[str, Any]) -> None:
    """Set what is given of Mage's documents and modes; the others stay as they are."""
    if "config" in given:
        source.config = given["config"] or {}
        source.config_is_missing = given["config"] is None
    if "catalog" in given:
        catalog = given["catalog"]
        source.catalog = MageCatalog.from_dict(catalog) if isinstance(catalog, Mapping) else catalog
    if "query" in given:
        query = given["query"]
        source.query = json.loads(query) if isinstance(query, str) else dict(query or {})
    if "selected_streams" in given:
        selected = given["selected_streams"]
        source.selected_streams = None if selected is None else list(selected)
    if "state" in given:
        source.state = dict(given["state"] or {})
    for name in MODES.keys() & given.keys():
        setattr(source, MODES[name], bool(given[name]))


def run_mode(source: Any) -> bool:
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


def catalog_to_sync(source: "Source") -> Catalog:
    """Return the catalog a source was given, with new fields where it takes them, or else the one it discovers.

    Where streams were named it has those alone: a source that overrides `sync` reads what is in it.
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


def catalog_of(source: "Source") -> Catalog:
    """Return the catalog a source was given, or else the one it discovers."""
    if source.catalog is None:
        # A source that declares nothing is asked for all: names that it does not know are read all
        # the same.
        names = source.selected_streams if _discovers(source) else None
        return MageCatalog.of(source.discover(streams=names))
    return MageCatalog.of(source.catalog)


def streams_to_read(source: "Source", catalog: Any) -> list[Stream]:
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


def sampled_schema(source: "Source", stream: Stream) -> dict[str, Any]:
    """Return the JSON Schema of a stream's first rows; {} where there are none."""
    first = _first_batch(source, stream)
    return from_arrow(first.to_arrow(stream).schema) if first is not None else {}


def templates_beside(class_: type) -> dict[str, Any]:
    """Return the files of the folder `templates` beside a class, by name.

    Raises:
        ConfigError: There is no such folder.
    """
    file = getattr(sys.modules.get(class_.__module__), "__file__", None)
    folder = Path(file or ".").parent / "templates"
    if not folder.is_dir():
        raise ConfigError(f"{class_.__name__} has no folder `templates` ({folder}).")
    return {
        path.stem: simplejson.loads(path.read_text("utf-8"))
        for path in sorted(folder.glob("*.json"))
    }


def _discover(source: "Source") -> None:
    if source.discover_streams_mode:
        json.dump(source.discover_streams(), sys.stdout)
        _end_line()
        return
    found: Any = _with_sampled(source) or source.discover(streams=source.selected_streams)
    _print(found if isinstance(found, Mapping) else MageCatalog.of(found).to_dict())


def _with_sampled(source: "Source") -> Catalog | None:
    """Return the named streams of a source that declares some or none: others get their schema from a sample."""
    if source.selected_streams is None or _discovers(source):
        return None
    declared = {
        stream.name: stream for stream in (source.declared_catalog() or Catalog([])).streams
    }
    return MageCatalog(
        declared.get(name) or source.build_catalog_entry(name, sampled_schema(source, Stream(name)))
        for name in source.selected_streams
    )


def _discovers(source: "Source") -> bool:
    from etl_assets.sources.base import Source

    return type(source).discover is not Source.discover


def _count(source: "Source") -> None:
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


def _sample(source: "Source") -> None:
    """Print the first rows of each stream as Mage does: pandas' JSON of the columns, as a text."""
    import pandas as pd

    for stream in streams_to_read(source, catalog_of(source)):
        first = _first_batch(source, stream)
        rows = [] if first is None else first.to_rows(stream, native_types=True)
        text = pd.DataFrame.from_records(rows).to_json()
        _print({"stream_id": stream.name, "sample_data": text, "type": TYPE_SAMPLE_DATA})


def _first_batch(source: "Source", stream: Stream) -> Batch | None:
    """Return the first batch with rows, of a read that asks for some only."""
    from etl_assets.sources.read import StreamRead

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
