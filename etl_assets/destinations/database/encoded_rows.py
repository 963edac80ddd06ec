"""Rows on their way into a table whose database may take them in the bytes they came in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.model.encoded import Chunk, Encoded

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Native:
    """Rows that are encoded, with a value for each of the columns that are written.

    Args:
        names: The columns in the order of the bytes, by the table's names.
        encoded: The rows.
        batches: Gives them as Arrow, with the table's names and types.
    """

    names: Sequence[str]
    encoded: Encoded
    batches: "Callable[[], Iterator[pa.RecordBatch]]"

    @property
    def num_rows(self) -> int:
        """How many."""
        return len(self.encoded)

    def chunks(self) -> Iterator[Chunk]:
        """Return the rows."""
        return self.encoded.chunks()


@dataclass(frozen=True)
class Parts:
    """Rows in the order they came, each time as Arrow or encoded. Goes through once.

    Args:
        schema: The table's names and types.
        parts: The rows.
    """

    schema: "pa.Schema"
    parts: "Iterator[pa.RecordBatch | Native]"

    def __iter__(self) -> "Iterator[pa.RecordBatch | Native]":
        return self.parts
