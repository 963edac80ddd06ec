"""PostgreSQL as a destination."""

from etl_assets.destinations.postgres.destination import PostgresDestination

__all__ = ["PostgresDestination"]
