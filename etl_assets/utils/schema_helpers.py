"""`mage_integrations.utils.schema_helpers`."""

from etl_assets.mage.columns import extract_selected_columns, filter_columns

__all__ = ["extract_selected_columns", "filter_columns"]
