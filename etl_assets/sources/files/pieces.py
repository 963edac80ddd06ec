"""Some rows of a file, and how those of several blocks or files become one table."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.refused import Refusal
from etl_assets.model.values.arrays import array_of
from etl_assets.sources.files.options import FileOptions, Reading
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


def filled(some: Iterator[Piece], options: FileOptions) -> Iterator[Piece]:
    """Join pieces of one file that follow each other, as far as a batch holds them."""
    held: list[Piece] = []
    for piece in some:
        if held and not _are_one(held, piece, options):
            yield _one(held)
            held = []
        held.append(piece)
    if held:
        yield _one(held)


def _are_one(held: Sequence[Piece], piece: Piece, options: FileOptions) -> bool:
    """Return whether a piece may be joined with those before it."""
    all_ = [*held, piece]
    if any(isinstance(one.table, list) or one.refused for one in all_):
        return False
    if sum(len(one.table) for one in all_) > options.batch_rows:
        return False
    if sum(one.arrow.nbytes for one in all_) > options.batch_bytes:
        return False
    schemas = [one.arrow.schema for one in all_]
    return all(_is_like(first, second) for first in schemas for second in schemas)


def _is_like(first: "pa.Schema", second: "pa.Schema") -> bool:
    """Return whether two tables have the same columns, some of them perhaps without any value."""
    import pyarrow as pa

    if first.equals(second, check_metadata=True):
        return True
    return first.names == second.names and all(
        one.type == other.type or pa.null() in {one.type, other.type}
        for one, other in zip(first, second, strict=True)
    )


def _one(held: Sequence[Piece]) -> Piece:
    import pyarrow as pa

    if len(held) == 1:
        return held[0]
    table = pa.concat_tables([piece.arrow for piece in held], promote_options="default")
    lines: Sequence[int] = array("q", chain.from_iterable(piece.lines for piece in held))
    if all(type(piece.lines) is range for piece in held) and all(
        before.lines[-1] + 1 == behind.lines[0] for before, behind in pairwise(held)
    ):
        lines = range(held[0].lines[0], held[-1].lines[-1] + 1)
    return Piece(table.combine_chunks(), lines, held[0].reading, {})


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
