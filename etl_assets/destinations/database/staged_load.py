"""What one load has staged since its last commit: rows, rejected records, and images of keys."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from etl_assets.destinations.contract import Screen, Shape, settled
from etl_assets.destinations.database.images import Images, tells_images_apart
from etl_assets.destinations.database.record_columns import is_staged
from etl_assets.destinations.database.rejected import Rejects
from etl_assets.engine.staging import Staging
from etl_assets.model.batch import Batch
from etl_assets.model.encoded import Encoded
from etl_assets.model.load import Load
from etl_assets.model.selection import is_column_selected, key_columns
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    import pyarrow as pa

LOGGER = "etl_assets.destinations"
_IMAGES_SHARE = 4
"""The keys of rows that were committed get a quarter of the memory that rows get."""


class StagedLoad:
    """What one load has staged since its last commit.

    Args:
        load: The load.
        roots: Where its files may be; see `Staging`.
        memory_bytes: How much of it is kept in memory.
    """

    def __init__(self, load: Load, roots: Sequence[Path], memory_bytes: int) -> None:
        self.load = load
        self.rows = Staging(roots, memory_bytes)
        self.images: Images | None = None
        if tells_images_apart(load):
            committed_keys = Staging(roots, memory_bytes // _IMAGES_SHARE)
            self.images = Images(load, self.rows, committed_keys)
        self.rejects: Rejects | None = None
        if not load.contract.evolves:
            self.rejects = Rejects(load, Staging(roots, memory_bytes))
        self.screen: Screen | None = None
        """Holds batches against the table, once it has been looked up since the last commit."""
        self._told_undeclared: set[str] = set()

    def screen_by(self, shape: Shape | None, load: Load) -> Screen:
        """Hold the batches that come until the next commit against a shape."""
        assert self.rejects is not None  # noqa: S101 - a contract that evolves screens nothing
        self.screen = Screen(load, shape, self.rejects.add)
        return self.screen

    def settled(self, batch: Batch) -> Batch:
        """Return a batch without what was rejected of it, and keep account of that."""
        if not batch.rejections:
            return batch
        assert self.rejects is not None  # noqa: S101 - only a screen rejects anything
        return settled(batch, self.rejects.add)

    def add(self, batch: "pa.Table | Encoded") -> int:
        """Stage rows, and return their size in bytes."""
        size = self.rows.add(batch)
        if self.images is not None:
            self.images.follow(batch)
        return size

    def without_undeclared(self, table: "pa.Table", stream: Stream) -> "pa.Table":
        """Return a table without the fields that its stream does not declare.

        Which these are is logged once.
        """
        properties = (stream.schema or {}).get("properties")
        if not properties:
            return table
        known = {*properties, *key_columns(stream)}
        undeclared = [name for name in table.column_names if name not in known]
        new = set(undeclared) - self._told_undeclared
        if new:
            self._told_undeclared |= new
            logging.getLogger(LOGGER).warning(
                "%s: fields that it does not declare are left out: %s "
                "(read(prune_undeclared_fields=False) keeps them)",
                stream.full_name,
                ", ".join(sorted(new)),
            )
        return table.drop_columns(undeclared) if undeclared else table

    def fields(self) -> list[str]:
        """Return the fields of what is staged: those that the stream declares come first."""
        stream = self.load.stream
        properties = (stream.schema or {}).get("properties") or {}
        names = [name for name in properties if is_column_selected(stream, name)]
        if self.rows.schema is not None:
            names += [name for name in self.rows.schema.names if name not in names]
        return names

    def row_schema(self) -> "pa.Schema | None":
        """Return the schema of the staged records, without the columns about each record."""
        import pyarrow as pa

        if self.rows.schema is None:
            return None
        return pa.schema(field for field in self.rows.schema if not is_staged(field.name))

    def revise(self, load: Load) -> None:
        """Go on with the load as it is now given; what its stream declares may have changed."""
        self.load = replace(load, begins_from=self.load.begins_from)
        self.screen = None

    def committed(self, *, is_last: bool) -> None:
        """Drop what was committed, and go on from the state row that the commit has written.

        Args:
            is_last: Nothing comes after this commit.
        """
        if self.images is not None:
            self.images.commit(complete=is_last)
        self.discard()
        self.load = replace(self.load, begins_from=self.load.load_id)

    def discard(self) -> None:
        """Drop what is staged."""
        self.rows.clear()
        if self.rejects is not None:
            self.rejects.clear()
        self.screen = None

    def close(self) -> None:
        """Drop what is staged, and what is known of rows that were committed."""
        self.discard()
        if self.images is not None:
            self.images.clear()
