"""Any database that SQLAlchemy has a dialect for, as a destination."""

from etl_assets.destinations.sqlalchemy.destination import SqlDestination

__all__ = ["SqlDestination"]
