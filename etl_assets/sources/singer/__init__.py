"""Singer taps: somebody else's program, its messages in, our events out."""

from etl_assets.sources.singer.source import SingerSource

__all__ = ["SingerSource"]
