"""`mage_integrations.connections.dremio`."""

from etl_assets.mage.databases import Dremio

__all__ = ["Dremio"]
