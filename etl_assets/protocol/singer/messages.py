"""Singer messages, one JSON object per line, encoded and decoded without losing a digit.

`encode` writes what JSON can hold exactly and refuses the rest; `decode` reads integers of any size
as `int` and all other numbers as `Decimal`. What a connector says beside its messages (Mage's `LOG`
lines, types of later versions) is `Unknown`: the host may count it.
"""

import base64
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any
from uuid import UUID

import simplejson

from etl_assets.exceptions import DataError, ProtocolError
from etl_assets.model.json.depth import MAX_DEPTH, nested_too_deep
from etl_assets.model.json.repeated_keys import (
    count_keys,
    proves_each_once,
    refuse_repeats_in_messages,
)
from etl_assets.model.values.numbers import decimal_of, unreadable_number
from etl_assets.model.values.plain_json import plain_json

MAX_BYTES = 64 * 1024 * 1024
"""The longest line that `decode` takes by default, in bytes."""


@dataclass(frozen=True)
class SchemaMessage:
    """The schema of a stream, before its records; the last five are Mage's.

    Args:
        stream: The stream.
        schema: JSON Schema with `properties`.
        key_properties: The primary key.
        bookmark_properties: The replication key.
        disable_column_type_check: Values need not follow the schema.
        partition_keys: Hints for destinations that partition their tables.
        replication_method: How the stream is read.
        unique_conflict_method: `UPDATE` or `IGNORE`.
        unique_constraints: What to merge by.
    """

    stream: str
    schema: Mapping[str, Any]
    key_properties: Sequence[str] = ()
    bookmark_properties: Sequence[str] = ()
    disable_column_type_check: bool | None = None
    partition_keys: Sequence[str] = ()
    replication_method: str | None = None
    unique_conflict_method: str | None = None
    unique_constraints: Sequence[str] = ()


@dataclass(frozen=True)
class RecordMessage:
    """One record of a stream.

    Args:
        stream: The stream.
        record: Values by field.
        version: The table's, where the tap numbers full loads (`ActivateVersionMessage`).
        time_extracted: When it was read; the text as it was sent, where it was decoded.
    """

    stream: str
    record: Mapping[str, Any]
    version: int | None = None
    time_extracted: datetime | str | None = None


@dataclass(frozen=True)
class StateMessage:
    """How far the whole tap has got: an opaque document, for the tap alone to read."""

    value: Any


@dataclass(frozen=True)
class ActivateVersionMessage:
    """Rows of the stream whose version is below this one are gone."""

    stream: str
    version: int


@dataclass(frozen=True)
class BatchMessage:
    """Records of a stream in files.

    Args:
        stream: The stream.
        encoding: `format` (`jsonl`, `parquet`) and `compression` (`gzip` or None).
        manifest: URLs of the files.
        version: As in a record.
    """

    stream: str
    encoding: Mapping[str, Any]
    manifest: Sequence[str]
    version: int | None = None


@dataclass(frozen=True)
class Unknown:
    """A message of another type: Mage's `LOG`, or one of a later version.

    Args:
        type: The message's `type`.
        raw: The whole message.
    """

    type: str
    raw: Mapping[str, Any] = field(repr=False)


Message = (
    SchemaMessage | RecordMessage | StateMessage | ActivateVersionMessage | BatchMessage | Unknown
)

_TYPES: dict[type[Any], str] = {
    SchemaMessage: "SCHEMA",
    RecordMessage: "RECORD",
    StateMessage: "STATE",
    ActivateVersionMessage: "ACTIVATE_VERSION",
    BatchMessage: "BATCH",
}
_CLASSES = {name: kind for kind, name in _TYPES.items()}
_ALWAYS_WRITTEN = frozenset(
    {"stream", "schema", "key_properties", "record", "value", "encoding", "manifest"}
)

# Made once: `simplejson.loads` makes one for each text, which costs as much as to look for keys
# that come twice.
_decoder = simplejson.JSONDecoder(parse_float=decimal_of, allow_nan=True)

_SURROGATE = re.compile("[\ud800-\udfff]")

_SHOWN_PARTS = 10
"""How many parts of the path to a nested value an error shows."""

_PLAIN = frozenset({str, int, bool, type(None)})
_TEXT_FORM = bytes | bytearray | memoryview | UUID


def encode(message: Message) -> str:
    """Return a message as one line of JSON, without the line's end.

    Integers and decimals keep every digit, dates and times are ISO 8601 text, bytes base64, UUIDs
    text.

    Raises:
        DataError: A value has no exact form in JSON: NaN, Infinity, an unpaired surrogate, a key
            that is no text, any other type, or a nesting deeper than `MAX_DEPTH`. The error names
            stream and field.
    """
    plain = plain_json(_document(message)) if isinstance(message, RecordMessage) else None
    if plain is not None:
        return plain
    _check(message, thorough=False)
    try:
        line = _dumps(_document(message))
        line.encode()  # fails where a surrogate is left
    except (ValueError, TypeError, RecursionError) as error:
        _check(message, thorough=True)
        raise DataError(
            f"it cannot be written as JSON: {error}.", stream=_stream_of(message)
        ) from error
    return line


def decode(line: str | bytes, *, max_bytes: int = MAX_BYTES) -> Message | None:
    """Read a line; return None for a blank one.

    Args:
        line: With or without its end.
        max_bytes: The longest line to take.

    Raises:
        ProtocolError: It is too long, is not a JSON object with a `type`, lacks what its type
            needs, is nested deeper than `MAX_DEPTH`, or has a number that Python does not read.
        DataError: A record has a key twice.
    """
    text = _text(line, max_bytes)
    if not text:
        return None
    raw = _parsed(text)
    kind = raw.get("type") if isinstance(raw, dict) else None
    if kind is None and isinstance(raw, dict) and {"level", "message"} <= raw.keys():
        kind = "LOG"  # as Mage's older connectors log to standard output
    if not isinstance(kind, str):
        raise ProtocolError("This is no message: not a JSON object with a `type`.", line=text)
    if kind not in _CLASSES:
        return Unknown(kind, raw)
    if kind == "RECORD" and not proves_each_once(text, count_keys(raw)):
        refuse_repeats_in_messages(text, ("record",))
    message: Message = _CLASSES[kind](**_arguments(kind, raw, text))
    return message


def _document(message: Message) -> dict[str, Any]:
    if isinstance(message, Unknown):
        return {**message.raw, "type": message.type}
    document: dict[str, Any] = {"type": _TYPES[type(message)]}
    for each in fields(message):
        value = getattr(message, each.name)
        if each.name in _ALWAYS_WRITTEN or value not in (None, (), []):
            document[each.name] = value
    return document


def _dumps(document: Any) -> str:
    text: str = simplejson.dumps(
        document,
        use_decimal=True,
        namedtuple_as_object=False,
        allow_nan=False,
        ensure_ascii=False,
        encoding=None,  # else bytes would be read as UTF-8 text
        separators=(",", ":"),
        default=_json_form,
    )
    return text


def _json_form(value: Any) -> Any:
    """Return the JSON value of what JSON has no type for; `_check` has let only these pass."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, UUID) else value.isoformat()


def _stream_of(message: Message) -> str:
    return getattr(message, "stream", _TYPES.get(type(message), "unknown"))


def _check(message: Message, *, thorough: bool) -> None:
    """Raise a DataError for the first value that JSON cannot hold exactly.

    Args:
        message: The message.
        thorough: Look into texts and integers too: the encoder notices those that fail, but not
            where they are.
    """
    record = isinstance(message, RecordMessage)
    root = message.record if isinstance(message, RecordMessage) else _document(message)
    waiting: list[tuple[Any, tuple[Any, ...]]] = [(root, ())]
    while waiting:
        container, path = waiting.pop()
        keyed = isinstance(container, Mapping)
        for key, value in container.items() if keyed else enumerate(container):
            if type(value) in _PLAIN and not thorough and (type(key) is str or not keyed):
                continue
            inner = (*path, key)
            nested = isinstance(value, Mapping | list | tuple)
            problem = _key_problem(key, thorough=thorough) if keyed else None
            problem = problem or _problem(value, thorough=thorough)
            if nested and len(inner) + record >= MAX_DEPTH:
                problem = f"it is nested deeper than {MAX_DEPTH}"
            if problem:
                # The repr of what is deep recurses, and that of a long integer is the very thing
                # Python refuses.
                shown = f"<{type(value).__name__}>" if nested or _is_long(value) else value
                where = ".".join(map(str, inner[:_SHOWN_PARTS]))
                if len(inner) > _SHOWN_PARTS:
                    where += "…"
                raise DataError(f"{problem}.", stream=_stream_of(message), field=where, value=shown)
            if nested:
                waiting.append((value, inner))


def _key_problem(key: Any, *, thorough: bool) -> str | None:
    if not isinstance(key, str):
        return f"{key!r} is a key, but no text"
    return _problem(key, thorough=thorough)


def _problem(value: Any, *, thorough: bool) -> str | None:
    """Return why JSON cannot hold a value, or None; what a container holds is not looked at."""
    if isinstance(value, float | Decimal):
        finite = value.is_finite() if isinstance(value, Decimal) else isfinite(value)
        return None if finite else "JSON has no NaN and no Infinity"
    if isinstance(value, datetime | date | time):
        is_nat = value != value  # noqa: PLR0124 - pandas' NaT says that it is a datetime
        return "it is no date" if is_nat else None
    if isinstance(value, str):
        return "it has an unpaired surrogate" if thorough and _SURROGATE.search(value) else None
    if isinstance(value, int):
        return "it has more digits than Python writes" if thorough and _is_long(value) else None
    if value is None or isinstance(value, _TEXT_FORM | Mapping | list | tuple):
        return None
    return f"the type {type(value).__name__} has no JSON form"


def _is_long(value: Any) -> bool:
    digits = sys.get_int_max_str_digits()
    return isinstance(value, int) and bool(digits) and abs(value) >= 10**digits


def _text(line: str | bytes, max_bytes: int) -> str:
    size = len(line)
    may_be_longer = size <= max_bytes < size * 4  # a character has at most four bytes
    if isinstance(line, str) and may_be_longer and not line.isascii():
        size = len(line.encode(errors="surrogatepass"))
    if size > max_bytes:
        raise ProtocolError(
            f"A line is longer than {max_bytes:,} bytes.",
            line=line,
            hint="Raise the limit for this connector if it sends such records on purpose.",
        )
    try:
        text = line if isinstance(line, str) else line.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError("The line is not UTF-8.", line=line) from error
    return text.strip(" \t\r\n")


def _parsed(text: str) -> Any:
    if nested_too_deep(text):
        raise ProtocolError(f"The line is nested deeper than {MAX_DEPTH}.", line=text)
    try:
        return _decoder.decode(text)
    except simplejson.JSONDecodeError as error:
        raise ProtocolError(
            f"The line is not JSON ({error.msg}, at character {error.pos}).", line=text
        ) from error
    except ValueError as error:
        told = unreadable_number(text) or str(error)
        raise ProtocolError(
            f"The line has a number that is too long: {told}.", line=text
        ) from error
    except RecursionError as error:
        raise ProtocolError("The line is nested too deep.", line=text) from error


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _is_version(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_any(value: Any) -> bool:
    del value
    return True


_Check = Callable[[Any], bool]
_NEEDED: dict[str, dict[str, _Check]] = {
    "SCHEMA": {"stream": _is_text, "schema": _is_object},
    "RECORD": {"stream": _is_text, "record": _is_object},
    "STATE": {"value": _is_any},
    "ACTIVATE_VERSION": {"stream": _is_text, "version": _is_version},
    "BATCH": {"stream": _is_text, "encoding": _is_object, "manifest": _is_names},
}
"""What a message of a type cannot be without."""

_OPTIONAL: dict[str, dict[str, _Check]] = {
    "SCHEMA": {
        "key_properties": _is_names,
        "bookmark_properties": _is_names,
        "disable_column_type_check": _is_flag,
        "partition_keys": _is_names,
        "replication_method": _is_text,
        "unique_conflict_method": _is_text,
        "unique_constraints": _is_names,
    },
    "RECORD": {"version": _is_version, "time_extracted": _is_text},
    "STATE": {},
    "ACTIVATE_VERSION": {},
    "BATCH": {"version": _is_version},
}
"""What it may have; null is as if it were missing."""


def _arguments(kind: str, raw: Mapping[str, Any], text: str) -> dict[str, Any]:
    stream = raw.get("stream") if isinstance(raw.get("stream"), str) else None
    given: dict[str, Any] = {}
    for key, fits in _NEEDED[kind].items():
        if key not in raw or not fits(raw[key]):
            raise ProtocolError(
                f"A {kind} message has no {key!r}, or a wrong one.", line=text, stream=stream
            )
        given[key] = raw[key]
    for key, fits in _OPTIONAL[kind].items():
        value = raw.get(key)
        if value is None:
            continue
        if not fits(value):
            raise ProtocolError(f"A {kind} message has a wrong {key!r}.", line=text, stream=stream)
        given[key] = value
    # Names are tuples in a message: one that was decoded equals the one that was encoded.
    return {
        key: tuple(value) if isinstance(value, list) and key != "value" else value
        for key, value in given.items()
    }
