"""`mage_integrations.connections.snowflake`."""

from etl_assets.mage.databases import Snowflake

__all__ = ["Snowflake"]
