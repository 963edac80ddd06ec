"""What metadata selects, under the names sources written for Mage import."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMN_DEPTH = 2


def extract_selected_columns(metadata_array: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns that metadata selects, in its order: keys always.

    All but deselected where none is picked.
    """
    columns = {
        entry["breadcrumb"][1]: entry.get("metadata") or {}
        for entry in metadata_array
        if len(entry.get("breadcrumb") or ()) == COLUMN_DEPTH
        and entry["breadcrumb"][0] == "properties"
    }
    any_picked = any(metadata.get("selected") for metadata in columns.values())
    return [
        column
        for column, metadata in columns.items()
        if metadata.get("inclusion") == "automatic"
        or (metadata.get("inclusion") != "unsupported" and metadata.get("selected", not any_picked))
    ]


def filter_columns(
    columns: Sequence[str], properties: Mapping[str, Mapping[str, Any]], column_types: Sequence[str]
) -> list[str]:
    """Return the columns whose type, or one of whose types, is among some."""
    kept = []
    for column in columns:
        types = (properties.get(column) or {}).get("type") or ()
        if set([types] if isinstance(types, str) else types) & set(column_types):
            kept.append(column)
    return kept
