"""Some rows of a file, and how those of several blocks or files become one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.refused import Refusal
from etl_assets.model.values.arrays import array_of
from etl_assets.sources.files.options import Reading
from etl_assets.sources.files.partitions import with_partitions
from etl_assets.sources.files.text.tables import Rows
from etl_assets.sources.files.typed.arrow_columns import converted, storable

if TYPE_CHECKING:
    import pyarrow as pa

ORIGIN = ("_file", "_line")
IN_ARROW = frozenset({"arrow", "orc", "parquet"})
"""The formats that pyarrow reads, without a look at the values in them."""


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
            table = table.append_column(name, array_of(list(column), type_))
    return table
