"""The connectors that are known by name, where scripts written for PyAirbyte look for them."""

from etl_assets.connectors.names import (
    ConnectorMetadata,
    InstallType,
    Language,
    get_available_connectors,
    get_connector_metadata,
)

__all__ = ["ConnectorMetadata", "InstallType", "Language", "get_available_connectors", "get_connector_metadata"]
