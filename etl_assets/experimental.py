"""Where scripts of PyAirbyte's first versions import `get_source` from.

Nothing here is experimental any more.
"""

from etl_assets.sources.connectors import get_source

__all__ = ["get_source"]
