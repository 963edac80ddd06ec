"""`mage_integrations.connections.google_analytics.utils`."""

from etl_assets.mage.services import parse_response

__all__ = ["parse_response"]
