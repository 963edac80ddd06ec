"""`mage_integrations.connections.constants`."""

from etl_assets.utils.logger.constants import LOG_LEVEL_ERROR, LOG_LEVEL_EXCEPTION, LOG_LEVEL_INFO

__all__ = ["LOG_LEVEL_ERROR", "LOG_LEVEL_EXCEPTION", "LOG_LEVEL_INFO"]
