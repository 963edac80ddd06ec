"""The connectors that are known by name, where scripts written for PyAirbyte look for them."""

from etl_assets.connectors.names import InstallType, get_available_connectors

__all__ = ["InstallType", "get_available_connectors"]
