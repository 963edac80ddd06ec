"""What you need for an exactly-once destination of your own: see `docs/own-database.md`."""

from etl_assets.destinations.database.dbapi import DbApiTransaction, committing
from etl_assets.destinations.database.destination import DatabaseDestination, database_capabilities
from etl_assets.destinations.database.options import DatabaseOptions, FileOptions, ServerOptions
from etl_assets.destinations.database.sql_rows import SqlRows
from etl_assets.destinations.database.sql_transaction import hashed, key_index
from etl_assets.destinations.database.sql_types import STANDARD_NAMES
from etl_assets.destinations.database.transaction import LedgerTypes, Stamp
from etl_assets.engine.casting import RefusedValueError
from etl_assets.model.stored import TableName
from etl_assets.model.stream import Stream
from etl_assets.naming import quote
from etl_assets.secrets.option import OptionalSecretOption
from etl_assets.secrets.references import resolve

__all__ = [
    "STANDARD_NAMES",
    "DatabaseDestination",
    "DatabaseOptions",
    "DbApiTransaction",
    "FileOptions",
    "LedgerTypes",
    "OptionalSecretOption",
    "RefusedValueError",
    "ServerOptions",
    "SqlRows",
    "Stamp",
    "Stream",
    "TableName",
    "committing",
    "database_capabilities",
    "hashed",
    "key_index",
    "quote",
    "resolve",
]
