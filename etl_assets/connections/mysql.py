"""`mage_integrations.connections.mysql`."""

from etl_assets.mage.databases import ConnectionMethod, MySQL

__all__ = ["ConnectionMethod", "MySQL"]
