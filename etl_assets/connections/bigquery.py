"""`mage_integrations.connections.bigquery`."""

from etl_assets.mage.databases import BigQuery

__all__ = ["BigQuery"]
