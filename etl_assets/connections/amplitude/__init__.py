"""`mage_integrations.connections.amplitude`."""

from etl_assets.mage.services import Amplitude

__all__ = ["Amplitude"]
