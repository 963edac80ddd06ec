"""`mage_integrations.utils.dates`."""

from etl_assets.mage.values import date_intervals

__all__ = ["date_intervals"]
