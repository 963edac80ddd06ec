"""`mage_integrations.connections.postgresql`."""

from etl_assets.mage.databases import PostgreSQL

__all__ = ["PostgreSQL"]
