"""`mage_integrations.connections.mssql`."""

from etl_assets.mage.databases import MSSQL

__all__ = ["MSSQL"]
