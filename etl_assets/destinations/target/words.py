"""What a destination has been told of each stream, in the attributes where Mage's hooks look it up.

A pipe tells it by SCHEMA messages, an asset by its stream.
"""

from collections.abc import Collection, Mapping
from typing import Any

from etl_assets.destinations.constants import INTERNAL_COLUMN_SCHEMA, UNIQUE_CONFLICT_METHOD_UPDATE
from etl_assets.destinations.target.hooks import DestinationHooks, StreamWords
from etl_assets.exceptions import ProtocolError
from etl_assets.model.batch import Batch
from etl_assets.model.catalog_entries import copied
from etl_assets.model.schema.json_schema import from_arrow, type_to_property
from etl_assets.model.stream import Stream
from etl_assets.model.values.columns import to_array

PER_STREAM = (
    "bookmark_properties",
    "disable_column_type_check",
    "key_properties",
    "partition_keys",
    "replication_methods",
    "schemas",
    "unique_conflict_methods",
    "unique_constraints",
    "versions",
)
"""The attributes that hold a word of each stream."""

ADDED_COLUMNS = "added_columns"
"""The attribute with the columns of each stream that its schema has by us alone."""

UNCHECKED_STREAMS = "unchecked_streams"
"""The attribute that says of each stream whether it forbids the check of types itself.

Mage's `disable_column_type_check` is True also where nobody has said anything.
"""


def begin_streams(destination: StreamWords) -> None:
    """Forget what earlier messages said of streams."""
    for name in (*PER_STREAM, ADDED_COLUMNS, UNCHECKED_STREAMS):
        setattr(destination, name, {})


def process_schema(
    destination: DestinationHooks, stream: str, schema: Mapping[str, Any], row: Mapping[str, Any]
) -> None:
    """Remember what a SCHEMA message says; a schema of the catalog wins over it.

    Raises:
        ProtocolError: It names no stream.
    """
    if not stream:
        raise ProtocolError("A SCHEMA message names no stream.")
    listed = _catalog_entry(destination, stream)
    of_catalog = {key: value for key, value in listed.items() if value or value is False}
    said: Mapping[str, Any] = {**row, **of_catalog}
    own = listed.get("schema") or schema
    declared = own.get("properties") or {}
    properties = dict(declared)
    for column, prop in _added_properties(destination, stream).items():
        properties.setdefault(column, prop)
    own_partitions = destination.streams_override_settings.get("partition_keys", ())
    bookmarks = row.get("bookmark_properties") or said.get("bookmark_properties")
    words = {
        "schemas": {**own, "properties": properties},
        "key_properties": list(said.get("key_properties") or ()),
        "bookmark_properties": list(bookmarks or ()),
        "unique_constraints": list(said.get("unique_constraints") or ()),
        "unique_conflict_methods": said.get("unique_conflict_method"),
        "replication_methods": said.get("replication_method"),
        "partition_keys": [*(said.get("partition_keys") or ()), *own_partitions],
        "disable_column_type_check": said.get("disable_column_type_check") is not False,
        UNCHECKED_STREAMS: said.get("disable_column_type_check") is True,
        ADDED_COLUMNS: INTERNAL_COLUMN_SCHEMA.keys() - declared.keys(),
    }
    for name, value in words.items():
        _of_streams(destination, name)[stream] = value


def _catalog_entry(destination: DestinationHooks, stream: str) -> Mapping[str, Any]:
    """Return the entry of the catalog that has a schema for a stream; an empty one without it."""
    entries = (destination.target.catalog or {}).get("streams") or ()
    for entry in entries:
        is_named = stream in (entry.get("tap_stream_id"), entry.get("stream"))
        if is_named and entry.get("schema"):
            found: Mapping[str, Any] = entry
            return found
    return {}


def _added_properties(destination: DestinationHooks, stream: str) -> dict[str, Any]:
    """Return the properties of the columns that are added to every stream."""
    added: dict[str, Any] = copied(INTERNAL_COLUMN_SCHEMA)
    for column, value in static_columns(destination).items():
        # Of the value's own type, so that the check of types takes it.
        array = to_array([value], None, stream=stream, field=column)
        added[column] = type_to_property(array.type)
    return added


def stream_of(destination: StreamWords, name: str) -> Stream:
    """Return the stream that its SCHEMA message has described."""
    bookmarks = destination.bookmark_properties.get(name) or ()
    method = destination.replication_methods.get(name)
    if not bookmarks and method == "INCREMENTAL":
        method = None  # the tap keeps a bookmark of its own
    return Stream(
        name,
        schema=_declared_schema(destination, name),
        primary_key=destination.key_properties.get(name) or (),
        replication_key=bookmarks or None,
        replication_method=method,
        unique_constraints=destination.unique_constraints.get(name) or (),
        unique_conflict_method=destination.unique_conflict_methods.get(name),
        partition_keys=destination.partition_keys.get(name) or (),
        disable_column_type_check=_check_disabled(destination, name),
    )


def _declared_schema(destination: StreamWords, name: str) -> dict[str, Any] | None:
    """Return a stream's schema without the columns that were added to it."""
    said = destination.schemas.get(name)
    if not said:
        return None
    added = _of_streams(destination, ADDED_COLUMNS).get(name, ())
    declared = said.get("properties") or {}
    columns = {column: prop for column, prop in declared.items() if column not in added}
    return {**said, "properties": columns}


def _check_disabled(destination: StreamWords, name: str) -> bool | None:
    """Return what a stream says of the check of types; None where it says nothing."""
    if _of_streams(destination, UNCHECKED_STREAMS).get(name):
        return True
    return False if destination.disable_column_type_check.get(name) is False else None


def describe(
    destination: DestinationHooks, batch: Batch, stream: Stream, columns: Collection[str]
) -> None:
    """Have the destination take a stream's words as it takes a SCHEMA message.

    Columns that nobody has declared are added. A key stands for unique constraints where there are
    none, so that a batch that comes again doubles no rows.
    """
    if "schemas" not in vars(destination):
        begin_streams(destination)
    declared = dict((stream.schema or {}).get("properties") or {})
    if not declared.keys() | static_columns(destination).keys() >= set(columns):
        found = from_arrow(batch.to_arrow(stream).schema)["properties"]
        declared = {**found, **declared}
    row = {
        "bookmark_properties": list(stream.cursor),
        "disable_column_type_check": stream.disable_column_type_check,
        "key_properties": stream.key_properties,
        "partition_keys": list(stream.partition_keys),
        "replication_method": stream.method,
        "unique_conflict_method": stream.unique_conflict_method or UNIQUE_CONFLICT_METHOD_UPDATE,
        "unique_constraints": list(stream.unique_constraints or stream.primary_key),
    }
    schema = {**copied(stream.schema or {}), "type": "object", "properties": declared}
    destination.process_schema(stream=stream.name, schema=schema, row=row)


def static_columns(destination: DestinationHooks) -> dict[str, Any]:
    """Return the columns that the config adds to all records: `_streams.columns`."""
    return dict(destination.streams_override_settings.get("columns") or {})


def _of_streams(destination: StreamWords, attribute: str) -> dict[str, Any]:
    """Return what a destination itself keeps of each stream under an attribute."""
    kept: dict[str, Any] = vars(destination).setdefault(attribute, {})
    return kept
