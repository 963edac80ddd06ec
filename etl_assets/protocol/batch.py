"""Names of `etl_assets.model.batch`, under the path that they had before."""

from etl_assets.model.batch import Batch

__all__ = ["Batch"]
