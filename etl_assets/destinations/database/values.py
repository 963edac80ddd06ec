"""Values between Arrow and a driver that takes and gives texts where it has no type of its own."""

import uuid
from collections.abc import Sequence
from datetime import time
from typing import TYPE_CHECKING, Any

from etl_assets.model.schema.types import is_json, is_uuid
from etl_assets.model.values.scalars import to_text

if TYPE_CHECKING:
    import pyarrow as pa


def array(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array":
    """Return values that were read as an array."""
    import pyarrow as pa

    if is_json(type_):
        return pa.ExtensionArray.from_storage(type_, pa.array(values, pa.utf8()))
    if is_uuid(type_):
        return uuids(values, type_)
    if pa.types.is_boolean(type_):
        return pa.array([None if one is None else bool(one) for one in values], type_)
    if pa.types.is_duration(type_):
        return pa.array(values, pa.int64()).cast(type_)
    if pa.types.is_string(type_):
        texts = [one if one is None or isinstance(one, str) else to_text(one) for one in values]
        return pa.array(texts, type_)
    if pa.types.is_time(type_):
        return pa.array([None if one is None else time.fromisoformat(one) for one in values], type_)
    if pa.types.is_decimal(type_) or pa.types.is_temporal(type_):
        texts = [None if one is None else str(one) for one in values]
        return pa.array(texts, pa.string()).cast(type_)
    return pa.array(values, type_)


def decimal_texts(column: "pa.Array") -> "pa.Array":
    """Return decimals as text with all their digits and no exponent."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = column.cast(pa.string())
    if not pc.any(pc.match_substring(texts, "E")).as_py():
        return texts
    plain = [None if one is None else f"{one:f}" for one in column.to_pylist()]
    return pa.array(plain, pa.string())


def uuid_texts(column: "pa.Array") -> "pa.Array":
    """Return UUIDs as text with hyphens."""
    import pyarrow as pa

    raw = column.storage.to_pylist()
    texts = [None if one is None else str(uuid.UUID(bytes=one)) for one in raw]
    return pa.array(texts, pa.string())


def uuids(texts: Sequence[str | None], type_: "pa.DataType") -> "pa.Array":
    """Return UUIDs of their texts."""
    import pyarrow as pa

    raw = [None if one is None else uuid.UUID(one).bytes for one in texts]
    return pa.ExtensionArray.from_storage(type_, pa.array(raw, type_.storage_type))
