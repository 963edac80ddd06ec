"""Entries of a Singer catalog, with Mage's keys: what they stand for, and how they are written.

Pure functions over plain dicts. *Arguments* are what a `Stream` is made with; *values* are what its
fields hold: the arguments checked and normalised, and filled from the metadata where they leave
something open.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from etl_assets.exceptions import ConfigError, shorten
from etl_assets.model.schema.type_overrides import overridden, types_of
from etl_assets.naming import is_unicode

REPLICATION_METHODS = ("FULL_TABLE", "INCREMENTAL", "LOG_BASED")
CONFLICT_METHODS = ("UPDATE", "IGNORE")

ENTRY_KEYS = {
    "tap_stream_id": "name",
    "stream": "stream",
    "namespace": "namespace",
    "stream_alias": "stream_alias",
    "description": "description",
    "key_properties": "primary_key",
    "replication_method": "replication_method",
    "replication_key": "replication_key",
    "bookmark_properties": "bookmark_properties",
    "bookmark_property_operators": "bookmark_property_operators",
    "unique_constraints": "unique_constraints",
    "unique_conflict_method": "unique_conflict_method",
    "partition_keys": "partition_keys",
    "auto_add_new_fields": "auto_add_new_fields",
    "disable_column_type_check": "disable_column_type_check",
    "run_in_parallel": "run_in_parallel",
    "columns": "columns",
    "types": "types",
    "schema": "schema",
    "metadata": "metadata",
}
"""What an entry calls each field of a stream, in the order in which an entry is written."""

ALWAYS_WRITTEN = frozenset(
    {"tap_stream_id", "stream", "key_properties", "replication_method", "schema", "metadata"}
)

_LISTS = ("primary_key", "bookmark_properties", "unique_constraints", "partition_keys")
_OBJECTS = ("schema", "bookmark_property_operators")
_TEXTS = ("namespace", "stream_alias", "description")

# Where the stream's own metadata says what an entry may also say itself; the entry's word goes
# first.
_IN_METADATA = {
    "primary_key": ("table-key-properties", "view-key-properties"),
    "replication_key": ("replication-key",),
    "replication_method": ("replication-method",),
}

Metadata = tuple[dict[str, Any], ...]


def copied(value: Any) -> Any:
    """Copy the dicts, lists and tuples of a JSON value; anything else inside stays as it is."""
    kind = type(value)
    if kind is str or value is None:  # most values by far, in catalogs of thousands of columns
        return value
    if kind is dict or isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if kind is list:
        return [copied(item) for item in value]
    if kind is tuple:
        return tuple(copied(item) for item in value)
    return value


def arguments_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that a catalog entry stands for.

    Raises:
        ConfigError: It has no name.
    """
    name = entry.get("tap_stream_id") or entry.get("stream")
    if not isinstance(name, str):
        raise ConfigError(
            f"A catalog entry has no name; its keys are {sorted(map(str, entry))}.",
            hint="Each entry needs a `tap_stream_id`.",
        )
    given = {attribute: entry.get(key) for key, attribute in ENTRY_KEYS.items()}
    columns = given["columns"]
    are_names = isinstance(columns, list) and all(isinstance(column, str) for column in columns)
    if not are_names:
        given["columns"] = None  # another tool's key of the same name
    if not isinstance(given["types"], Mapping):
        given["types"] = None
    extra = {key: value for key, value in entry.items() if key not in ENTRY_KEYS}
    return {**given, "name": name, "selected": None, "extra": extra}


def values_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that arguments stand for; None, "" and nothing are the same.

    Raises:
        ConfigError: An argument is not of its kind.
    """
    name = given["name"]
    if not isinstance(name, str) or not name:
        raise ConfigError(f"A stream's name is a text that is not empty, not {shorten(name)}.")
    if not is_unicode(name):
        raise ConfigError(
            f"A stream's name is Unicode text, without unpaired surrogates as in {shorten(name)}.",
            hint="Rename it at the source; such names come of text that was decoded wrongly.",
            stream=name,
        )
    values = dict(given)
    values["stream"] = _text(name, "stream", given["stream"]) or name
    values["metadata"] = _metadata(name, given["metadata"], given["selected"])
    own = metadata_at(values["metadata"], ())
    for attribute, keys in _IN_METADATA.items():
        if not values[attribute]:
            values[attribute] = next((own[key] for key in keys if own.get(key)), None)
    for attribute in _LISTS:
        values[attribute] = _names(name, attribute, values[attribute])
    if given["columns"] is not None:
        values["columns"] = _names(name, "columns", given["columns"])
    for attribute in _OBJECTS:
        values[attribute] = _object(name, attribute, values[attribute])
    values["types"] = types_of(given["types"], name)
    values["schema"] = overridden(values["schema"], values["types"])
    for attribute in _TEXTS:
        values[attribute] = _text(name, attribute, values[attribute])
    for attribute in ("auto_add_new_fields", "run_in_parallel"):
        values[attribute] = bool(values[attribute])
    check = values["disable_column_type_check"]
    values["disable_column_type_check"] = None if check is None else bool(check)
    values["unique_conflict_method"] = _word(
        name, "unique_conflict_method", values["unique_conflict_method"], CONFLICT_METHODS
    )
    values["selected"] = own["selected"] if isinstance(own.get("selected"), bool) else None
    values["extra"] = _extra(name, given["extra"])
    values.update(_replication(values, own))
    return values


def entry_of(values: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """Return the catalog entry of a stream: the original one, but for what has changed since.

    Args:
        values: Of the stream as it is now.
        original: The entry it was read from; empty if there is none.
    """
    # What the original says under today's metadata: that is what must be written over.
    today = {"tap_stream_id": values["name"], **original, "metadata": values["metadata"]}
    before = values_of(arguments_of(today))
    before["name"] = original.get("tap_stream_id") or original.get("stream")
    before["metadata"] = tuple(original.get("metadata") or ())
    entry = dict(original)
    for key, attribute in ENTRY_KEYS.items():
        missing = not original and key in ALWAYS_WRITTEN
        if missing or values[attribute] != before[attribute]:
            entry[key] = _written(attribute, values[attribute])
    for key in before["extra"].keys() - values["extra"].keys():
        del entry[key]
    entry.update(values["extra"])
    written: dict[str, Any] = copied(entry)
    return written


def metadata_at(metadata: Iterable[Mapping[str, Any]], breadcrumb: Sequence[str]) -> dict[str, Any]:
    """Return the metadata at a breadcrumb; {} if there is none."""
    found: dict[str, Any] = {}
    for entry in metadata:
        place = entry["breadcrumb"]
        if len(place) == len(breadcrumb) and list(place) == list(breadcrumb):
            found.update(entry["metadata"])
    return found


def changed_metadata(metadata: Metadata, changes: Mapping[str, Any]) -> Metadata:
    """Return the metadata after some arguments have changed: what it says of them follows."""
    own = metadata_at(metadata, ())
    for attribute, keys in _IN_METADATA.items():
        for key in keys:
            if attribute in changes and key in own:
                own = _set(own, key, _as_metadata(attribute, changes[attribute]))
    if "selected" in changes:
        own = _set(own, "selected", changes["selected"])
    if own == metadata_at(metadata, ()):
        return metadata
    others = tuple(entry for entry in metadata if list(entry["breadcrumb"]))
    if not own:
        return others
    return ({"breadcrumb": [], "metadata": own}, *others)


def by_breadcrumb(metadata: Metadata) -> list[tuple[list[str], Mapping[str, Any]]]:
    """Return the metadata in the order of its breadcrumbs: taps write them in any order."""
    pairs = [(list(entry["breadcrumb"]), entry["metadata"]) for entry in metadata]
    return sorted(pairs, key=lambda pair: pair[0])


def forced_method(own: Mapping[str, Any]) -> Any:
    """Return the replication method that the source allows alone, by the stream's own metadata."""
    forced = own.get("forced-replication-method")
    # Some taps write an object: {"replication-method": ..., "reason": ...}.
    return forced.get("replication-method") if isinstance(forced, Mapping) else forced


def _replication(values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    name = values["name"]
    keys = _names(name, "replication_key", values["replication_key"])
    bookmarks = values["bookmark_properties"]
    if len(keys) > 1:
        bookmarks = tuple(dict.fromkeys((*keys, *bookmarks)))
    said = values["replication_method"]
    method = _word(name, "replication_method", said, REPLICATION_METHODS)
    if method is None:
        forced = forced_method(own)
        method = _word(name, "forced-replication-method", forced, REPLICATION_METHODS)
    if method is None:
        method = "INCREMENTAL" if keys or bookmarks else "FULL_TABLE"
    if method == "INCREMENTAL" and not keys and not bookmarks:
        # With several to choose from none is chosen: either the source keeps a bookmark of its own,
        # or it is an error.
        valid = _names(name, "valid-replication-keys", own.get("valid-replication-keys"))
        keys = valid if len(valid) == 1 else ()
    return {
        "replication_method": method,
        "replication_key": keys[0] if keys else None,
        "bookmark_properties": bookmarks,
    }


def _set(own: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {other: kept for other, kept in own.items() if other != key}
    return {**own, key: value}


def _as_metadata(attribute: str, value: Any) -> Any:
    """Return an argument's value as metadata has it: a list of keys, or one replication key."""
    if not value:
        return None
    if attribute == "primary_key":
        return [value] if isinstance(value, str) else list(value)
    return value if isinstance(value, str) else next(iter(value))


def _written(attribute: str, value: Any) -> Any:
    if attribute == "schema" and value is None:
        return {}
    return list(value) if isinstance(value, tuple) else value


def _names(stream: str, what: str, value: Any) -> tuple[str, ...]:
    """Read a list of names; one name alone may be a text."""
    if value is None or value == "":
        return ()
    names: tuple[Any, ...] = (None,)
    if isinstance(value, str):
        names = (value,)
    elif isinstance(value, Iterable) and not isinstance(value, Mapping):
        names = tuple(value)
    if not all(isinstance(name, str) and is_unicode(name) for name in names):
        raise _wrong(stream, what, value, "a list of names")
    return names


def _object(stream: str, what: str, value: Any) -> dict[str, Any] | None:
    if value is None or value == {}:
        return None
    if not isinstance(value, dict):
        raise _wrong(stream, what, value, "an object")
    return value


def _text(stream: str, what: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not is_unicode(value):
        raise _wrong(stream, what, value, "a text")
    return value


def _word(stream: str, what: str, value: Any, known: Sequence[str]) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or value.upper() not in known:
        raise _wrong(stream, what, value, f"one of {', '.join(known)}")
    return value.upper()


def _metadata(stream: str, value: Any, selected: Any) -> Metadata:
    if value is not None and (not isinstance(value, Iterable) or isinstance(value, Mapping | str)):
        raise _wrong(stream, "metadata", value, "a list of objects")
    entries = tuple(value or ())
    for entry in entries:
        if not _is_metadata(entry):
            wanted = "an object with a `breadcrumb` of names and `metadata`"
            raise _wrong(stream, "metadata", entry, wanted)
    if selected is None:
        return entries
    return changed_metadata(entries, {"selected": bool(selected)})


def _is_metadata(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("metadata"), dict):
        return False
    breadcrumb = entry.get("breadcrumb")
    if not isinstance(breadcrumb, list | tuple):
        return False
    return all(isinstance(part, str) for part in breadcrumb)


def _extra(stream: str, value: Any) -> dict[str, Any]:
    extra = _object(stream, "extra", value) or {}
    taken = sorted(extra.keys() & ENTRY_KEYS.keys())
    if taken:
        raise ConfigError(
            f"stream {stream!r}: {taken} are arguments of their own, not `extra`.", stream=stream
        )
    return extra


def _wrong(stream: str, what: str, value: Any, wanted: str) -> ConfigError:
    if "\\ud" in repr(value):  # an unpaired surrogate
        wanted = f"{wanted} of Unicode characters"
    return ConfigError(
        f"stream {stream!r}: its {what} is {shorten(value)}, not {wanted}.", stream=stream
    )
