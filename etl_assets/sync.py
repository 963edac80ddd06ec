"""The verb that syncs one stream, and what goes with it; they are those of `engine/`."""

from etl_assets.engine.checkpoints import (
    CHECKPOINT_BYTES,
    CHECKPOINT_SECONDS,
    seconds_between_commits,
)
from etl_assets.engine.observer import Observer
from etl_assets.engine.start import Start, new_load_id, resolve_start, strategy_of
from etl_assets.engine.sync import sync

__all__ = [
    "CHECKPOINT_BYTES",
    "CHECKPOINT_SECONDS",
    "Observer",
    "Start",
    "new_load_id",
    "resolve_start",
    "seconds_between_commits",
    "strategy_of",
    "sync",
]
