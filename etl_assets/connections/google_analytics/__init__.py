"""`mage_integrations.connections.google_analytics`."""

from etl_assets.mage.services import GoogleAnalytics

__all__ = ["GoogleAnalytics"]
