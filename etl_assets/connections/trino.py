"""`mage_integrations.connections.trino`."""

from etl_assets.mage.databases import Trino

__all__ = ["Trino"]
