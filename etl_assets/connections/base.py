"""`mage_integrations.connections.base`."""

from etl_assets.mage.connections import Connection

__all__ = ["Connection"]
