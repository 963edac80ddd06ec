"""`mage_integrations.connections.airtable`."""

from etl_assets.mage.services import Airtable

__all__ = ["Airtable"]
