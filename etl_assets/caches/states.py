"""The bookmarks that a cache keeps, by PyAirbyte's names."""

import json
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from etl_assets.caches.state_memory import StateMemory, in_destination
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.database.places import base_name, rows_of
from etl_assets.destinations.database.state_rows import sound
from etl_assets.exceptions import StateNotFoundError
from etl_assets.model.stored import Bookmark, StreamState
from etl_assets.naming import normalise
from etl_assets.shared.state_writers import StateWriterBase


class CacheStates(StateWriterBase):
    """The bookmarks of one source in a cache: read anew each time, and changed where they are.

    Args:
        destination: The cache's.
        source_name: The source's name, or its connector's.
        destination_name: Those that were kept here for another destination, which keeps none
            itself.
    """

    def __init__(
        self,
        destination: DatabaseDestination,
        source_name: str,
        destination_name: str | None = None,
    ) -> None:
        super().__init__()
        self._destination = destination
        self._source_name = source_name
        self._for = destination_name

    @property
    @override
    def states(self) -> Mapping[str, Bookmark]:
        if self._for is not None:
            return self._memory().known
        rows = self._rows()
        own = {row.stream: row.bookmark for row in rows if row.stream and row.bookmark is not None}
        parts = [
            part
            for row in rows
            for part in ((row.bookmark or {}).get("global") or {}).get("stream_states") or ()
        ]
        return {
            **{part["stream_descriptor"]["name"]: part.get("stream_state") or {} for part in parts},
            **own,
        }

    @override
    def to_state_input_file_text(self) -> str:
        """Return the states as the file that a connector reads.

        It is one GLOBAL state, where the source has one.
        """
        shared = [
            row.bookmark
            for row in self._rows()
            if row.shared and row.bookmark and "global" in row.bookmark
        ]
        if self._for is None and shared:
            return json.dumps(shared, default=str)
        return super().to_state_input_file_text()

    @override
    def _write(self, document: Mapping[str, Any]) -> None:
        part = document["stream"]
        name, bookmark = part["stream_descriptor"]["name"], part.get("stream_state") or {}
        if self._for is not None:
            self._memory().keep(name, bookmark)
            return
        row = next((row for row in self._rows() if row.stream == name), None)
        if row is None:
            raise StateNotFoundError(
                f"Nothing was read of stream {name!r} of {self._source_name!r}: there is no "
                "bookmark to change.",
                stream=name,
            )
        self._destination.set_bookmark(row, bookmark)

    def _memory(self) -> StateMemory:
        return StateMemory(self._destination, self._stored_as(), self._for or "")

    def _rows(self) -> list[StreamState]:
        states = self._destination.states()
        exact = [row for row in states if row.source == self._source_name]
        name = base_name(self._source_name)
        found = rows_of(self._destination, name, states) or rows_of(
            self._destination, normalise(name), states
        )
        return [sound(row) for row in found or exact]

    def _stored_as(self) -> str:
        """Return the name under which the bookmarks for another destination are kept."""
        name = self._source_name
        end = in_destination(self._for or "")
        stored = {
            row.source.removesuffix(end)
            for row in self._destination.states()
            if row.source.endswith(end)
        }
        return name if name in stored else normalise(name)
