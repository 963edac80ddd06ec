"""`mage_integrations.connections.oracledb`."""

from etl_assets.mage.databases import OracleDB

__all__ = ["OracleDB"]
