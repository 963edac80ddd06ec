"""`mage_integrations.utils.strings`."""

from etl_assets.mage.values import is_number

__all__ = ["is_number"]
