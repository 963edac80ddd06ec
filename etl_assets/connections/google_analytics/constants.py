"""`mage_integrations.connections.google_analytics.constants`."""

from etl_assets.mage.report_fields import DATE_STRING_PATTERN, DIMENSIONS, METRICS

__all__ = ["DATE_STRING_PATTERN", "DIMENSIONS", "METRICS"]
