"""`mage_integrations.connections.google_cloud_storage`."""

from etl_assets.mage.services import GoogleCloudStorage

__all__ = ["GoogleCloudStorage"]
