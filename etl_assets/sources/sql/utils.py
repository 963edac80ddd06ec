"""`mage_integrations.sources.sql.utils`."""

from etl_assets.mage.sql_statements import (
    build_comparison_statement,
    column_type_mapping,
    predicate_operator_uuid_to_comparison_operator,
    wrap_column_in_quotes,
)

__all__ = [
    "build_comparison_statement",
    "column_type_mapping",
    "predicate_operator_uuid_to_comparison_operator",
    "wrap_column_in_quotes",
]
