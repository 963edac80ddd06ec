"""The connectors that are known by name, also where PyAirbyte's first versions have them."""

from etl_assets.connectors.names import (
    ConnectorMetadata,
    InstallType,
    Language,
    get_available_connectors,
    get_connector_metadata,
)

__all__ = [
    "ConnectorMetadata",
    "InstallType",
    "Language",
    "get_available_connectors",
    "get_connector_metadata",
]
