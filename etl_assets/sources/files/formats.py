"""A file as Arrow tables: which reader reads it, and where each row came from."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.model.schema.json_schema import from_arrow, to_arrow
from etl_assets.sources.files.json.documents import json_document_tables
from etl_assets.sources.files.json.lines import json_line_tables
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.partitions import partition_types, with_partitions
from etl_assets.sources.files.rows import Tables
from etl_assets.sources.files.sheets.reader import SHEET_FORMATS, sheet_tables
from etl_assets.sources.files.text.csv import csv_properties, csv_tables
from etl_assets.sources.files.text.fixed_width import fixed_width_properties, fixed_width_tables
from etl_assets.sources.files.text.tables import Rows
from etl_assets.sources.files.typed.arrow import arrow_properties, arrow_tables
from etl_assets.sources.files.typed.arrow_columns import storable
from etl_assets.sources.files.typed.avro import avro_properties, avro_tables
from etl_assets.sources.files.typed.orc import orc_count, orc_properties, orc_tables
from etl_assets.sources.files.typed.parquet import parquet_count, parquet_properties, parquet_tables

if TYPE_CHECKING:
    import pyarrow as pa

ORIGIN = ("_file", "_line")


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
IN_ARROW = frozenset({"arrow", "orc", "parquet"})
"""The formats that pyarrow reads, without a look at the values in them."""
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


def tables(reading: Reading) -> Iterator["pa.Table | Rows"]:
    """Yield a file as tables of bounded size; as rows where a column has values of several types.

    Raises:
        DataError: The file is not what it should be; names file and line.
    """
    is_empty = True
    for table, lines in _TABLES[reading.format](reading):
        is_empty = False
        if reading.format in IN_ARROW and not isinstance(table, list):
            table = storable(table, lines, reading)  # noqa: PLW2901 - the same rows
        whole = _partitioned(table, reading) if "=" in reading.folders else table
        yield _with_origin(whole, lines, reading) if reading.options.with_origin else whole
    schema = schema_of(reading) if is_empty else None
    if schema is not None:
        found = to_arrow(schema)
        yield found.empty_table().select([name for name in found.names if reading.reads(name)])


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


def _partitioned(table: "pa.Table | Rows", reading: Reading) -> "pa.Table | Rows":
    import pyarrow as pa

    if not isinstance(table, list):
        return with_partitions(table, reading)
    told = with_partitions(pa.table({name: pa.nulls(len(table)) for name in table[0]}), reading)
    more = told.select([name for name in told.column_names if name not in table[0]])
    return [{**row, **values} for row, values in zip(table, more.to_pylist(), strict=True)]


def _with_origin(
    table: "pa.Table | Rows", lines: Sequence[int], reading: Reading
) -> "pa.Table | Rows":
    import pyarrow as pa

    for name, column in zip(ORIGIN, ([reading.file] * len(table), lines), strict=True):
        if name in (table[0] if isinstance(table, list) else table.column_names):
            raise reading.error(f"has a column {name!r} of its own.", hint="Leave with_origin out.")
        if not reading.reads(name):
            continue
        if isinstance(table, list):
            for row, value in zip(table, column, strict=True):
                row[name] = value
        else:
            type_ = pa.string() if name == "_file" else pa.int64()
            table = table.append_column(name, pa.array(column, type_))
    return table
