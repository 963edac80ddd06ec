"""Names of `etl_assets.model.values.scalars`, under the path that they had before."""

from etl_assets.model.values.scalars import to_json

__all__ = ["to_json"]
