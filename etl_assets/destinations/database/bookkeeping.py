"""The columns that another tool has added to the rows of its tables.

Some must not be NULL. Rows of ours have nothing to put there, so in an adopted table these columns
are made to take NULL. No other column is touched: one of the rows' own that must not be NULL says
something about them.
"""

from etl_assets.destinations.database.transaction import Transaction
from etl_assets.model.stored import TableName

PREFIXES = ("_dlt_", "_airbyte_", "_ab_", "_sling_", "_fivetran_", "_sdc_", "_mage_")
"""How these columns begin: of dlt, Airbyte and PyAirbyte, Sling, Fivetran, Singer targets, Mage."""


def is_bookkeeping(column: str) -> bool:
    """Return whether a column is one that another tool adds."""
    return column.casefold().startswith(PREFIXES)


def relax(tx: Transaction, table: TableName) -> list[str]:
    """Make the bookkeeping columns of a table take NULL, and return those that did not."""
    strict = [name for name in tx.strict_columns(table) if is_bookkeeping(name)]
    if strict:
        tx.allow_nulls(table, strict)
    return strict
