"""Metadata of catalog entries, under the name sources written for Mage import."""

from collections.abc import Mapping, Sequence
from typing import Any


def get_standard_metadata(
    key_properties: Sequence[str] | None = None,
    replication_method: str | None = None,
    schema: Mapping[str, Any] | None = None,
    stream_id: str | None = None,
    valid_replication_keys: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Return the metadata of a stream as Singer's discovery has it.

    Nothing is said of selection; keys are automatic.

    Args:
        key_properties: The primary key.
        replication_method: The only one the source has.
        schema: JSON Schema with `properties`.
        stream_id: The stream.
        valid_replication_keys: Fields that can be the replication key.
    """
    said = {
        "table-key-properties": None if key_properties is None else list(key_properties),
        "forced-replication-method": replication_method or None,
        "valid-replication-keys": None
        if valid_replication_keys is None
        else list(valid_replication_keys),
        "inclusion": "available" if schema else None,
        "schema-name": (stream_id or None) if schema else None,
    }
    metadata: list[dict[str, Any]] = [
        {
            "breadcrumb": (),
            "metadata": {word: value for word, value in said.items() if value is not None},
        }
    ]
    automatic = {*(key_properties or ()), *(valid_replication_keys or ())}
    for name in (schema or {}).get("properties") or {}:
        inclusion = "automatic" if name in automatic else "available"
        metadata.append({"breadcrumb": ("properties", name), "metadata": {"inclusion": inclusion}})
    return metadata
