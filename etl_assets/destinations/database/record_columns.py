"""The three columns about each record that PyAirbyte's tables have.

They are the record's id, when it was extracted, and what was changed of it. All three are new on
every read, so they are no part of what a row is: no merge compares them, no schema change names
them, and a row that came again as it was keeps them. If they are wanted, they are staged beside the
records. They are made by columns, not row by row.
"""

import json
import os
import time
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

from etl_assets.constants import AB_EXTRACTED_AT_COLUMN, AB_META_COLUMN, AB_RAW_ID_COLUMN
from etl_assets.model.batch import Batch
from etl_assets.model.schema.types import json_type
from etl_assets.model.values.arrays import array_of

if TYPE_CHECKING:
    import pyarrow as pa

NAMES = (AB_RAW_ID_COLUMN, AB_EXTRACTED_AT_COLUMN, AB_META_COLUMN)
_HEX = bytes(b"0123456789abcdef"[byte & 15] for byte in range(256))
_VARIANT = bytes(b"89ab"[byte & 3] for byte in range(256))
_UUID_CHARACTERS = 36
_DASHES = (8, 13, 18, 23)
_VERSION_AT, _VARIANT_AT, _CHANCE_FROM = 14, 19, 15


def types_of(names: Sequence[str]) -> "dict[str, pa.DataType]":
    """Return the types of some of the columns."""
    import pyarrow as pa

    types = {
        AB_RAW_ID_COLUMN: pa.string(),
        AB_EXTRACTED_AT_COLUMN: pa.timestamp("us", "UTC"),
        AB_META_COLUMN: json_type(),
    }
    return {name: types[name] for name in names}


def staged_as(name: str) -> str:
    """Return the name of one of the columns while it is staged: a name that no field can have."""
    return f"~{name}"


def is_staged(name: str) -> bool:
    """Return whether a staged column is one of the three."""
    return name.removeprefix("~") in NAMES and name.startswith("~")


def with_columns(table: "pa.Table", batch: Batch) -> "pa.Table":
    """Return the records of a batch with the three columns after their own.

    Args:
        table: The records.
        batch: The batch, which knows when they were emitted and what the source says of them.
    """
    types = types_of(NAMES)
    made = (new_ids(table.num_rows), _extracted_at(batch), _meta(batch))
    for name, column in zip(NAMES, made, strict=True):
        table = table.append_column(staged_as(name), column.cast(types[name]))
    return table


def new_ids(count: int) -> "pa.Array":
    """Return version 7 UUIDs (RFC 9562) as texts: those of later calls sort later."""
    import pyarrow as pa

    width = _UUID_CHARACTERS
    text = bytearray(width * count)
    moment = f"{time.time_ns() // 1_000_000:012x}"
    for at, character in enumerate(f"{moment[:8]}-{moment[8:]}".encode()):
        text[at::width] = bytes([character]) * count
    for at in _DASHES:
        text[at::width] = b"-" * count
    text[_VERSION_AT::width] = b"7" * count
    for at in range(_CHANCE_FROM, width):
        if at not in _DASHES:
            text[at::width] = os.urandom(count).translate(_VARIANT if at == _VARIANT_AT else _HEX)
    offsets = array("i", range(0, width * count + 1, width))
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))


def _extracted_at(batch: Batch) -> "pa.Array | pa.ChunkedArray":
    """Return when the records were emitted; now, where the source does not say."""
    import pyarrow as pa

    now = pa.scalar(time.time_ns() // 1000, pa.timestamp("us", "UTC"))
    if batch.emitted is not None:
        try:
            given = batch.emitted
            if isinstance(given, list):
                given = array_of(given, pa.int64())
            given = given.cast(pa.timestamp("ms", "UTC"))
            return given.cast(pa.timestamp("us", "UTC")).fill_null(now)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass  # a source that counts time in another way
    return pa.repeat(now, len(batch))


def _meta(batch: Batch) -> "pa.Array":
    import pyarrow as pa

    if not batch.meta:
        return pa.repeat(pa.scalar("{}"), len(batch))
    texts = ["{}"] * len(batch)
    for row, said in batch.meta.items():
        texts[row] = json.dumps(said, ensure_ascii=False, default=str)
    return array_of(texts, pa.string())
