"""`mage_integrations.destinations.sql.constants`."""

from etl_assets.mage.reserved_words import SQL_RESERVED_WORDS, SQL_RESERVED_WORDS_SUBSET

__all__ = ["SQL_RESERVED_WORDS", "SQL_RESERVED_WORDS_SUBSET"]
