"""A source of ours as an Airbyte source: `python my_source.py spec|check|discover|read`.

Standard output is the protocol and nothing else: what a hook prints goes to standard error.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import simplejson

from etl_assets.engine.events import with_checkpoints
from etl_assets.exceptions import (
    ConfigError,
    ConnectError,
    DataError,
    EtlAssetsError,
    ProtocolError,
    StreamReadError,
)
from etl_assets.model.batch import Batch
from etl_assets.model.events import (
    Checkpoint,
    Estimate,
    Event,
    Records,
    SchemaChange,
    SourceState,
    StreamEnd,
    StreamKey,
    Truncate,
)
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.protocol.airbyte.catalog import AirbyteStream
from etl_assets.protocol.airbyte.messages import descriptor_of, key_of, state_key
from etl_assets.protocol.singer.documents import as_object, read_document
from etl_assets.protocol.singer.messages import RecordMessage, Unknown, encode
from etl_assets.redaction import redact, remember_config
from etl_assets.sources.base import Source
from etl_assets.sources.catalog import Catalog, frozen
from etl_assets.sources.source_read import SourceRead
from etl_assets.sources.tap.arguments import AIRBYTE_COMMANDS
from etl_assets.sources.tap.modes import sampled_schema

NO_CURSOR = {"__ab_no_cursor_state_message": True}
"""The state that ends a full refresh: it says that there is nothing to go on from."""

Say = Callable[..., None]


def run_airbyte(source_class: type[Source], argv: Sequence[str], given: Mapping[str, Any]) -> int:
    """Run one of Airbyte's commands; gives the exit code.

    Args:
        source_class: The source.
        argv: The command and its options.
        given: Arguments of the source; they win over the command line.
    """
    parser = argparse.ArgumentParser(description="Run a source as an Airbyte source.")
    parser.add_argument("command", choices=AIRBYTE_COMMANDS)
    for name in ("config", "catalog", "state"):
        parser.add_argument(f"--{name}", help=f"JSON file: the {name}")
    parser.add_argument("--debug", action="store_true", help="kept for Airbyte's sake")
    arguments = parser.parse_args(argv)
    stdout = sys.stdout

    def say(kind: str, **part: Any) -> None:
        stdout.write(f"{encode(Unknown(kind, part))}\n")
        if kind != "RECORD":
            stdout.flush()

    with redirect_stdout(sys.stderr):
        try:
            config = as_object(read_document(arguments.config), "The config")
            remember_config(config)
            source = source_class(**{"config": config or None, **given})
            if arguments.command == "spec":
                say("SPEC", spec=_spec(source))
            elif arguments.command == "check":
                say("CONNECTION_STATUS", connectionStatus=_status(source))
            elif arguments.command == "discover":
                say(
                    "CATALOG",
                    catalog={
                        "streams": [_described(source, one) for one in _found(source).values()]
                    },
                )
            else:
                catalog = as_object(read_document(arguments.catalog), "The configured catalog")
                return _read(source, catalog, _state(arguments.state), say)
        except Exception as error:  # noqa: BLE001 - a hook may raise anything: it is the connector's edge
            _say_error(say, error)
            return 1
    return 0


def _spec(source: Source) -> dict[str, Any]:
    schema = source.config_spec or {
        "type": "object",
        "properties": {},
        "additionalProperties": True,
    }
    return {
        "protocol_version": "0.2.0",
        "connectionSpecification": schema,
        "supportsIncremental": True,
        "supported_destination_sync_modes": [],
    }


def _status(source: Source) -> dict[str, Any]:
    try:
        source.test_connection()
    except Exception as error:  # noqa: BLE001 - a hook may raise anything
        return {"status": "FAILED", "message": _told(error)}
    return {"status": "SUCCEEDED"}


# Catalogs


def _found(source: Source, names: Sequence[str] | None = None) -> Catalog:
    return Catalog.of(
        source.catalog if source.catalog is not None else source.discover(streams=names)
    )


def _described(source: Source, stream: Stream) -> dict[str, Any]:
    """Return an `AirbyteStream`; a stream that declares no columns gets those of its first rows."""
    if not (stream.schema or {}).get("properties"):
        stream = stream.replace(
            schema=sampled_schema(source, stream) or {"type": "object", "properties": {}}
        )
    schema = {**(stream.schema or {})}
    schema["properties"] = {
        name: _of_json(prop) for name, prop in (schema.get("properties") or {}).items()
    }
    described = AirbyteStream.of(stream.replace(schema=schema)).model_dump(exclude_none=True)
    return {**described, "is_resumable": stream.method != "FULL_TABLE"}


def _of_json(prop: Any) -> Any:
    """Return the property of a value as it is sent: bytes are base64 text, structs are objects."""
    if not isinstance(prop, Mapping) or prop.get("x-arrow") in {None, "values"}:
        return prop
    return {word: said for word, said in prop.items() if word != "x-arrow"}


def _configured(source: Source, catalog: Mapping[str, Any]) -> tuple[list[Stream], set[StreamKey]]:
    """Return the streams to read, and those of them that are refreshed whole.

    Raises:
        ConfigError: The source has no such stream, or the catalog is none.
    """
    entries = catalog.get("streams")
    if not isinstance(entries, list) or not entries:
        raise ConfigError("The configured catalog has no streams.")
    wanted = [(key_of(entry.get("stream") or {}, entry), entry) for entry in entries]
    known = {
        stream.key: frozen(stream)
        for stream in _found(source, [name for (_, name), _ in wanted]).values()
    }
    streams: list[Stream] = []
    whole: set[StreamKey] = set()
    for key, entry in wanted:
        stream = known.get(key)
        if stream is None:
            raise ConfigError(
                f"There is no stream {key[1]!r} any more.", hint="Discover anew.", stream=key[1]
            )
        if not stream.schema and (entry["stream"].get("json_schema") or {}).get("properties"):
            stream = stream.replace(schema=entry["stream"]["json_schema"])
        if entry.get("sync_mode") != "incremental":
            whole.add(key)
            stream = (
                stream
                if stream.method == "FULL_TABLE"
                else stream.replace(replication_method="FULL_TABLE")
            )
        streams.append(_keyed(stream, entry))
    return streams, whole


def _keyed(stream: Stream, entry: Mapping[str, Any]) -> Stream:
    """Return the stream with the cursor that was chosen for it, where it has none of its own."""
    cursor = entry.get("cursor_field") or []
    if entry.get("sync_mode") != "incremental" or stream.method != "FULL_TABLE":
        return stream
    if len(cursor) != 1:
        raise ConfigError(
            f"stream {stream.name!r}: it has no cursor of its own, and {cursor!r} is none that can "
            "be read by.",
            hint="Choose one field of the stream as cursor_field, or full_refresh.",
            stream=stream.name,
        )
    return stream.replace(replication_method="INCREMENTAL", replication_key=cursor[0])


# States


def _state(path: str | None) -> list[Mapping[str, Any]]:
    """Read a state file: an array of state messages; none for an empty document.

    Raises:
        ConfigError: It is something else.
    """
    try:
        document = (
            simplejson.loads(Path(path).read_text("utf-8") or "[]", use_decimal=True)
            if path
            else []
        )
    except (OSError, ValueError) as error:
        raise ConfigError(f"The state {path!r} cannot be read: {type(error).__name__}.") from None
    found = [document] if isinstance(document, Mapping) and document else document or []
    if not all(
        isinstance(one, Mapping) and one.get("type") in {"STREAM", "GLOBAL"} for one in found
    ):
        raise ConfigError(f"The state {path!r} is no array of STREAM and GLOBAL states.")
    return list(found)


def _begins(
    given: Iterable[Mapping[str, Any]], streams: Sequence[Stream], whole: set[StreamKey]
) -> SourceState:
    shared: Bookmark | None = None
    own: dict[StreamKey, Bookmark] = {}
    anew = set(whole)
    for one in given:
        if one["type"] == "GLOBAL":
            document = as_object(one.get("global"), "The global state")
            shared = document.get("shared_state")
            kept = {
                key_of(entry.get("stream_descriptor"), entry)
                for entry in document.get("stream_states") or ()
            }
            anew |= {stream.key for stream in streams} - kept
        else:
            bookmark = (one.get("stream") or {}).get("stream_state")
            if bookmark and not NO_CURSOR.keys() & bookmark.keys():
                own[state_key(one)] = bookmark
    if shared is None or all(stream.key in anew for stream in streams):
        return SourceState(
            streams={key: one for key, one in own.items() if key not in anew}, refreshed=anew
        )
    return SourceState(shared=shared, refreshed=anew)


# Reading


def _read(
    source: Source, catalog: Mapping[str, Any], given: Iterable[Mapping[str, Any]], say: Say
) -> int:
    streams, whole = _configured(source, catalog)
    read = SourceRead(source, streams, source_name=source.state_name or type(source).__name__)
    report = _Report(say, streams, whole)
    error: EtlAssetsError | None = None
    try:
        begins = _begins(given, streams, whole)
        for event in with_checkpoints(read.open(begins), begins.streams):
            report.take(event)
    except EtlAssetsError as wrong:
        error = wrong
    return report.end(error)


class _Report:
    """Says what becomes of each stream: records, states with their counts, statuses, errors."""

    def __init__(self, say: Say, streams: Sequence[Stream], whole: set[StreamKey]) -> None:
        self._say = say
        self._streams = {stream.key: stream for stream in streams}
        self._whole = whole
        self._status: dict[StreamKey, str] = {}
        self._since_state = dict.fromkeys(self._streams, 0)
        self._since_shared = 0
        self._shares = False

    def take(self, event: Event) -> None:
        """Say what an event says."""
        if isinstance(event, Checkpoint):
            self._checkpoint(event)
            return
        key = event.stream.key
        if key not in self._streams:
            raise ProtocolError(
                f"the source speaks of {key[1]!r}, which was not asked for.", stream=key[1]
            )
        self._reaches(key, "STARTED")
        if self._status[key] != "INCOMPLETE":
            self._of_stream(key, event)

    def _of_stream(self, key: StreamKey, event: Event) -> None:
        match event:
            case Records(stream=stream, batch=batch):
                try:
                    self._records(key, stream, batch)
                except DataError as error:
                    self._fails(key, error)
            case StreamEnd(complete=True):
                if key in self._whole and not self._shares:
                    self._stream_state(key, NO_CURSOR)
                self._reaches(key, "COMPLETE")
            case StreamEnd(error=error):
                self._fails(
                    key,
                    error
                    or StreamReadError(f"stream {key[1]!r} was not completed.", stream=key[1]),
                )
            case Truncate() if key not in self._whole or self._status[key] != "STARTED":
                raise ConfigError(
                    f"stream {key[1]!r}: its source replaces rows, which Airbyte's protocol cannot "
                    "say in a read.",
                    hint="Read it by full_refresh.",
                    stream=key[1],
                )
            case Estimate(rows=rows):
                about = {**descriptor_of(key), "type": "STREAM", "row_estimate": rows}
                self._say(
                    "TRACE",
                    trace={"type": "ESTIMATE", "emitted_at": float(_now()), "estimate": about},
                )
            case SchemaChange() | Truncate():
                # Airbyte's records need no schema of their own; what is refreshed whole begins anew
                # anyway
                pass

    def end(self, error: EtlAssetsError | None) -> int:
        """Report every stream that has not ended as incomplete; return the exit code."""
        left = [
            key for key in self._streams if self._status.get(key) not in {"COMPLETE", "INCOMPLETE"}
        ]
        if error is not None and not left:
            _say_error(self._say, error)
        for key in left:
            self._fails(
                key,
                error or StreamReadError(f"stream {key[1]!r} was not completed.", stream=key[1]),
            )
        return int(error is not None or "INCOMPLETE" in self._status.values())

    def _records(self, key: StreamKey, stream: Stream, batch: Batch) -> None:
        if not len(batch):
            return
        self._reaches(key, "RUNNING")
        namespace, name = key
        head = {"stream": name, **({"namespace": namespace} if namespace else {})}
        now = _now()
        for row in batch.to_rows(stream):
            try:
                self._say("RECORD", record={**head, "data": row, "emitted_at": now})
            except DataError:
                encode(RecordMessage(name, row))  # this one names the stream and the field
                raise
        self._since_state[key] += len(batch)
        self._since_shared += len(batch)

    def _checkpoint(self, event: Checkpoint) -> None:
        if event.streams is not None:
            for key in event.streams:
                if key not in self._whole and self._status.get(key) != "INCOMPLETE":
                    self._stream_state(key, event.state)
            return
        self._shares = True
        if "INCOMPLETE" in self._status.values():
            return  # it would cover records of the stream that failed
        states = [
            {"stream_descriptor": descriptor_of(key), "stream_state": {}} for key in self._streams
        ]
        shared = {
            "type": "GLOBAL",
            "global": {"shared_state": event.state, "stream_states": states},
        }
        self._say(
            "STATE", state={**shared, "sourceStats": {"recordCount": float(self._since_shared)}}
        )
        self._since_shared = 0

    def _stream_state(self, key: StreamKey, state: Bookmark | None) -> None:
        stream = {"stream_descriptor": descriptor_of(key), "stream_state": state}
        count = float(self._since_state[key])
        self._since_state[key] = 0
        self._say(
            "STATE",
            state={"type": "STREAM", "stream": stream, "sourceStats": {"recordCount": count}},
        )

    def _fails(self, key: StreamKey, error: EtlAssetsError) -> None:
        _say_error(self._say, error, key)
        self._reaches(key, "INCOMPLETE")

    def _reaches(self, key: StreamKey, status: str) -> None:
        order = ("STARTED", "RUNNING", "COMPLETE", "INCOMPLETE")
        before = self._status.get(key)
        if before is not None and order.index(before) >= order.index(status):
            return
        self._status[key] = status
        said = {"stream_descriptor": descriptor_of(key), "status": status}
        self._say(
            "TRACE",
            trace={"type": "STREAM_STATUS", "emitted_at": float(_now()), "stream_status": said},
        )


def _say_error(say: Say, error: Exception, key: StreamKey | None = None) -> None:
    kind = "system_error"
    if isinstance(error, EtlAssetsError) and error.retryable:
        kind = "transient_error"
    elif isinstance(error, ConfigError | ConnectError):
        kind = "config_error"
    told = {"message": _told(error), "internal_message": type(error).__name__, "failure_type": kind}
    whose = {"stream_descriptor": descriptor_of(key)} if key else {}
    say("TRACE", trace={"type": "ERROR", "emitted_at": float(_now()), "error": {**told, **whose}})


def _told(error: Exception) -> str:
    return redact(
        str(error) if isinstance(error, EtlAssetsError) else f"{type(error).__name__}: {error}"
    )


def _now() -> int:
    return time.time_ns() // 1_000_000
