"""How often a long sync commits on its way."""

import os
from dataclasses import dataclass
from typing import Self

CHECKPOINT_SECONDS = 30.0
"""How often a long sync commits.

`ETL_ASSETS_CHECKPOINT_SECONDS` in the environment says otherwise.
"""
CHECKPOINT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True)
class Checkpoints:
    """When the next commit of a stream is due.

    Args:
        seconds: Since its last one.
        bytes: Exported since then.
    """

    seconds: float
    bytes: int

    @classmethod
    def every(cls, seconds: float | None, bytes_: int) -> Self:
        """Return when commits are due; None for the seconds leaves them to the environment."""
        return cls(seconds_between_commits(seconds), bytes_)


def seconds_between_commits(given: float | None = None) -> float:
    """Return how often a long sync commits: as given, as the environment says, or by default."""
    if given is not None:
        return given
    return float(os.environ.get("ETL_ASSETS_CHECKPOINT_SECONDS", CHECKPOINT_SECONDS))
