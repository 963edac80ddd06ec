"""`mage_integrations.connections.google_search_console`."""

from etl_assets.mage.services import GoogleSearchConsole

__all__ = ["GoogleSearchConsole"]
