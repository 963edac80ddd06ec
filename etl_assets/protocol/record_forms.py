"""How record lines look in the two protocols: how they begin, and what those of a stream share.

What a line may leave out is counted where it does, so that the keys of many lines are known: see
`repeated_keys`.
"""

import re
from typing import Annotated, Any, Literal

import msgspec

from etl_assets.model.events import StreamKey
from etl_assets.model.json.missing import Missing

_TEXT = rb'"(?:[^"\\\n]|\\.)*+"'


class _Unchanged(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What an Airbyte source says of a record of which it has changed no value."""

    changes: Annotated[list[Any], msgspec.Meta(max_length=0)]


class AirbyteForm:
    """Airbyte's record lines."""

    head = re.compile(
        rb'\{"type":\s?"RECORD",\s?"record":\s?\{(?:"namespace":\s?(?P<namespace>'
        + _TEXT
        + rb"),\s?)?"
        rb'"stream":\s?(?P<stream>' + _TEXT + rb'),\s?"data":\s?\{'
    )
    path = "record.data"
    emitted: str | None = "record.emitted_at"
    own = "emitted_at"

    def line(
        self, record: type, missing: Missing, name: str, key: StreamKey, version: int | None
    ) -> type:
        """Return the type of a line of one stream, with no more to say than the record."""
        del version
        namespace, _ = key
        said: list[tuple[str, Any] | tuple[str, Any, Any]] = [
            ("stream", _word(name)),
            ("data", record),
        ]
        if namespace:
            said.append(("namespace", _word(namespace)))
        else:
            said.append(("namespace", _word("") | None, missing.field()))
        said.append(("meta", _Unchanged, missing.field(keys=2)))  # itself, and the one it must have
        said += [("file_reference", None, missing.field()), ("emitted_at", Any, missing.field())]
        around = msgspec.defstruct("RecordPart", said, gc=False)
        missing.always(4 + bool(namespace))
        return msgspec.defstruct(
            "RecordLine", [("type", _word("RECORD")), ("record", around)], gc=False
        )

    def version(self, line: bytes) -> None:
        """Return None: Airbyte's records have no version."""


class _Version(msgspec.Struct, gc=False):
    version: int | None = None


class SingerForm:
    """Singer's record lines."""

    head = re.compile(
        rb'\{"type":\s?"RECORD",\s?"stream":\s?(?P<stream>' + _TEXT + rb'),\s?"record":\s?\{'
    )
    path = "record"
    emitted: str | None = None
    own = "time_extracted"

    def __init__(self) -> None:
        self._version = msgspec.json.Decoder(_Version)

    def line(
        self, record: type, missing: Missing, name: str, key: StreamKey, version: int | None
    ) -> type:
        """Return the type of a line of one stream, and of one version of its table."""
        del key
        said: list[tuple[str, Any] | tuple[str, Any, Any]] = [
            ("type", _word("RECORD")),
            ("stream", _word(name)),
            ("record", record),
        ]
        if version is None:
            said.append(("version", None, missing.field()))
        else:
            said.append(("version", _word(version)))
        said.append(("time_extracted", Any, missing.field()))
        missing.always(3 + (version is not None))
        return msgspec.defstruct("RecordLine", said, gc=False)

    def version(self, line: bytes) -> int | None:
        """Return the version of the table that a record is part of."""
        return self._version.decode(line).version


def _word(value: str | int) -> Any:
    """Return the type of one value alone."""
    return Literal.__getitem__(value)
