"""Rows on their way into a table whose database may take them in the bytes they came in."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etl_assets.model.encoded import Chunk, Encoded

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class EncodedBatch:
    """Rows that are still encoded and have a value for each column that is written.

    Args:
        names: The table's columns, in the order of their values in the bytes.
        encoded: The rows.
        batches: Decodes the rows to Arrow, with the table's names and types.
    """

    names: Sequence[str]
    encoded: Encoded
    batches: "Callable[[], Iterator[pa.RecordBatch]]"

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return len(self.encoded)

    def chunks(self) -> Iterator[Chunk]:
        """Return the rows' bytes."""
        return self.encoded.chunks()


@dataclass(frozen=True)
class MixedBatches:
    """Rows in the order they came: some as Arrow, others still encoded. They can be read once.

    Args:
        schema: The table's names and types.
        mixed: The rows.
    """

    schema: "pa.Schema"
    mixed: "Iterator[pa.RecordBatch | EncodedBatch]"

    def __iter__(self) -> "Iterator[pa.RecordBatch | EncodedBatch]":
        return self.mixed
