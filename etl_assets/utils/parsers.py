"""`mage_integrations.utils.parsers`."""

from etl_assets.mage.values import encode_complex

__all__ = ["encode_complex"]
