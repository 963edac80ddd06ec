"""The names of sources in the ledger: states move between them, and configs are noted by them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from etl_assets.destinations.database.state_rows import FORMAT, dump, parse
from etl_assets.destinations.database.stored_states import CONFIG, StateRows, equals, key_of
from etl_assets.destinations.database.transaction import STATE_KEY
from etl_assets.model.stored import StreamState

ADOPTED = "adopted"
"""In the ledger's `strategy`: no load, but a table that was there before."""


class NamedStates(StateRows):
    """What a ledger does with the names of sources."""

    def insert(self, state: StreamState) -> None:
        """Write a state row that is not there yet."""
        raise NotImplementedError(f"{type(self).__name__} must override insert.")

    def _put_state(
        self, key: tuple[str, ...], values: tuple[Any, ...], current: StreamState | None
    ) -> None:
        raise NotImplementedError(f"{type(self).__name__} must override _put_state.")

    def _append(self, *row: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__} must override _append.")

    def adopt(self, state: StreamState) -> None:
        """Adopt a table that somebody else has made, with the state up to which it was read."""
        self.insert(state)
        rows, after = state.rows_in_table, dump(state.bookmark)
        key, at = key_of(state), state.committed_at
        self._append(state.load_id, "", key, state.table, ADOPTED, None, after, 0, rows, at)

    def move(self, states: Sequence[StreamState], new: str) -> None:
        """Give the state rows of some streams of a source, and their loads, to another name.

        The shared state of the source goes along, or is copied if other streams stay behind.
        """
        for state in states:
            for table in (self._state, self._loads):
                sql = f"UPDATE {table} SET {equals(('source',))} WHERE {equals(STATE_KEY)}"
                self._tx.execute(sql, (new, *key_of(state)))
        for old in {state.source for state in states}:
            left = self.source_states(old)
            shared = next((one for one in left if one.shared), None)
            if shared is None or any(one.shared for one in self.source_states(new)):
                continue
            self.insert(replace(shared, source=new))
            if len(left) == 1:
                self._tx.execute(
                    f"DELETE FROM {self._state} WHERE {equals(STATE_KEY)}", key_of(shared)
                )

    def known_config(self, source: str) -> Any:
        """Return what was noted of a source's config, or None."""
        rows = self._tx.execute(
            f'SELECT "bookmark" FROM {self._state} WHERE {equals(STATE_KEY)}',
            (source, "", "", CONFIG),
        )
        return parse(rows[0][0]) if rows else None

    def note_config(self, source: str, document: Any) -> None:
        """Note what a source's config is."""
        key = (source, "", "", CONFIG)
        self._tx.execute(f"DELETE FROM {self._state} WHERE {equals(STATE_KEY)}", key)
        now = datetime.now(UTC).isoformat()
        values = ("", "", dump(document), now, FORMAT, "", "", "[]", 0, "")
        self._put_state(key, values, None)
