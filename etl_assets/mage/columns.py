"""What metadata selects, under the names sources written for Mage import."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

COLUMN_DEPTH = 2


def extract_selected_columns(metadata_array: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns that metadata selects, in its order.

    Keys are always selected. If no column is selected by name, all are that are not deselected.
    """
    columns = dict(_columns_of(metadata_array))
    any_picked = any(metadata.get("selected") for metadata in columns.values())

    def selects(metadata: Mapping[str, Any]) -> bool:
        inclusion = metadata.get("inclusion")
        if inclusion in {"automatic", "unsupported"}:
            return bool(inclusion == "automatic")
        return bool(metadata.get("selected", not any_picked))

    return [column for column, metadata in columns.items() if selects(metadata)]


def _columns_of(
    metadata_array: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each column that metadata is about, with its metadata."""
    for entry in metadata_array:
        breadcrumb: Sequence[str] = entry.get("breadcrumb") or ()
        if len(breadcrumb) == COLUMN_DEPTH and breadcrumb[0] == "properties":
            yield breadcrumb[1], entry.get("metadata") or {}


def filter_columns(
    columns: Sequence[str], properties: Mapping[str, Mapping[str, Any]], column_types: Sequence[str]
) -> list[str]:
    """Return the columns that have at least one of some JSON types."""
    kept = []
    for column in columns:
        types = (properties.get(column) or {}).get("type") or ()
        if isinstance(types, str):
            types = [types]
        if set(types) & set(column_types):
            kept.append(column)
    return kept
