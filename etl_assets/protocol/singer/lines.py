"""Singer's lines, many at a time; `messages.py` has the messages one by one, and their encoding."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import simplejson

from etl_assets.exceptions import ProtocolError
from etl_assets.model.json.lines import LineDecoder, exact_json
from etl_assets.protocol.singer.messages import (
    ActivateVersionMessage,
    BatchMessage,
    Message,
    RecordMessage,
    SchemaMessage,
    StateMessage,
    Unknown,
)

TYPES = frozenset({"RECORD", "SCHEMA", "STATE", "ACTIVATE_VERSION", "BATCH"})


class Line(msgspec.Struct, gc=False):
    """One line of a tap; what is rare stays raw JSON until it is asked for."""

    type: str
    stream: str | None = None
    record: dict[str, Any] | None = None
    version: int | None = None
    value: msgspec.Raw = msgspec.Raw()
    schema: msgspec.Raw = msgspec.Raw()
    key_properties: list[str] | None = None
    bookmark_properties: list[str] | None = None
    encoding: dict[str, Any] | None = None
    manifest: list[str] | None = None
    time_extracted: Any = None

    def document(self, name: str) -> Any:
        """Return a part that stayed raw.

        Raises:
            ProtocolError: It is missing.
        """
        raw = bytes(getattr(self, name))
        if not raw:
            raise ProtocolError(f"A {self.type} message has no {name!r}.", stream=self.stream)
        return exact_json(raw)

    def message(self) -> Message:
        """Return the message that the line is.

        Raises:
            ProtocolError: It lacks what its type needs.
        """
        match self.type:
            case "RECORD":
                if self.record is None:
                    raise ProtocolError("A RECORD message has no 'record'.", stream=self.stream)
                return RecordMessage(self.of_stream(), self.record, self.version)
            case "SCHEMA":
                schema = self.document("schema")
                if not isinstance(schema, Mapping):
                    raise ProtocolError(
                        "A SCHEMA message's schema is no object.", stream=self.stream
                    )
                return SchemaMessage(self.of_stream(), schema, tuple(self.key_properties or ()))
            case "STATE":
                return StateMessage(self.document("value"))
            case "ACTIVATE_VERSION":
                if self.version is None:
                    raise ProtocolError(
                        "An ACTIVATE_VERSION message has no 'version'.", stream=self.stream
                    )
                return ActivateVersionMessage(self.of_stream(), self.version)
            case "BATCH":
                return BatchMessage(
                    self.of_stream(), self.encoding or {}, self.manifest or (), self.version
                )
            case _:
                return Unknown(self.type, {})

    def of_stream(self) -> str:
        """Return the stream's name.

        Raises:
            ProtocolError: It has none.
        """
        if self.stream is None:
            raise ProtocolError(f"A {self.type} message has no 'stream'.")
        return self.stream


def decoder(noise: Callable[[bytes], None]) -> LineDecoder[Line]:
    """Return a decoder of Singer's lines.

    Args:
        noise: Takes lines that are no messages.
    """

    def other(line: bytes, document: Any) -> Line:
        kind = document.get("type") if isinstance(document, Mapping) else None
        if kind not in TYPES:
            noise(line)
            return Line(type=kind if isinstance(kind, str) else "")
        if kind == "RECORD":
            stream, record = document.get("stream"), document.get("record")
            version = document.get("version")
            has_good_version = version is None or type(version) is int
            if isinstance(stream, str) and isinstance(record, dict) and has_good_version:
                return Line("RECORD", stream, record, version)
        elif kind in {"STATE", "SCHEMA"}:
            stream, names = document.get("stream"), document.get("key_properties")
            return Line(
                kind,
                stream if isinstance(stream, str) else None,
                value=_raw(document, "value"),
                schema=_raw(document, "schema"),
                key_properties=names if isinstance(names, list) else None,
            )
        raise ProtocolError(f"A {kind} message is not as Singer has it.", line=line)

    return LineDecoder(Line, other, noise, records=_records, around=_around, path=("record",))


def _records(lines: Iterable[Line]) -> list[dict[str, Any] | None]:
    return [line.record for line in lines]


def _around(lines: Sequence[Line]) -> int:
    """Count the keys around records: `type`, `stream`, `record`, and others if they are there."""
    missing = sum([(line.version is None) + (line.time_extracted is None) for line in lines])
    return 5 * len(lines) - missing


def _raw(document: Mapping[str, Any], name: str) -> msgspec.Raw:
    if name not in document:
        return msgspec.Raw()
    return msgspec.Raw(simplejson.dumps(document[name], use_decimal=True, allow_nan=True).encode())
