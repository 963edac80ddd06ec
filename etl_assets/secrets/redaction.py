"""The one redactor, under the name that sources and destinations know it by."""

from etl_assets.redaction import MASK, SHORTEST_SECRET, redact, remember

__all__ = ["MASK", "SHORTEST_SECRET", "redact", "remember"]
