"""`mage_integrations.destinations.sql.utils`."""

from etl_assets.mage.sql_commands import (
    build_alter_table_command,
    build_create_table_command,
    build_insert_columns,
    build_insert_command,
    clean_column_name,
    column_type_mapping,
    convert_column_to_type,
    convert_column_type,
)

__all__ = [
    "build_alter_table_command",
    "build_create_table_command",
    "build_insert_columns",
    "build_insert_command",
    "clean_column_name",
    "column_type_mapping",
    "convert_column_to_type",
    "convert_column_type",
]
