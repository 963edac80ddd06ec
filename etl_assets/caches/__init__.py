"""Caches: databases that scripts read into, and whose tables they read as datasets."""

from etl_assets.caches.base import CacheBase
from etl_assets.caches.bigquery import BigQueryCache
from etl_assets.caches.duckdb import DuckDBCache
from etl_assets.caches.motherduck import MotherDuckCache
from etl_assets.caches.mysql import MySQLCache
from etl_assets.caches.postgres import PostgresCache
from etl_assets.caches.snowflake import SnowflakeCache
from etl_assets.caches.sqlite import SqliteCache
from etl_assets.caches.util import get_colab_cache, get_default_cache, new_local_cache

__all__ = [
    "BigQueryCache",
    "CacheBase",
    "DuckDBCache",
    "MotherDuckCache",
    "MySQLCache",
    "PostgresCache",
    "SnowflakeCache",
    "SqliteCache",
    "get_colab_cache",
    "get_default_cache",
    "new_local_cache",
]
