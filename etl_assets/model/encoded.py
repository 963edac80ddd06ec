"""Records in a database's own bulk format, which another of its kind takes byte for byte."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

Format = Literal["pgcopy"]
"""`pgcopy`: tuples of PostgreSQL's binary COPY, without its header and end.

Each field is of the type that PostgreSQL has for the field's Arrow type (`numeric` for a decimal,
`text` for a string, `json` for JSON, ...).
"""


@dataclass(frozen=True)
class Chunk:
    """Whole rows behind each other.

    Args:
        data: The rows, and some bytes behind them.
        begin: Where each row begins; int32.
        end: Where the last row ends.
    """

    data: bytearray
    begin: "npt.NDArray[np.int32]"
    end: int


Decode = Callable[[Chunk, "npt.NDArray[np.int32]", Collection[str] | None], "pa.Table"]
"""Gives rows of a chunk, by where they begin, as Arrow: all columns, or those of some names."""


class Encoded:
    """Some records of one stream in such a format.

    They are decoded anew each time they are asked for as Arrow.

    Args:
        format_: The format.
        schema: That of the records as Arrow, in the order of the table they come from.
        names: The fields in the order of the bytes.
        nulls: Whether a field has a NULL, of those fields that were looked at.
        chunks: The rows.
        decode: Gives them as Arrow.
    """

    def __init__(
        self,
        format_: Format,
        schema: "pa.Schema",
        names: Sequence[str],
        nulls: "dict[str, bool]",
        chunks: "Sequence[Chunk] | _Stored",
        decode: Decode,
    ) -> None:
        self.format = format_
        self.schema = schema
        self.names = names
        self._nulls = nulls
        self._chunks = chunks
        self._decode = decode
        if isinstance(chunks, _Stored):
            self.num_rows, self.nbytes = chunks.rows, chunks.bytes
        else:
            self.num_rows = sum(len(chunk.begin) for chunk in chunks)
            self.nbytes = sum(chunk.end for chunk in chunks)

    def __len__(self) -> int:
        return self.num_rows

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows."""
        yield from self._chunks

    def has_nulls(self, name: str) -> bool:
        """Return whether a field has a NULL."""
        known = self._nulls.get(name)
        return bool(self.column(name).null_count) if known is None else known

    def table(self, names: Collection[str] | None = None) -> "pa.Table":
        """Return the records as Arrow: all columns, or those of some names.

        Raises:
            DataError: A value cannot be read exactly.
        """
        import pyarrow as pa

        return pa.concat_tables([self._decode(chunk, chunk.begin, names) for chunk in self._chunks])

    def tables(self) -> "Iterator[pa.Table]":
        """Yield the records as Arrow, some at a time."""
        for chunk in self._chunks:
            yield self._decode(chunk, chunk.begin, None)

    def column(self, name: str) -> "pa.ChunkedArray":
        """Return one column as Arrow."""
        return self.table([name]).column(0)

    def take(self, rows: Sequence[int], names: Collection[str] | None = None) -> "pa.Table":
        """Return some records as Arrow, by their numbers in rising order."""
        import numpy as np
        import pyarrow as pa

        wanted = np.asarray(rows, dtype=np.int64)
        tables, first = [], 0
        for chunk in self._chunks:
            behind = first + len(chunk.begin)
            here = wanted[(wanted >= first) & (wanted < behind)] - first
            if len(here):
                tables.append(self._decode(chunk, chunk.begin[here], names))
            first = behind
        return pa.concat_tables(tables)

    def moved_to(self, path: Path) -> "Encoded":
        """Write the rows to a new file, and return the same records, which are read from there.

        Raises:
            OSError: The file cannot be written.
        """
        stored = _Stored(path, self._chunks)
        return Encoded(self.format, self.schema, self.names, self._nulls, stored, self._decode)


class _Stored:
    """Chunks in a file."""

    def __init__(self, path: Path, chunks: "Sequence[Chunk] | _Stored") -> None:
        self._path = path
        self._sizes: list[tuple[int, int, int]] = []
        self.rows = self.bytes = 0
        with path.open("xb", buffering=0) as file:
            for chunk in chunks:
                _write(file, chunk.data)
                _write(file, chunk.begin.data)
                self._sizes.append((len(chunk.data), len(chunk.begin), chunk.end))
                self.rows += len(chunk.begin)
                self.bytes += chunk.end

    def __iter__(self) -> Iterator[Chunk]:
        import numpy as np

        with self._path.open("rb", buffering=0) as file:
            for size, rows, end in self._sizes:
                data, begin = bytearray(size), np.empty(rows, np.int32)
                _read(file, data)
                _read(file, begin.data)
                yield Chunk(data, begin, end)


def _write(file: Any, data: Any) -> None:
    left = memoryview(data).cast("B")
    while left:
        left = left[file.write(left) :]


def _read(file: Any, into: Any) -> None:
    left = memoryview(into).cast("B")
    while left:
        got = file.readinto(left)
        if not got:
            raise OSError(f"{file.name} is shorter than it was written")
        left = left[got:]
