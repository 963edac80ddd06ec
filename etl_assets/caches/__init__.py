"""Caches: databases that scripts read into, and whose tables they read as datasets."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.caches.base import CacheBase
    from etl_assets.caches.bigquery import BigQueryCache
    from etl_assets.caches.duckdb import DuckDBCache
    from etl_assets.caches.generic import GenericSQLCacheConfig
    from etl_assets.caches.motherduck import MotherDuckCache
    from etl_assets.caches.mysql import MySQLCache
    from etl_assets.caches.postgres import PostgresCache
    from etl_assets.caches.snowflake import SnowflakeCache
    from etl_assets.caches.sqlite import SqliteCache
    from etl_assets.caches.util import get_colab_cache, get_default_cache, new_local_cache

_HOME = {
    "BigQueryCache": "bigquery",
    "CacheBase": "base",
    "DuckDBCache": "duckdb",
    "MotherDuckCache": "motherduck",
    "MySQLCache": "mysql",
    "PostgresCache": "postgres",
    "SnowflakeCache": "snowflake",
    "SqliteCache": "sqlite",
    "GenericSQLCacheConfig": "generic",
    "get_colab_cache": "util",
    "get_default_cache": "util",
    "new_local_cache": "util",
}
"""Where each name is at home. A run imports the module of its own database only."""

_MODULES = {
    *_HOME.values(),
    "pyairbyte_verbs",
    "server",
    "sql_access",
    "states",
    "stored",
    "tables",
    "takeover",
    "warehouse",
}
"""Modules that are reached as `caches.duckdb`, without an import of their own."""

__all__ = [
    "BigQueryCache",
    "CacheBase",
    "DuckDBCache",
    "GenericSQLCacheConfig",
    "MotherDuckCache",
    "MySQLCache",
    "PostgresCache",
    "SnowflakeCache",
    "SqliteCache",
    "get_colab_cache",
    "get_default_cache",
    "new_local_cache",
]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
