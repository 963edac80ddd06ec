"""A catalog that was discovered again: what the source says now, with what people had set.

Selection, replication and the other words that people write into a catalog stay as committed, even
where the source now says otherwise: the notes tell of it. The columns are the source's. So is the
primary key, unless somebody has set another one than the source had.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from etl_assets.model.catalog import Catalog
from etl_assets.model.catalog_entries import ENTRY_KEYS
from etl_assets.model.selection import matches
from etl_assets.model.stream import Stream

_PRIMARY_KEYS = ("table-key-properties", "view-key-properties")
_REPLICATION = (
    "replication_method",
    "replication_key",
    "bookmark_properties",
    "bookmark_property_operators",
)
_KEPT = (
    *_REPLICATION,
    "unique_constraints",
    "unique_conflict_method",
    "partition_keys",
    "auto_add_new_fields",
    "disable_column_type_check",
    "run_in_parallel",
    "stream_alias",
    "columns",
    "types",
)
_ESTIMATE = "row-count"
"""It stays as committed, too: a table that grows is no change of its catalog."""
_KEPT_METADATA = ("selected", "replication-key", "replication-method", _ESTIMATE)


@dataclass(frozen=True)
class Rediscovered:
    """What a new look at a source came to.

    Args:
        catalog: To be committed.
        changes: What is another than before, in sentences; nothing if the committed catalog would
            stay as it is.
        notes: Where what people set differs from what the source says, or does not fit it any more.
    """

    catalog: Catalog
    changes: list[str]
    notes: list[str]


def rediscovered(before: Catalog | None, found: Catalog, *, declared: bool = False) -> Rediscovered:
    """Put together what the source says now and what people had set.

    Args:
        before: The committed catalog, or what the code declares; None at first.
        found: What the source says.
        declared: `before` is no file but the code: what it does not name is written down, but not
            selected.
    """
    if before is None:
        before = Catalog([])
        declared = False
    streams: list[Stream] = []
    notes: list[str] = []
    for key, stream in found.items():
        if key in before:
            kept = merged(before[key], stream)
            notes.extend(_notes(kept, stream))
        else:
            kept = stream.replace(selected=False) if declared else stream
        streams.append(kept)
    extra = before.to_dict() if len(before) else found.to_dict()
    extra.pop("streams")
    catalog = Catalog(streams, extra=extra)
    return Rediscovered(catalog, list(_changes(before, catalog)), notes)


def merged(before: Stream, found: Stream) -> Stream:
    """Return a stream as its source has it, with what people had set of it."""
    old, entry = before.to_dict(), found.to_dict()
    for key in _REPLICATION:
        entry.pop(key, None)
    entry.update({key: old[key] for key in _KEPT if key in old})
    # Its values, not its words: these may stand in the old metadata alone.
    entry["replication_method"] = before.replication_method
    if before.replication_key is not None:
        entry["replication_key"] = before.replication_key
    for key in (*(key for key in old if key not in ENTRY_KEYS), "description"):
        if not entry.get(key) and key in old:
            entry[key] = old[key]
    if found.schema is None and before.schema is not None:
        entry["schema"] = old["schema"]
    if _has_own_key(before):
        entry["key_properties"] = list(before.primary_key)
    entry["metadata"] = list(_metadata(before, found))
    # In one order, whoever wrote it first: people read the difference.
    rest = [key for key in entry if key not in ENTRY_KEYS]
    return Stream.from_dict({key: entry[key] for key in (*ENTRY_KEYS, *rest) if key in entry})


def _has_own_key(before: Stream) -> bool:
    """Return whether somebody has set the primary key: the metadata says another one, or none."""
    own = before.metadata_of()
    told = [own[key] for key in _PRIMARY_KEYS if key in own]
    if not told:
        return bool(before.primary_key)
    return before.primary_key != tuple(told[0] or ())


def _metadata(before: Stream, found: Stream) -> Iterator[dict[str, Any]]:
    seen = set()
    for entry in found.metadata:
        place = tuple(entry["breadcrumb"])
        seen.add(place)
        told = entry["metadata"].items()
        own = {key: value for key, value in told if not _is_kept(key)}
        yield {**entry, "metadata": {**own, **_set_by_people(before.metadata_of(*place))}}
    for entry in before.metadata:
        place, own = tuple(entry["breadcrumb"]), _set_by_people(entry["metadata"])
        # Metadata without a word on selection would deselect a stream that has none.
        if place not in seen and "selected" in own and _is_there(found, place):
            yield {"breadcrumb": list(place), "metadata": own}


def _is_kept(key: str) -> bool:
    """Return whether the committed catalog has the word on a key of the metadata."""
    return key.startswith("replication-") or key == _ESTIMATE


def _set_by_people(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: metadata[key] for key in _KEPT_METADATA if key in metadata}


def _is_there(stream: Stream, place: tuple[str, ...]) -> bool:
    """Return whether a breadcrumb is the stream's own, or that of a column that it may have."""
    if len(place) < 2 or stream.schema is None:  # noqa: PLR2004 - `properties` and a name
        return True
    return place[1] in (stream.schema.get("properties") or {})


def _notes(kept: Stream, found: Stream) -> Iterator[str]:
    where = f"stream {kept.full_name!r}"
    if kept.primary_key != found.primary_key and found.primary_key:
        mine, its = _names(kept.primary_key), _names(found.primary_key)
        yield f"{where} keeps the primary key {mine}; the source says {its}."
    is_read_otherwise = (kept.method, kept.cursor) != (found.method, found.cursor)
    has_a_say = found.cursor or found.method != "FULL_TABLE"
    if is_read_otherwise and has_a_say:
        yield f"{where} stays {_how(kept)}; the source says {_how(found)}."
    yield from missing_columns(kept, kept)


def missing_columns(stream: Stream, found: Stream) -> Iterator[str]:
    """Yield a sentence for each column that a stream names and its source does not have."""
    columns = (found.schema or {}).get("properties")
    if not columns:
        return
    named = {
        "primary key": stream.primary_key,
        "replication key": stream.cursor,
        "selection": stream.columns or (),
    }
    for role, names in named.items():
        for name in names:
            if not any(matches(column, name) for column in columns):
                yield f"stream {stream.full_name!r}: {name!r} of its {role} is no column."


def _changes(before: Catalog, catalog: Catalog) -> Iterator[str]:
    told = set()
    for change in before.diff(catalog):
        told.add(change.stream)
        yield str(change)
    for key, stream in catalog.items():
        is_another = key in before and before[key] != stream
        if is_another and stream.full_name not in told:
            yield f"stream {stream.full_name!r}: its description or metadata is another."


def _how(stream: Stream) -> str:
    return f"{stream.method} by {_names(stream.cursor)}" if stream.cursor else stream.method


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
