"""What of a catalog is selected, by Singer's precedence.

`inclusion: unsupported` is never selected, `automatic` always; else `selected` decides, else
`selected-by-default`.

Two things Singer leaves open. A stream about which nothing at all is said (no metadata of its own,
as one written by hand) is selected; one with metadata that says nothing about selection, as a tap
discovers it, is not. And a stream none of whose columns is picked is read whole, but for the
columns that were deselected one by one.
"""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.model.catalog_entries import metadata_at
from etl_assets.model.stream import Stream

_COLUMN_DEPTH = 2
"""Parts of a column's breadcrumb: `properties` and its name.

Deeper ones are parts of a column, which is read whole.
"""


def is_selected(stream: Stream) -> bool:
    """Return whether a stream is selected."""
    own = [entry for entry in stream.metadata if not list(entry["breadcrumb"])]
    if not own:
        return True
    return bool(_said(metadata_at(own, ())))


def is_column_selected(stream: Stream, column: str) -> bool:
    """Return whether a column is selected; keys always are."""
    return _Columns(stream).selects(column)


def column_selector(stream: Stream) -> Callable[[str], bool]:
    """Return a function that tells of each column of a stream whether it is selected."""
    return stream.remembered("columns", lambda: _Columns(stream)).selects


def selected_columns(stream: Stream) -> tuple[str, ...] | None:
    """Return the selected columns in the schema's order, or None if they are yet to be found.

    Raises:
        ConfigError: A name or glob in the stream's `columns` matches no column of its schema.
    """
    declared = (stream.schema or {}).get("properties")
    if not declared:
        return None
    for pattern in stream.columns or ():
        if not any(matches(column, pattern) for column in declared):
            raise ConfigError(
                f"stream {stream.full_name!r}: {pattern!r} in its columns matches none.",
                hint=did_you_mean(pattern, declared),
                stream=stream.name,
            )
    columns = _Columns(stream)
    return tuple(column for column in declared if columns.selects(column))


def key_columns(stream: Stream) -> frozenset[str]:
    """Return the columns that are read whatever is selected.

    Without them rows could not be told apart, or followed.
    """
    return frozenset(
        (*stream.primary_key, *stream.cursor, *stream.unique_constraints, *stream.partition_keys)
    )


def matches(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern: the same text, or a glob. Case counts."""
    return name == pattern or fnmatchcase(name, pattern)


class _Columns:
    """A stream's columns, with what the metadata says of them at hand."""

    def __init__(self, stream: Stream) -> None:
        self._patterns = stream.columns
        self._always = set(key_columns(stream))
        self._never: set[str] = set()
        self._said: dict[str, bool | None] = {}
        for entry in stream.metadata:
            place, metadata = list(entry["breadcrumb"]), entry["metadata"]
            if len(place) != _COLUMN_DEPTH or place[0] != "properties":
                continue
            if metadata.get("inclusion") == "automatic":
                self._always.add(place[1])
            elif metadata.get("inclusion") == "unsupported":
                self._never.add(place[1])
            else:
                self._said[place[1]] = _said(metadata)
        self._any_picked = any(self._said.values())
        self._known = (stream.schema or {}).get("properties") or {}
        self._takes_new = stream.auto_add_new_fields

    def selects(self, column: str) -> bool:
        if column in self._always:
            return True
        if column in self._never:
            return False
        if self._patterns is not None:
            return any(matches(column, pattern) for pattern in self._patterns)
        said = self._said.get(column)
        if said is not None:
            return said
        is_new = self._takes_new and column not in self._known
        return is_new or not self._any_picked


def _said(metadata: Mapping[str, Any]) -> bool | None:
    """Return what metadata says by Singer's precedence, or None if nothing."""
    inclusion = metadata.get("inclusion")
    if inclusion in {"unsupported", "automatic"}:
        return bool(inclusion == "automatic")
    for word in ("selected", "selected-by-default"):
        if isinstance(metadata.get(word), bool):
            return bool(metadata[word])
    return None
