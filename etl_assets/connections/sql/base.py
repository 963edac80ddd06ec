"""`mage_integrations.connections.sql.base`."""

from etl_assets.mage.connections import SqlConnection as Connection

__all__ = ["Connection"]
