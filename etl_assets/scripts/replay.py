"""What is in a cache as a read: only the rows of loads that were not read from it before."""

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
"""In one list of SQL; some databases take no more."""


class CachedRead(Readable):
    """One stream of a cache, to be loaded elsewhere.

    Its bookmark is the load id of the cache's last load: rows that came or changed since carry the
    id of one that the cache's ledger has behind it. (The ids themselves begin with a time, and say
    nothing of the order.)

    Args:
        result: What was read into the cache.
        name: The stream.
        source_name: The name under which the source has its state where the stream is going.
    """

    def __init__(self, result: Any, name: str, *, source_name: str | None = None) -> None:
        self.source_name = source_name or result.stored_as
        self._cache = result.cache
        self._name = name
        self._own = list(self._cache.destination.own_columns)
        dataset = result[name]
        properties = {
            key: prop
            for key, prop in (
                (dataset.stream_metadata.schema or {}).get("properties") or {}
            ).items()
            if key not in self._own
        }
        self.stream = Stream(
            name,
            schema={"type": "object", "properties": properties} if properties else None,
            primary_key=dataset.stream_metadata.primary_key,
        )

    def is_continued_by(self, bookmark: Bookmark | None) -> bool:
        """Return whether the rows since a bookmark are all that has changed: the table was not replaced meanwhile."""
        column = self._cache.destination.load_id_column
        if bookmark is None or BOOKMARK not in bookmark or column is None:
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
    groups = [load_ids[at : at + IDS_AT_ONCE] for at in range(0, len(load_ids), IDS_AT_ONCE)]
    return (
        " OR ".join(
            f"{column} IN ({', '.join(quote(one, chr(39)) for one in group)})" for group in groups
        )
        or "1 = 0"
    )
