"""`mage_integrations.connections.amplitude.utils`."""

from etl_assets.mage.services import build_date_range

__all__ = ["build_date_range"]
