"""A cache as a read, which gives only the rows of loads that were not read from it before."""

from collections.abc import Iterator, Sequence
from typing import Any

from etl_assets.constants import DEFAULT_ARROW_MAX_CHUNK_SIZE
from etl_assets.model.batch import Batch
from etl_assets.model.load import Readable
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.naming import quote

BOOKMARK = "load_id"

IDS_AT_ONCE = 1_000
"""The longest list in SQL; some databases do not allow more values."""


class CachedRead(Readable):
    """One stream of a cache, to be loaded elsewhere.

    Its bookmark is the load id of the cache's last load. Rows that came or changed since have the
    id of a later load in the cache's ledger. (The ids themselves begin with a time, and do not tell
    the order.)

    Args:
        result: The result of the read into the cache.
        name: The stream.
        source_name: The name under which the destination has the state of the source.
    """

    def __init__(self, result: Any, name: str, *, source_name: str | None = None) -> None:
        self.source_name = source_name or result.stored_as
        self._cache = result.cache
        self._name = name
        self._own = list(self._cache.destination.own_columns)
        dataset = result[name]
        declared = (dataset.stream_metadata.schema or {}).get("properties") or {}
        properties = {key: prop for key, prop in declared.items() if key not in self._own}
        schema = {"type": "object", "properties": properties} if properties else None
        self.stream = Stream(name, schema=schema, primary_key=dataset.stream_metadata.primary_key)

    def is_continued_by(self, bookmark: Bookmark | None) -> bool:
        """Return whether the rows since a bookmark are all that has changed.

        They are not if the table was replaced meanwhile.
        """
        if self._cache.destination.load_id_column is None:
            return False
        if bookmark is None or BOOKMARK not in bookmark:
            return False
        return not self._cache.replaced_since(self._name, _load_id(bookmark))

    def open(self, bookmark: Bookmark | None) -> Iterator[Batch]:
        """Yield the rows that came after the bookmark, and then the bookmark that covers them."""
        import pyarrow as pa

        state = self._cache.state_of(self._name)
        where = []
        if bookmark is not None:
            column = quote(self._cache.destination.load_id_column)
            later = self._cache.later_loads(self._name, _load_id(bookmark))
            where = [_is_one_of(column, later)]
        found = self._cache.snapshot(state.table, where, DEFAULT_ARROW_MAX_CHUNK_SIZE)
        columns = [name for name in found.schema.names if name not in self._own]
        for batch in found.to_batches(columns=columns):
            known = Batch(pa.Table.from_batches([batch]))
            known.texts_are_known = True  # a database has them
            yield known
        yield Batch([], bookmark={BOOKMARK: state.load_id})


def _load_id(bookmark: Bookmark) -> str:
    return str(bookmark[BOOKMARK])


def _is_one_of(column: str, load_ids: Sequence[str]) -> str:
    """Return the condition that a row is of one of these loads, as SQL."""
    conditions = []
    for at in range(0, len(load_ids), IDS_AT_ONCE):
        ids = [quote(one, "'") for one in load_ids[at : at + IDS_AT_ONCE]]
        conditions.append(f"{column} IN ({', '.join(ids)})")
    return " OR ".join(conditions) or "1 = 0"
