"""`mage_integrations.sources.sql.base`."""

from etl_assets.mage.sql_source import MageSqlSource as Source
from etl_assets.mage.sql_statements import (
    build_comparison_statement,
    column_type_mapping,
    predicate_operator_uuid_to_comparison_operator,
)
from etl_assets.sources.base import main

__all__ = [
    "Source",
    "build_comparison_statement",
    "column_type_mapping",
    "main",
    "predicate_operator_uuid_to_comparison_operator",
]
