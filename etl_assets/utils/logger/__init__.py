"""`mage_integrations.utils.logger`."""

from etl_assets.logs import Logger

__all__ = ["Logger"]
