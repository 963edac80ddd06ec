"""Lines that are alike, cut into their values and decoded column by column.

What lines have in common is learnt from some of them. Where one differs, more are looked at, as a
record may lack keys that others have; where that does not help, they are not decoded here.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from etl_assets.model.json.cut_columns import Column
from etl_assets.model.json.cuts import Cut, Lines, cuts
from etl_assets.model.json.shape import Shape, shape_of

if TYPE_CHECKING:
    import pyarrow as pa

_LOOKED_AT = (8, 64)
"""How many lines are looked at for their shape, and how many if these were too few."""

_MOST_BYTES = 2**30
"""Places in longer texts could be beyond the offsets of Arrow's texts."""

Decode = Callable[[bytes, "pa.Field"], "pa.Array | pa.ChunkedArray | None"]
"""Makes a column of a JSON array of its values, or gives None where that takes rows."""


class AlikeLines:
    """Decodes lines of records of one stream.

    Args:
        declared: The columns, each with a name of its own.
        path: Where in a line the record is.
        own: The key beside the record whose value is of each line alone.
        is_line: Whether a line is one of the stream, and says no more than the record.
        decode: Decodes columns for which there is no quick proof.

    Attributes:
        moments: The values of that key in the lines that were parsed last, if all are integers.
    """

    def __init__(
        self,
        declared: "pa.Schema",
        path: Sequence[str],
        own: str | None,
        *,
        is_line: Callable[[bytes], bool],
        decode: Decode,
    ) -> None:
        self.moments: pa.Array | None = None
        self._declared = declared
        self._names = frozenset(declared.names)
        self._path = path
        self._own = own
        self._is_line = is_line
        self._decode = decode
        self._shape: Shape | None = None

    def parse(self, text: bytes) -> "pa.Table | None":
        """Return whole lines as columns, or None where they are not alike."""
        if len(text) > _MOST_BYTES:
            return None
        lines = Lines(text)
        if not len(lines) or lines.ends[-1] != len(lines.text) - 1:
            return None
        table = None if self._shape is None else self._cut(lines, self._shape)
        for looked_at in _LOOKED_AT:
            if table is not None:
                return table
            shape = self._learnt(lines, looked_at)
            if shape is None:
                return None
            if shape != self._shape:
                self._shape = shape
                table = self._cut(lines, shape)
        return table

    def _learnt(self, lines: Lines, count: int) -> Shape | None:
        """Return the shape of some lines and earlier ones, or None where they share none."""
        chosen = np.unique(np.linspace(0, len(lines) - 1, count).astype(np.int64))
        learnt, known = None, self._shape
        for start, end in zip(lines.starts[chosen], lines.ends[chosen], strict=True):
            line = lines.text[int(start) : int(end)]
            shape = shape_of(line, self._path, self._own)
            if shape is None or not self._names.issuperset(shape.keys):
                return None
            if learnt is None and not self._is_line(line):
                return None
            learnt = shape if learnt is None else learnt.joined(shape)
            if learnt is None:
                return None
        joined = None if known is None or learnt is None else known.joined(learnt)
        return joined or learnt

    def _cut(self, lines: Lines, shape: Shape) -> "pa.Table | None":
        for found in cuts(lines, shape):
            table = self._table(lines, found)
            if table is not None:
                return table
        return None

    def _table(self, lines: Lines, found: Cut) -> "pa.Table | None":
        import pyarrow as pa

        self.moments = None
        if found.moments is not None and not self._take_moments(Column(found.moments)):
            return None
        arrays, fields = [], []
        for field in self._declared:
            texts = found.fields.get(field.name)
            array = pa.nulls(len(lines)) if texts is None else self._array(Column(texts), field)
            if array is None:
                return None
            arrays.append(array)
            fields.append(field.with_type(array.type))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _array(self, column: Column, field: "pa.Field") -> "pa.Array | pa.ChunkedArray | None":
        import pyarrow as pa

        if not column.is_whole:
            return None
        if column.null_count == len(column):
            return pa.nulls(len(column))
        array = column.array(field.type)
        if array is not None:
            return array
        document = column.document()
        return None if document is None else self._decode(document, field)

    def _take_moments(self, column: Column) -> bool:
        """Return whether the values beside the records are what they may be, and keep integers."""
        import pyarrow as pa

        if not column.is_whole or column.null_count:
            return False
        self.moments = column.array(pa.int64())
        return self.moments is not None or column.array(pa.string()) is not None
