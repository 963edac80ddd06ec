"""`mage_integrations.destinations.utils`."""

from etl_assets.mage.sql_commands import (
    clean_name as clean_column_name,
)
from etl_assets.mage.sql_commands import (
    flatten_record,
    update_destination_state_bookmarks,
    update_record_with_internal_columns,
)

__all__ = [
    "clean_column_name",
    "flatten_record",
    "update_destination_state_bookmarks",
    "update_record_with_internal_columns",
]
