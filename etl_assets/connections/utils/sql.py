"""`mage_integrations.connections.utils.sql`."""

from etl_assets.mage.connections import clean_query

__all__ = ["clean_query"]
