"""`mage_integrations.destinations.sql.base`."""

from etl_assets.mage.sql_destination import MageSqlDestination as Destination
from etl_assets.mage.sql_destination import main

__all__ = ["Destination", "main"]
