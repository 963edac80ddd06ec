"""A file as Arrow tables: which reader reads it, and where each row came from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.refused import Refusal
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
from etl_assets.sources.files.typed.arrow_columns import converted, storable
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


@dataclass(frozen=True)
class Piece:
    """Some rows of a file, as its reader gives them.

    Args:
        table: The rows.
        lines: Where in the file each begins.
        reading: The file.
        refused: The values that the reader has refused.
    """

    table: "pa.Table | Rows"
    lines: Sequence[int]
    reading: Reading
    refused: Mapping[int, list[Refusal]]

    @property
    def arrow(self) -> "pa.Table":
        """The rows, where they are a table.

        Raises:
            TypeError: They are not.
        """
        if isinstance(self.table, list):
            raise TypeError("rows are no table")
        return self.table

    def batch(self) -> Batch:
        """Return the rows as a batch; values that cannot be stored are refused."""
        table, refusals = self.table, self.reading.refusals
        if self.reading.format in IN_ARROW and not isinstance(table, list):
            table = storable(table, self.lines, self.reading)
        whole = self.added(table)
        more = refusals.taken()
        rows = sorted({*self.refused, *more})
        refused = {row: [*self.refused.get(row, ()), *more.get(row, ())] for row in rows}
        return batch_of(whole, refused)

    def added(self, table: "pa.Table | Rows") -> Any:
        """Return rows with the columns that the place of the file gives them."""
        reading = self.reading
        whole = _partitioned(table, reading) if "=" in reading.folders else table
        return _with_origin(whole, self.lines, reading) if reading.options.with_origin else whole


def batch_of(table: "pa.Table | Rows", refused: "dict[int, list[Refusal]] | None" = None) -> Batch:
    """Return rows of a file as a batch."""
    batch = Batch(table, refused=refused or {})
    batch.texts_are_known = True
    return batch


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


def joined(some: Sequence[Piece]) -> "pa.Table | None":
    """Return pieces of one schema as one table; None if a value of theirs cannot be stored."""
    import pyarrow as pa

    table = pa.concat_tables([piece.arrow for piece in some])
    first = some[0].reading
    try:
        if first.format in IN_ARROW:
            table = converted(table, first)
    except DataError:
        return None
    if first.options.with_origin or any("=" in piece.reading.folders for piece in some):
        begin, parts = 0, []
        for piece in some:
            end = begin + len(piece.table)
            parts.append(piece.added(table.slice(begin, end - begin)))
            begin = end
        if any(part.schema != parts[0].schema for part in parts):
            return None
        table = pa.concat_tables(parts)
    are_plain = not any(pa.types.is_dictionary(one.type) for one in table.schema)
    return table.combine_chunks() if are_plain else table


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
