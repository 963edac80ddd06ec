"""The rows of many files as batches: those of small files are joined until they fill one.

A batch costs the engine the same, however few rows it has.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.sources.files.archive import parts_of
from etl_assets.sources.files.formats import pieces
from etl_assets.sources.files.listing import Found, Place, failures
from etl_assets.sources.files.options import FileOptions, Reading
from etl_assets.sources.files.pieces import Piece, batch_of, joined

_SMALL = 2
"""A file of less than a half of a batch is small: another one fits beside it."""


class FileBatches:
    """Makes batches of files.

    What is behind a bookmark are rows of whole files: a file that is not read to its end leaves
    those before it to be covered.

    Args:
        place: Where the files are.
        options: Say how much a batch holds.
    """

    def __init__(self, place: Place, options: FileOptions) -> None:
        self._place = place
        self._options = options
        self._held: list[Piece] = []
        self._rows = self._bytes = 0
        self._bookmark: dict[str, Any] | None = None

    def of_file(self, found: Found, reading: Reading) -> Iterator[Batch]:
        """Yield the rows of a file, behind those of files before it; few are kept until `rest`.

        Raises:
            DataError: The file is not what it should be; names file and line.
            SourceError: It has changed while it was read.
        """
        read = self._pieces(found, reading)
        first = next(read, None)
        second = next(read, None) if first is not None and self._is_small(first) else None
        if first is not None and second is None and self._is_small(first):
            if not self._fits(first):
                yield from self.rest()
            self._hold(first)
            return
        yield from self.rest()
        for piece in chain(filter(None, (first, second)), read):
            with self._named(found):
                batch = piece.batch()
            if batch.refused:
                self._place.check(found)
            if len(batch) or not isinstance(piece.table, list):
                yield batch

    def covered(self, bookmark: dict[str, Any] | None) -> Iterator[Batch]:
        """Yield the bookmark that covers all files so far, unless rows of them are kept."""
        self._bookmark = bookmark
        if not self._held:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        """Yield the rows that were kept, and the bookmark that covers them."""
        held, self._held, self._rows, self._bytes = self._held, [], 0, 0
        if held:
            yield from _joined(held)
        bookmark, self._bookmark = self._bookmark, None
        if bookmark is not None:
            yield Batch([], bookmark=bookmark)

    def _pieces(self, found: Found, reading: Reading) -> Iterator[Piece]:
        with self._named(found):
            for part in parts_of(reading):
                # Without rows, too: the columns of a file are those of the table.
                yield from pieces(part)
        self._place.check(found)

    @contextmanager
    def _named(self, found: Found) -> Iterator[None]:
        """Name the file in errors; one that has changed since its columns were looked at, first."""
        with failures(found.name):
            try:
                yield
            except DataError:
                self._place.check(found)
                raise

    def _is_small(self, piece: Piece) -> bool:
        table, options = piece.table, self._options
        if isinstance(table, list) or not len(table) or piece.refused:
            return False
        are_few = len(table) * _SMALL <= options.batch_rows
        return are_few and int(table.nbytes) * _SMALL <= options.batch_bytes

    def _fits(self, piece: Piece) -> bool:
        """Return whether a batch holds some rows beside those that are kept."""
        if not self._held:
            return True
        if self._rows + len(piece.table) > self._options.batch_rows:
            return False
        if self._bytes + _bytes_of(piece) > self._options.batch_bytes:
            return False
        first = self._held[0]
        return bool(piece.arrow.schema.equals(first.arrow.schema, check_metadata=True))

    def _hold(self, piece: Piece) -> None:
        self._held.append(piece)
        self._rows += len(piece.table)
        self._bytes += _bytes_of(piece)


def _bytes_of(piece: Piece) -> int:
    return int(piece.arrow.nbytes)


def _joined(held: Sequence[Piece]) -> Iterator[Batch]:
    table = joined(held) if len(held) > 1 else None
    if table is not None:
        yield batch_of(table)
    else:
        yield from (piece.batch() for piece in held)
