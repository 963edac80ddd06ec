"""Names of `etl_assets.model.events`, under the path that they had before."""

from etl_assets.model.events import (
    Checkpoint,
    Estimate,
    Event,
    Records,
    Remark,
    SourceReadable,
    SourceState,
    StreamEnd,
    StreamKey,
)

__all__ = [
    "Checkpoint",
    "Estimate",
    "Event",
    "Records",
    "Remark",
    "SourceReadable",
    "SourceState",
    "StreamEnd",
    "StreamKey",
]
