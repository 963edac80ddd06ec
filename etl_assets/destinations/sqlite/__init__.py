"""SQLite as a destination."""

from etl_assets.destinations.sqlite.destination import SQLiteDestination

__all__ = ["SQLiteDestination"]
