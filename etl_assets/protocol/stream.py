"""Names of `etl_assets.model.stream`, under the path that they had before."""

from etl_assets.model.stream import Stream

__all__ = ["Stream"]
