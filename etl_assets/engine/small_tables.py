"""Small tables are joined while they are staged.

Whoever reads a table, or writes it to a file, pays nearly as much for one row as for a thousand.
"""

from typing import TYPE_CHECKING

from etl_assets.model.encoded import Encoded

if TYPE_CHECKING:
    import pyarrow as pa

SMALL_BYTES = 16 * 1024
JOINED_BYTES = 1024 * 1024


class SmallTables:
    """Tables of one schema that came one after the other and wait to be joined."""

    def __init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._bytes = 0

    def take(self, part: "pa.Table | Encoded") -> bool:
        """Take a part if it can be joined to what waits; return whether it was taken."""
        if isinstance(part, Encoded):
            return False
        size = part.get_total_buffer_size()  # far cheaper than `nbytes`, and never less
        if size > SMALL_BYTES or not part.num_columns:
            return False
        if self._tables and not self._tables[0].schema.equals(part.schema):
            return False
        self._tables.append(part)
        self._bytes += size
        return True

    @property
    def is_full(self) -> bool:
        """Whether they are to be joined now."""
        return self._bytes >= JOINED_BYTES

    def joined(self) -> "list[pa.Table]":
        """Return what waits as one table, or nothing, and begin anew."""
        import pyarrow as pa

        tables, self._tables, self._bytes = self._tables, [], 0
        if len(tables) > 1:
            tables = [pa.concat_tables(tables).combine_chunks()]
        return tables

    def clear(self) -> None:
        """Drop what waits."""
        self._tables, self._bytes = [], 0
