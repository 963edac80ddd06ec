"""`mage_integrations.utils.array`."""

from etl_assets.mage.arrays import batch, difference, find, find_index, flatten, sample, subtract

__all__ = ["batch", "difference", "find", "find_index", "flatten", "sample", "subtract"]
