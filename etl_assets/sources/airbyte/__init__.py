"""Airbyte sources: somebody else's program, its messages in, our events out."""

from etl_assets.sources.airbyte.source import AirbyteSource

__all__ = ["AirbyteSource"]
