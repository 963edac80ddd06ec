"""`mage_integrations.sources.sql.constants`."""

from etl_assets.mage.sql_statements import PredicateOperator

__all__ = ["PredicateOperator"]
