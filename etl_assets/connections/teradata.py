"""`mage_integrations.connections.teradata`."""

from etl_assets.mage.databases import Teradata

__all__ = ["Teradata"]
