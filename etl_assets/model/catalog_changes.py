"""What has changed from one catalog to another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from etl_assets.exceptions import shorten
from etl_assets.model.stream import Stream

Kind = Literal[
    "stream_added",
    "stream_removed",
    "column_added",
    "column_removed",
    "column_changed",
    "key_changed",
]

_KEYS = {
    "primary_key": "primary key",
    "unique_constraints": "unique constraints",
    "cursor": "replication key",
    "replication_method": "replication method",
}
"""What says how rows are told apart and followed, by the stream's attribute."""


@dataclass(frozen=True)
class CatalogChange:
    """One change; `str()` gives it as a sentence.

    Args:
        kind: What happened.
        stream: The stream's full name.
        subject: The column, or the attribute of the stream that is another now.
        before: What it was: a column's JSON Schema, or the attribute's value.
        after: What it is.
    """

    kind: Kind
    stream: str
    subject: str | None = None
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        where = f"stream {self.stream!r}"
        match self.kind:
            case "stream_added":
                return f"{where} is new."
            case "stream_removed":
                return f"{where} is gone."
            case "column_added":
                return f"{where}: column {self.subject!r} is new ({_schema(self.after)})."
            case "column_removed":
                return f"{where}: column {self.subject!r} is gone."
            case "column_changed":
                before, after = _schema(self.before), _schema(self.after)
                return f"{where}: column {self.subject!r} was {before}, is {after}."
            case "key_changed":
                before, after = _key(self.before), _key(self.after)
                return f"{where}: its {_KEYS[self.subject or '']} was {before}, is {after}."


def changes_between(
    old: Mapping[tuple[str, str], Stream], new: Mapping[tuple[str, str], Stream]
) -> list[CatalogChange]:
    """Return what has changed between two catalogs: streams that are gone first.

    The others are in the new catalog's order.
    """
    changes = [CatalogChange("stream_removed", old[key].full_name) for key in old if key not in new]
    for key, stream in new.items():
        if key in old:
            changes.extend(_stream_changes(old[key], stream))
        else:
            changes.append(CatalogChange("stream_added", stream.full_name))
    return changes


def _stream_changes(old: Stream, new: Stream) -> Iterator[CatalogChange]:
    name = new.full_name
    for attribute in _KEYS:
        before, after = getattr(old, attribute), getattr(new, attribute)
        if before != after:
            yield CatalogChange("key_changed", name, attribute, before, after)
    had: Mapping[str, Any] = old.json_schema.get("properties") or {}
    has: Mapping[str, Any] = new.json_schema.get("properties") or {}
    for column in had:
        if column not in has:
            yield CatalogChange("column_removed", name, column, before=had[column])
    for column, after in has.items():
        if column not in had:
            yield CatalogChange("column_added", name, column, after=after)
        elif _meaning(had[column]) != _meaning(after):
            yield CatalogChange("column_changed", name, column, had[column], after)


def _meaning(schema: Any) -> Any:
    """Return a column's schema with its list of types in one order.

    `["null", "string"]` and `["string", "null"]` mean the same.
    """
    if isinstance(schema, Mapping) and isinstance(schema.get("type"), list):
        return {**schema, "type": sorted(map(str, schema["type"]))}
    return schema


def _schema(schema: Any) -> str:
    """Return a column's type in a few words where they say it all, else its schema."""
    if not isinstance(schema, Mapping) or not schema:
        return "any value"
    if schema == {"x-arrow": "values"}:
        return "the type of its values"
    if schema.keys() <= {"type", "format"} and "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        words = " or ".join(str(each) for each in types)
        return f"{words}, {schema['format']}" if "format" in schema else words
    return shorten(dict(schema))


def _key(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return str(value)
