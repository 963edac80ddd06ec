"""Mage's hooks of discovery: catalog entries from schema files beside the source's class."""

import inspect
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import simplejson

from etl_assets.exceptions import ConfigError
from etl_assets.model.catalog import Catalog as OwnCatalog
from etl_assets.model.stream import Stream
from etl_assets.sources.catalog import Catalog, CatalogEntry, Schema
from etl_assets.sources.utils import get_standard_metadata

_log = logging.getLogger(__name__)


class DiscoveryHooks:
    """What a source written for Mage overrides to say what its streams are like.

    None of them may connect.
    """

    schemas_folder: str = "schemas"

    def load_schemas_from_folder(self) -> dict[str, Schema]:
        """Return the JSON Schemas of the folder `schemas_folder` beside the class, by stream.

        {} without a folder.

        Raises:
            ConfigError: A file is no JSON object.
        """
        return schemas_beside(type(self), self.schemas_folder)

    def build_catalog_entry(
        self,
        stream_id: str,
        schema: Any,
        bookmark_properties: Sequence[str] | None = None,
        key_properties: Sequence[str] | None = None,
        replication_key: str | None = None,
        replication_method: str | None = None,
        **kwargs: Any,
    ) -> CatalogEntry:
        """Return the catalog entry of a stream; it is not selected.

        Args:
            stream_id: The stream.
            schema: Its JSON Schema.
            bookmark_properties: The fields of its bookmark.
            key_properties: Its primary key; without one, the metadata name what
                `get_table_key_properties` says.
            replication_key: The first of `bookmark_properties` by default.
            replication_method: What `get_forced_replication_method` says by default.
            kwargs: Other words of the entry.
        """
        plain = schema.to_dict() if hasattr(schema, "to_dict") else dict(schema)
        method = replication_method or self.get_forced_replication_method(stream_id)
        metadata = get_standard_metadata(
            key_properties=key_properties or self.get_table_key_properties(stream_id),
            replication_method=method,
            schema=plain,
            stream_id=stream_id,
            valid_replication_keys=bookmark_properties
            or self.get_valid_replication_keys(stream_id),
        )
        metadata[0]["metadata"]["selected"] = False
        words = {
            "bookmark_properties": bookmark_properties,
            "key_properties": list(key_properties or ()),
            "metadata": metadata,
            "replication_key": replication_key or next(iter(bookmark_properties or ()), ""),
            "replication_method": method,
            "stream": stream_id,
            **kwargs,
        }
        return CatalogEntry(
            tap_stream_id=words.pop("tap_stream_id", stream_id), schema=plain, **words
        )

    def get_forced_replication_method(self, stream_id: str) -> str:
        """Return the replication method of a stream; a hook."""
        del stream_id
        return "FULL_TABLE"

    def get_table_key_properties(self, stream_id: str) -> list[str]:
        """Return the primary key of a stream; a hook."""
        del stream_id
        return []

    def get_valid_replication_keys(self, stream_id: str) -> list[str]:
        """Return the fields that can be the replication key of a stream; a hook."""
        del stream_id
        return []

    def get_stream_ids(self: Any) -> list[str]:
        """Return the names of all streams.

        A hook for sources that know them at less cost than `discover`.
        """
        return [stream.tap_stream_id for stream in Catalog.of(self.discover()).streams]

    def discover_streams(self) -> list[dict[str, Any]]:
        """Return the names of all streams as the mode `discover_streams` prints them."""
        return [{"stream": name, "tap_stream_id": name} for name in self.get_stream_ids()]

    def internal_column_schema(
        self, stream: Stream, bookmarks: Mapping[str, Any] | None = None
    ) -> Mapping[str, Mapping[str, Any]]:
        """Return the JSON Schemas of columns that the source adds to a stream by itself; a hook."""
        del stream, bookmarks
        return {}


def catalog_of_schemas(source: Any) -> Catalog | None:
    """Return the catalog that a source's schema files make, or None without any."""
    schemas = source.load_schemas_from_folder()
    return (
        Catalog([source.build_catalog_entry(name, schema) for name, schema in schemas.items()])
        if schemas
        else None
    )


def schemas_beside(class_: type, folder_name: str) -> dict[str, Schema]:
    """Return the JSON Schemas of a folder beside the file of a class, by the file's name."""
    try:
        folder = Path(inspect.getfile(class_)).parent / folder_name
    except (OSError, TypeError):  # made by hand in an interpreter: there is no file
        return {}
    if not folder.is_dir():
        if folder_name != DiscoveryHooks.schemas_folder:
            _log.warning(
                "There is no folder of schemas '%s': schemas_folder is looked for beside the file "
                "of %s.",
                folder,
                class_.__name__,
            )
        return {}
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            document = simplejson.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"The schema {str(path)!r} cannot be read: {error}.") from error
        if not isinstance(document, dict):
            raise ConfigError(f"The schema {str(path)!r} is no JSON object.")
        found[path.stem] = Schema(document)
    return found


def with_columns(stream: Stream, columns: Mapping[str, Mapping[str, Any]]) -> Stream:
    """Return a stream with more columns, all of them selected.

    One it has already stays as it is.
    """
    known = (stream.schema or {}).get("properties") or {}
    new = {name: dict(prop) for name, prop in columns.items() if name not in known}
    if not new or not known:
        return stream  # without a schema, its columns are found in its rows
    said = [
        {"breadcrumb": ["properties", name], "metadata": {"inclusion": "automatic"}} for name in new
    ]
    schema = {**(stream.schema or {}), "properties": {**known, **new}}
    return stream.replace(schema=schema, metadata=[*stream.metadata, *said])


def with_new_fields(source: Any, catalog: OwnCatalog) -> OwnCatalog:
    """Return a catalog where streams with `auto_add_new_fields` have today's columns."""
    names = [stream.name for stream in catalog.values() if stream.auto_add_new_fields]
    if not names:
        return catalog
    found = Catalog.of(source.discover(streams=names))
    changed = []
    for name in names:
        now = found.get_stream(name)
        if now is not None and now.schema:
            changed.append(with_columns(catalog[name], now.schema.get("properties") or {}))
    return catalog.replace(*changed) if changed else catalog


def only(catalog: OwnCatalog, streams: Sequence[str] | None) -> OwnCatalog:
    """Return the named streams of a catalog, or all of it."""
    return catalog if streams is None else type(catalog)(catalog.select(streams))
