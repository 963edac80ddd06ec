"""DuckDB as a destination."""

from etl_assets.destinations.duckdb.destination import DuckDBDestination

__all__ = ["DuckDBDestination"]
