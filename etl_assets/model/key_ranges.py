"""Ranges of a stream's key, for a stream that several steps read at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RANGE = "_range"
"""The key of a query that names one of a stream's ranges, as its source said it: JSON values."""


@dataclass(frozen=True)
class KeyRanges:
    """How a stream is split.

    Args:
        bookmark: The largest replication key before the first read; None where there was no row.
        ranges: JSON objects, each of which the source's `load_data` takes as `query["_range"]`.
            Every row that there is, or will be, lies in exactly one of them.
    """

    bookmark: Mapping[str, Any] | None
    ranges: Sequence[Mapping[str, Any]]
