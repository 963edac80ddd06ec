"""`mage_integrations.connections.google_sheets`."""

from etl_assets.mage.services import GoogleSheets

__all__ = ["GoogleSheets"]
