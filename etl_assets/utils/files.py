"""`mage_integrations.utils.files`."""

from etl_assets.mage.values import get_abs_path

__all__ = ["get_abs_path"]
