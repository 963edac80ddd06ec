"""The verbs and hooks of a source as a program: Mage's `process`, `sync` and their parts.

What the verbs do reads sources, so it lies above the base class; it is reached when a verb is
called.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import simplejson

from etl_assets.exceptions import ConfigError
from etl_assets.model.catalog import Catalog
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.registry import reach
from etl_assets.sources.catalog import Catalog as MageCatalog

MODES: Mapping[str, str] = {
    "test_connection": "should_test_connection",
    "load_sample_data": "load_sample_data",
    "discover_mode": "discover_mode",
    "discover_streams_mode": "discover_streams_mode",
    "count_records": "count_records_mode",
    "show_templates": "show_templates",
}
"""Mage's arguments that choose a mode, and the attributes in which it keeps them."""


class ProcessModes:
    """The verbs that a source has as a program, and the hooks that they call."""

    emit_activate_version_messages: bool = False
    """Run as a tap: number the rows of each full table and end it with ACTIVATE_VERSION, so that a
    target removes those of older runs. The config may say it too."""
    sync_writes_states: bool = False
    """`sync_stream` is calling `write_records`, and writes the STATE messages itself."""

    # What it keeps of Mage's documents and modes
    catalog: Catalog | None
    config: Any  # a property with a setter that takes any mapping
    config_is_missing: bool
    query: dict[str, Any]
    selected_streams: list[str] | None
    state: dict[str, Any]
    is_sorted: bool
    should_test_connection: bool
    load_sample_data: bool
    discover_mode: bool
    discover_streams_mode: bool
    count_records_mode: bool
    show_templates: bool

    @classmethod
    def templates(cls) -> dict[str, Any]:
        """Return the files of the folder `templates` beside the class, by name.

        Raises:
            ConfigError: There is no such folder.
        """
        return _templates_beside(cls)

    def process(self) -> None:
        """Run the first mode that is set; without one, sync.

        Their order is test, sample, discover, count, templates.
        """
        reach("process")(self)

    def sync(self, catalog: Catalog, properties: Mapping[str, Any] | None = None) -> None:
        """Write the messages of every selected stream; one that fails does not stop the others.

        Raises:
            SourceError: Streams failed; names them, and its cause is the first one's error.
        """
        reach("sync_catalog")(self, catalog, properties)

    def process_stream(self, stream: Stream, properties: Mapping[str, Any] | None = None) -> None:
        """Write the SCHEMA message of a stream.

        A stream without a schema gets it from its first rows, in `sync_stream`.
        """
        reach("process_stream")(self, stream, properties)

    def sync_stream(self, stream: Stream, properties: Mapping[str, Any] | None = None) -> int:
        """Write the RECORD and STATE messages of a stream; return the number of records."""
        records: int = reach("sync_stream")(self, stream, properties)
        return records

    def write_records(
        self,
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
            the bookmark properties: empty for a stream that is not followed, and for a sorted one,
            whose STATE is already written.
        """
        written: dict[str, Any] = reach("write_rows")(self, stream, list(rows), properties)
        return written

    # Mage's names; what overrides `sync` or `sync_stream` calls them.

    def _get_bookmarks_for_stream(self, stream: Stream) -> Bookmark | None:
        """Return the stream's bookmark in the state, or None."""
        return (self.state.get("bookmarks") or {}).get(stream.name) or None

    def _get_bookmark_properties_for_stream(
        self, stream: Stream, bookmarks: Bookmark | None = None
    ) -> list[str]:
        """Return the fields that say how far a stream was read; a hook.

        All fields of a composite replication key are among them.
        """
        del bookmarks
        return [] if stream.method == "FULL_TABLE" else self._get_replication_key(stream)

    def _get_replication_key(self, stream: Stream) -> list[str]:
        """Return the fields of a stream's replication key, however it is read."""
        fields = (stream.replication_key, *stream.bookmark_properties)
        return list(dict.fromkeys(name for name in fields if name))


def take_arguments(source: ProcessModes, given: Mapping[str, Any]) -> None:
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


def writes_messages_itself(source: ProcessModes) -> bool:
    """Return whether a source writes its Singer messages itself, for all its streams."""
    return overridden_mode(source) is not None


def overridden_mode(source: ProcessModes) -> str | None:
    """Return the first verb that writes messages and that the source overrides, or None."""
    for name in ("process", "sync", "process_stream", "sync_stream", "write_records"):
        if overrides(source, name):
            return name
    return None


def overrides(source: ProcessModes, name: str) -> bool:
    """Return whether a source has a verb or hook of its own in place of the one here."""
    return getattr(type(source), name) is not getattr(ProcessModes, name)


def comes_in_order(source: ProcessModes, stream: Stream) -> bool:
    """Return whether rows come in the order of the replication key.

    The source says so, and somebody has chosen the key. Where a catalog entry names no key, it is
    the only one that its metadata calls valid; nobody promised any order by that one.
    """
    entry = stream.to_dict()
    chosen = (
        entry.get("replication_key")
        or entry.get("bookmark_properties")
        or stream.metadata_of().get("replication-key")
    )
    return source.is_sorted and bool(chosen)


def _templates_beside(class_: type) -> dict[str, Any]:
    file = getattr(sys.modules.get(class_.__module__), "__file__", None)
    folder = Path(file or ".").parent / "templates"
    if not folder.is_dir():
        raise ConfigError(f"{class_.__name__} has no folder `templates` ({folder}).")
    return {
        path.stem: simplejson.loads(path.read_text("utf-8"))
        for path in sorted(folder.glob("*.json"))
    }
