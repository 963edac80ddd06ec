"""The verb that syncs many streams, and what goes with it; they are those of `engine/`."""

from etl_assets.engine.line import StreamOutcome
from etl_assets.engine.start import StreamPlan
from etl_assets.engine.sync_source import sync_source

__all__ = ["StreamOutcome", "StreamPlan", "sync_source"]
