"""`mage_integrations.connections.doris`."""

from etl_assets.mage.databases import ConnectionMethod, Doris

__all__ = ["ConnectionMethod", "Doris"]
