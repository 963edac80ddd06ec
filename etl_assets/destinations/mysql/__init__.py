"""MySQL and MariaDB as destinations."""

from etl_assets.destinations.mysql.destination import MySQLDestination

__all__ = ["MySQLDestination"]
