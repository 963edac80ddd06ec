"""Airbyte messages, and the documents a source is given: pure words, no process.

A message is one `Message` struct with a part per type; parts that are rare stay raw JSON until they
are asked for.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from etl_assets.exceptions import ConfigError, ProtocolError, shorten
from etl_assets.model.catalog_entries import copied
from etl_assets.model.events import SourceState, StreamKey
from etl_assets.model.json.lines import LineDecoder, exact_json
from etl_assets.model.json.repeated_keys import count_keys
from etl_assets.model.key_paths import cannot_be_key, name_of
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream

ENTRY = "airbyte_stream"
"""The key of a catalog entry under which the source's own description of the stream is kept."""
REFRESH_DONE = "__ab_full_refresh_sync_complete"
"""A key of a stream's state: if that is given back, the stream reads nothing."""
TYPES = frozenset(
    {
        "RECORD",
        "STATE",
        "LOG",
        "SPEC",
        "CONNECTION_STATUS",
        "CATALOG",
        "TRACE",
        "CONTROL",
        "DESTINATION_CATALOG",
    }
)


class Record(msgspec.Struct, gc=False):
    """A record, with what the source says of values it changed."""

    stream: str
    data: dict[str, Any]
    namespace: str | None = None
    meta: Any = None
    emitted_at: Any = None


class Message(msgspec.Struct, gc=False):
    """One line of a connector."""

    type: str
    record: Record | None = None
    state: msgspec.Raw = msgspec.Raw()
    trace: msgspec.Raw = msgspec.Raw()
    log: msgspec.Raw = msgspec.Raw()
    control: msgspec.Raw = msgspec.Raw()
    spec: msgspec.Raw = msgspec.Raw()
    connection_status: msgspec.Raw = msgspec.field(name="connectionStatus", default=msgspec.Raw())
    catalog: msgspec.Raw = msgspec.Raw()

    def part(self, name: str) -> dict[str, Any]:
        """Return the part of a message that is not a record.

        Raises:
            ProtocolError: It is missing, or no object.
        """
        raw = bytes(getattr(self, name))
        found = exact_json(raw) if raw else None
        if not isinstance(found, dict):
            raise ProtocolError(f"A {self.type} message has no {name!r}.", line=raw)
        return found


def decoder(noise: Callable[[bytes], None]) -> LineDecoder[Message]:
    """Return a decoder of Airbyte's lines.

    Args:
        noise: Takes lines that are no messages.
    """

    def other(line: bytes, document: Any) -> Message:
        if not isinstance(document, dict) or document.get("type") not in TYPES:
            noise(line)
            return Message(type="")
        return _from_document(document, line)

    return LineDecoder(
        Message, other, noise, records=_records, around=_around, path=("record", "data")
    )


def _records(messages: Iterable[Message]) -> list[dict[str, Any] | None]:
    return [None if message.record is None else message.record.data for message in messages]


def _around(messages: Sequence[Message]) -> int:
    """Count the keys around records: `type`, `record`, `stream`, `data`, and others if there."""
    records = [message.record for message in messages if message.record is not None]
    missing = sum(
        [(one.namespace is None) + (one.meta is None) + (one.emitted_at is None) for one in records]
    )
    inside = sum([count_keys(one.meta) for one in records if type(one.meta) in {dict, list}])
    return 7 * len(records) - missing + inside


def _from_document(document: Mapping[str, Any], line: bytes) -> Message:
    """Make a message that the fast decoder refused, because of a NaN for example."""
    kind = str(document["type"])
    if kind == "RECORD":
        record = document.get("record")
        if not isinstance(record, dict):
            raise ProtocolError("A RECORD message has no 'record'.", line=line)
        stream, data, namespace = record.get("stream"), record.get("data"), record.get("namespace")
        if not isinstance(stream, str) or not isinstance(data, dict):
            raise ProtocolError("A RECORD message has no 'stream' or no 'data'.", line=line)
        return Message(kind, Record(stream, data, namespace or None, record.get("meta")))
    import simplejson

    def raw(name: str) -> msgspec.Raw:
        if document.get(name) is None:
            return msgspec.Raw()
        text = simplejson.dumps(document[name], use_decimal=True, allow_nan=True)
        return msgspec.Raw(text.encode())

    parts = ("state", "trace", "log", "control", "spec", "connectionStatus", "catalog")
    return Message(kind, None, *map(raw, parts))


def key_of(descriptor: Any, line: object = None) -> StreamKey:
    """Return the key of a `stream_descriptor`."""
    name = descriptor.get("name") if isinstance(descriptor, Mapping) else None
    if not isinstance(name, str):
        raise ProtocolError("A stream descriptor has no name.", line=shorten(line))
    return (descriptor.get("namespace") or "", name)


def descriptor_of(key: StreamKey) -> dict[str, str]:
    """Return the `stream_descriptor` of a key."""
    namespace, name = key
    return {"name": name, "namespace": namespace} if namespace else {"name": name}


# Catalogs


def stream_of(entry: Mapping[str, Any]) -> Stream:
    """Return the stream that an `AirbyteStream` describes.

    Raises:
        ProtocolError: It has no name.
    """
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ProtocolError("A stream of the catalog has no name.", line=shorten(dict(entry)))
    modes = entry.get("supported_sync_modes") or ["full_refresh"]
    cursor = [part for part in entry.get("default_cursor_field") or () if isinstance(part, str)]
    has_cursor = bool(entry.get("source_defined_cursor")) or bool(cursor)
    incremental = "incremental" in modes and has_cursor
    keys = [
        path for path in entry.get("source_defined_primary_key") or () if isinstance(path, list)
    ]
    schema = entry.get("json_schema")
    schema = schema if isinstance(schema, Mapping) else None
    keyed = all(_is_key(path, schema, incremental=incremental) for path in keys)
    method = "INCREMENTAL" if incremental else "FULL_TABLE"
    # The source keeps a bookmark of its own: none is ever derived from values.
    metadata: dict[str, Any] = {"forced-replication-method": method, "selected": True}
    if cursor:
        metadata["valid-replication-keys"] = cursor[:1]
    return Stream(
        name,
        namespace=entry.get("namespace") or None,
        schema=schema,
        primary_key=[name_of(path) for path in keys] if keyed else [],
        replication_method=method,
        metadata=[{"breadcrumb": [], "metadata": metadata}],
        extra={ENTRY: {key: value for key, value in entry.items() if key != "json_schema"}},
    )


def _is_key(path: list[str], schema: Mapping[str, Any] | None, *, incremental: bool) -> bool:
    """Return whether rows can be merged by what is at a path."""
    if len(path) <= 1:
        return bool(path)
    # A full table is replaced: a column for a key inside of another field would be there for
    # nothing.
    return incremental and cannot_be_key(schema, path) is None


def key_paths_of(stream: Stream) -> list[list[str]]:
    """Return the paths of the primary key that the source says; a field is a path of one name."""
    paths = (stream.extra.get(ENTRY) or {}).get("source_defined_primary_key") or ()
    return [path for path in paths if isinstance(path, list)]


def refuse_nested_key(stream: Stream) -> None:
    """Refuse to append the rows of a stream whose primary key is inside of another field.

    There is no column to merge them by, and appended rows would double with each change of one of
    them.

    Raises:
        ConfigError: The stream has such a key and no other; the error names it.
    """
    if stream.primary_key or stream.unique_constraints:
        return
    paths = key_paths_of(stream)
    nested = [path for path in paths if len(path) > 1]
    if all(len(path) == 1 for path in paths):
        return
    reasons = [cannot_be_key(stream.schema, path) for path in nested]
    why = next((reason for reason in reasons if reason), None)
    name, names = stream.name, [name_of(path) for path in paths]
    options = f'options={{"{name}": {{"write_strategy": "append"}}}}'
    anew = "" if why else f'{{"primary_key": {json.dumps(names)}}} merges by it, '
    raise ConfigError(
        f"stream {name!r}: its primary key {', '.join(names)!r} is inside of another field, and "
        f"{why or 'its catalog does not say that rows are merged by it'}.",
        hint=f"Say how they are written: {options} of stream_assets() keeps every version of a "
        f'row, {anew}{{"primary_key": "<a field of its own>"}} in its place merges by another key. '
        f'In a script, that is read(write_strategy="append") or '
        f'set_primary_key("{name}", "<a field of its own>").',
        stream=name,
    )


def configured_catalog(
    streams: Sequence[Stream],
    *,
    cursors: Mapping[str, Sequence[str]],
    generation: int = 1,
    anew: Collection[StreamKey] = (),
) -> dict[str, Any]:
    """Return the catalog that a source reads by.

    Args:
        streams: What to read.
        cursors: Cursor fields by the stream's name, where they are not the source's own.
        generation: The generation and sync id; larger in later reads.
        anew: Incremental streams whose older generations are to go, because they are refreshed.
    """
    entries = [
        _configured(stream, cursors.get(stream.name), generation, stream.key in anew)
        for stream in streams
    ]
    return {"streams": entries}


def _configured(
    stream: Stream,
    cursor: Sequence[str] | None,
    generation: int,
    anew: bool,  # noqa: FBT001
) -> dict[str, Any]:
    entry = copied(stream.extra.get(ENTRY) or {})
    incremental = stream.method != "FULL_TABLE"
    if not entry.get("supported_sync_modes"):
        only_full = ["full_refresh"]
        entry["supported_sync_modes"] = [*only_full, "incremental"] if incremental else only_full
    described = {**entry, "name": stream.name, "json_schema": copied(stream.schema or {})}
    if stream.namespace:
        described["namespace"] = stream.namespace
    chosen = list(cursor or stream.cursor or entry.get("default_cursor_field") or ())
    keys = entry.get("source_defined_primary_key") or [[name] for name in stream.primary_key]
    shared = {
        "stream": described,
        "primary_key": keys,
        "generation_id": generation,
        "sync_id": generation,
    }
    if not incremental:
        return {
            **shared,
            "sync_mode": "full_refresh",
            "cursor_field": [],
            "destination_sync_mode": "overwrite",
            "minimum_generation_id": generation,
        }
    return {
        **shared,
        "sync_mode": "incremental",
        "cursor_field": chosen,
        "destination_sync_mode": "append_dedup" if keys else "append",
        "minimum_generation_id": generation if anew else 0,
    }


# States


def state_key(state: Mapping[str, Any]) -> StreamKey:
    """Return the stream of a STREAM state."""
    return key_of((state.get("stream") or {}).get("stream_descriptor"), state)


def state_input(state: SourceState, streams: Sequence[Stream]) -> Any:
    """Return the document that a source gets as its state, or None where there is none.

    Raises:
        ConfigError: The shared state is one blob, and only some streams are to be refreshed.
    """
    incremental = {stream.key for stream in streams if stream.method != "FULL_TABLE"}
    wanted = incremental - set(state.refreshed)
    shared = state.shared
    if shared is not None and shared.get("type") == "LEGACY":
        if wanted != incremental:
            raise ConfigError(
                "This source keeps one state for all its streams, from which one stream cannot be "
                "taken.",
                hint="Refresh all of its streams together.",
            )
        return shared.get("data")
    if shared is not None:
        return [_global_input(shared, state, wanted)]
    given = [
        {"type": "STREAM", "stream": _stream_state(key, bookmark)}
        for key, bookmark in state.streams.items()
        if key in wanted and not bookmark.get(REFRESH_DONE)
    ]
    return given or None


def _stream_state(key: StreamKey, bookmark: Bookmark) -> dict[str, Any]:
    return {"stream_descriptor": descriptor_of(key), "stream_state": dict(bookmark)}


def _global_input(
    shared: Bookmark, state: SourceState, wanted: Iterable[StreamKey]
) -> dict[str, Any]:
    known = copied(shared.get("global") or {})
    states = known.get("stream_states") or []
    refreshed = set(state.refreshed)
    kept = [one for one in states if key_of(one.get("stream_descriptor"), one) not in refreshed]
    there = {key_of(one.get("stream_descriptor"), one) for one in kept}
    kept += [
        _stream_state(key, bookmark)
        for key, bookmark in state.streams.items()
        if key in wanted and key not in there
    ]
    return {"type": "GLOBAL", "global": {**known, "stream_states": kept}}
