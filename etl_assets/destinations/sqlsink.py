"""`mage_integrations.destinations.sqlsink`."""

from etl_assets.mage.singer_targets import SQLConnector, SQLSink

__all__ = ["SQLConnector", "SQLSink"]
