"""The bookmarks of streams in a destination that keeps none itself: a cache keeps them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from etl_assets.destinations.database.places import is_hashed_name_of
from etl_assets.engine.start import new_load_id
from etl_assets.model.stored import Bookmark, SharedState, StreamState


def in_destination(name: str) -> str:
    """Return the end of the name under which a source's bookmarks in this destination are kept."""
    return f" in {name}"


class StateMemory:
    """The bookmarks of streams in a destination that keeps none itself: in a cache.

    Args:
        keeper: The cache's destination, where they are kept; None to keep none.
        source_name: The source.
        destination_name: The destination.
    """

    def __init__(self, keeper: Any, source_name: str, destination_name: str) -> None:
        self._keeper = keeper
        self._source_name, self._destination_name = source_name, destination_name
        self._key = f"{source_name}{in_destination(destination_name)}"
        self._known = self._load() if keeper else {}

    @property
    def known(self) -> Mapping[str, Bookmark]:
        """The bookmarks by stream."""
        return self._known

    def of(self, stream: str) -> Bookmark | None:
        """Return the bookmark of a stream, or None."""
        return self._known.get(stream)

    def keep(self, stream: str, bookmark: Bookmark | None) -> None:
        """Keep the bookmark of a stream."""
        if bookmark is None or self._known.get(stream) == bookmark:
            return
        self._known[stream] = bookmark
        if self._keeper:
            self._save()

    def _load(self) -> dict[str, Any]:
        found = self._keeper.stored_source(self._key).state or self._hashed()
        return dict((found.bookmark or {}).get("streams") or {}) if found else {}

    def _hashed(self) -> StreamState | None:
        """Return the row under the name and a hash of a config, as it was stored once.

        Only one can be meant.
        """
        end = in_destination(self._destination_name)
        rows = [
            row
            for row in self._keeper.states()
            if row.source.endswith(end)
            and is_hashed_name_of(row.source.removesuffix(end), self._source_name)
        ]
        return rows[0] if len(rows) == 1 else None

    def _save(self) -> None:
        destination = self._keeper
        with destination.transaction() as tx:
            ledger = destination.ledger(tx)
            ledger.create()
            current = next((one for one in ledger.source_states(self._key, "") if one.shared), None)
            shared = SharedState(
                source=self._key,
                load_id=new_load_id(),
                bookmark={"streams": self._known},
                begins_from=current.load_id if current else None,
            )
            ledger.save_shared(shared, datetime.now(UTC))
