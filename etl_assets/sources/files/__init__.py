"""Files as a source: which there are, how they are read, how far they were."""

from etl_assets.sources.files.source import FileSource

__all__ = ["FileSource"]
