"""A file as Arrow tables: which reader reads it, and where each row came from."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from etl_assets.model.schema.json_schema import from_arrow, to_arrow
from etl_assets.sources.files.json.documents import json_document_tables
from etl_assets.sources.files.json.lines import json_line_tables
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.partitions import partition_types
from etl_assets.sources.files.pieces import ORIGIN, Piece
from etl_assets.sources.files.rows import Tables
from etl_assets.sources.files.sheets.reader import SHEET_FORMATS, sheet_tables
from etl_assets.sources.files.text.csv import csv_properties, csv_tables
from etl_assets.sources.files.text.fixed_width import fixed_width_properties, fixed_width_tables
from etl_assets.sources.files.typed.arrow import arrow_properties, arrow_tables
from etl_assets.sources.files.typed.avro import avro_properties, avro_tables
from etl_assets.sources.files.typed.orc import orc_count, orc_properties, orc_tables
from etl_assets.sources.files.typed.parquet import parquet_count, parquet_properties, parquet_tables

_TABLES: dict[str, Callable[[Reading], Tables]] = {
    "arrow": arrow_tables,
    "avro": avro_tables,
    "csv": csv_tables,
    "fixed_width": fixed_width_tables,
    "json": json_document_tables,
    "jsonl": json_line_tables,
    "orc": orc_tables,
    "parquet": parquet_tables,
    **dict.fromkeys(SHEET_FORMATS, sheet_tables),
}
_PROPERTIES: dict[str, Callable[[Reading], dict[str, Any]]] = {
    "arrow": arrow_properties,
    "avro": avro_properties,
    "csv": csv_properties,
    "fixed_width": fixed_width_properties,
    "orc": orc_properties,
    "parquet": parquet_properties,
}
"""Of the formats whose files tell their columns before their rows."""
_COUNTS: dict[str, Callable[[Reading], int]] = {"orc": orc_count, "parquet": parquet_count}
"""Of the formats whose files tell how many rows they have."""


def pieces(reading: Reading) -> Iterator[Piece]:
    """Yield a file in pieces of bounded size, at least one if its columns are known.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    is_empty = True
    for table, lines in _TABLES[reading.format](reading):
        is_empty = False
        yield Piece(table, lines, reading, reading.refusals.taken())
    schema = schema_of(reading) if is_empty else None
    if schema is not None:
        found = to_arrow(schema)
        columns = [
            name for name in found.names if reading.reads(name) and name not in _added(reading)
        ]
        yield Piece(found.empty_table().select(columns), (), reading, {})


def _added(reading: Reading) -> Sequence[str]:
    return ORIGIN if reading.options.with_origin else ()


def schema_of(reading: Reading) -> dict[str, Any] | None:
    """Return the JSON Schema of a file as far as its head tells, or None where only rows do."""
    import pyarrow as pa

    known = _PROPERTIES.get(reading.format)
    if known is None:
        return None
    properties = known(reading)
    if partitioned := partition_types(reading):
        told = from_arrow(pa.schema(list(partitioned.items())))["properties"]
        for name, prop in told.items():
            properties.setdefault(name, prop)
    if reading.options.with_origin:
        properties["_file"] = {"type": ["null", "string"]}
        properties["_line"] = {"type": ["null", "integer"]}
    return {"type": "object", "properties": properties}


def count_of(reading: Reading) -> int | None:
    """Return the number of rows of a file that knows it, such as Parquet; None for the others."""
    count = None if reading.compression == "zip" else _COUNTS.get(reading.format)
    return count(reading) if count else None
