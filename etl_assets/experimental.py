"""The module from which scripts for PyAirbyte's first versions import `get_source`."""

from etl_assets.sources.connectors import get_source

__all__ = ["get_source"]
