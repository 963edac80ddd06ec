"""`mage_integrations.connections.redshift`."""

from etl_assets.mage.databases import Redshift

__all__ = ["Redshift"]
