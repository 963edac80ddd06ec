"""The state of a whole source, where the streams of a read share one."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from etl_assets.model.events import Checkpoint, StreamKey
from etl_assets.model.stored import SharedState


@dataclass(frozen=True)
class Shared:
    """What the streams of a read have in common, and with streams that are not part of it.

    Args:
        state: The state of the whole source as it is stored, and the id under which this read
            stores the next one.
        known: There is such a state: what its streams say of themselves is stored together.
        others: Streams that were loaded before, and share a state with those of this read if these
            have one.
    """

    state: SharedState
    known: bool = False
    others: Collection[StreamKey] = ()


class SharedProgress:
    """How far the shared state of a read has come, and what of it is stored.

    Args:
        shared: What was known of it before; None for a stream that shares nothing.
    """

    def __init__(self, shared: Shared | None) -> None:
        shared = shared or Shared(SharedState(source="", load_id=""))
        self.others = shared.others
        self.exists = shared.known
        self.state = shared.state
        self.before = self.stored = shared.state.bookmark
        self.is_pending = False
        """It is not stored yet."""
        self.is_fixed = False
        """It cannot move: it covers streams that are not read."""

    def move(self, event: Checkpoint) -> None:
        """Take a new state."""
        self.exists = self.is_pending = True
        self.state = replace(self.state, bookmark=event.state)
        self.is_fixed = bool(self.others) and not event.separate

    def settle(self, state: SharedState) -> None:
        """Record that a state is stored; the next one will replace it."""
        self.stored, self.is_pending = state.bookmark, False
        self.state = replace(self.state, begins_from=state.load_id)
