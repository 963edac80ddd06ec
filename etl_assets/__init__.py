"""Move data as Dagster assets: materializing the asset of a stream runs its sync.

```python
from etl_assets import DuckDBDestination, SqlSource, stream_assets
```

Every name is resolved when it is first used: `import etl_assets` loads neither Dagster nor pandas,
pyarrow, DuckDB or SQLAlchemy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from etl_assets.version import __version__ as __version__

if TYPE_CHECKING:
    from etl_assets import caches as caches
    from etl_assets import callbacks as callbacks
    from etl_assets import checks as checks
    from etl_assets import constants as constants
    from etl_assets import datasets as datasets
    from etl_assets import destinations as destinations
    from etl_assets import documents as documents
    from etl_assets import exceptions as exceptions
    from etl_assets import experimental as experimental
    from etl_assets import logs as logs
    from etl_assets import progress as progress
    from etl_assets import records as records
    from etl_assets import registry as registry
    from etl_assets import results as results
    from etl_assets import secrets as secrets
    from etl_assets import sources as sources
    from etl_assets import strategies as strategies
    from etl_assets import types as types
    from etl_assets import version as version
    from etl_assets.assets.component.component import StreamsComponent
    from etl_assets.assets.config import SyncConfig
    from etl_assets.assets.factory import (
        build_source_asset_specs,
        build_stream_asset_specs,
        stream_assets,
    )
    from etl_assets.assets.io_manager import DestinationIOManager
    from etl_assets.assets.iomanagers import (
        BigQueryIOManager,
        DuckDBIOManager,
        MySQLIOManager,
        PostgresIOManager,
        SnowflakeIOManager,
        SqlIOManager,
        SQLiteIOManager,
    )
    from etl_assets.assets.options import StreamOptions
    from etl_assets.assets.overview import build_overview_asset
    from etl_assets.assets.run_summary import build_run_summary_sensor
    from etl_assets.assets.sensors import build_source_sensor, build_sync_schedule
    from etl_assets.assets.translator import StreamProps, StreamTranslator
    from etl_assets.caches.bigquery import BigQueryCache
    from etl_assets.caches.duckdb import DuckDBCache
    from etl_assets.caches.util import get_colab_cache, get_default_cache, new_local_cache
    from etl_assets.connectors.names import get_available_connectors
    from etl_assets.connectors.process import Limits
    from etl_assets.datasets import CachedDataset
    from etl_assets.destinations.airbyte import AirbyteDestination
    from etl_assets.destinations.base import Destination
    from etl_assets.destinations.connectors import get_destination
    from etl_assets.destinations.duckdb.destination import DuckDBDestination
    from etl_assets.destinations.mysql.destination import MySQLDestination
    from etl_assets.destinations.noop import NoopDestination, get_noop_destination
    from etl_assets.destinations.postgres.destination import PostgresDestination
    from etl_assets.destinations.singer import SingerDestination
    from etl_assets.destinations.sqlalchemy.destination import SqlDestination
    from etl_assets.destinations.sqlite.destination import SQLiteDestination
    from etl_assets.destinations.warehouses.bigquery import BigQueryDestination
    from etl_assets.destinations.warehouses.snowflake import SnowflakeDestination
    from etl_assets.model.batch import Batch
    from etl_assets.model.catalog import Catalog
    from etl_assets.model.load import Capabilities, SyncResult
    from etl_assets.model.stream import Stream
    from etl_assets.records import StreamRecord
    from etl_assets.results import ReadResult, WriteResult
    from etl_assets.secrets.managers import SecretSourceEnum
    from etl_assets.secrets.registry import get_secret
    from etl_assets.sources.airbyte.source import AirbyteSource
    from etl_assets.sources.base import Source
    from etl_assets.sources.benchmark import get_benchmark_source
    from etl_assets.sources.connectors import get_source
    from etl_assets.sources.files.source import FileSource
    from etl_assets.sources.read import StreamRead
    from etl_assets.sources.rest.endpoint import Endpoint
    from etl_assets.sources.rest.source import RestSource
    from etl_assets.sources.singer.source import SingerSource
    from etl_assets.sources.sql import MySQLSource, PostgresSource, SQLiteSource, SqlSource
    from etl_assets.strategies import WriteStrategy

_HOME = {
    "AirbyteDestination": "destinations.airbyte",
    "AirbyteSource": "sources.airbyte.source",
    "Batch": "model.batch",
    "BigQueryCache": "caches.bigquery",
    "BigQueryDestination": "destinations.warehouses.bigquery",
    "BigQueryIOManager": "assets.iomanagers",
    "CachedDataset": "datasets",
    "Capabilities": "model.load",
    "Catalog": "model.catalog",
    "Destination": "destinations.base",
    "DestinationIOManager": "assets.io_manager",
    "DuckDBCache": "caches.duckdb",
    "DuckDBDestination": "destinations.duckdb.destination",
    "DuckDBIOManager": "assets.iomanagers",
    "Endpoint": "sources.rest.endpoint",
    "FileSource": "sources.files.source",
    "Limits": "connectors.process",
    "MySQLDestination": "destinations.mysql.destination",
    "MySQLIOManager": "assets.iomanagers",
    "MySQLSource": "sources.sql.databases",
    "NoopDestination": "destinations.noop",
    "PostgresDestination": "destinations.postgres.destination",
    "PostgresIOManager": "assets.iomanagers",
    "PostgresSource": "sources.sql.databases",
    "ReadResult": "results",
    "RestSource": "sources.rest.source",
    "SQLiteDestination": "destinations.sqlite.destination",
    "SQLiteIOManager": "assets.iomanagers",
    "SQLiteSource": "sources.sql.databases",
    "SecretSourceEnum": "secrets.managers",
    "SingerDestination": "destinations.singer",
    "SingerSource": "sources.singer.source",
    "SnowflakeDestination": "destinations.warehouses.snowflake",
    "SnowflakeIOManager": "assets.iomanagers",
    "Source": "sources.base",
    "SqlDestination": "destinations.sqlalchemy.destination",
    "SqlIOManager": "assets.iomanagers",
    "SqlSource": "sources.sql.source",
    "Stream": "model.stream",
    "StreamOptions": "assets.options",
    "StreamProps": "assets.translator",
    "StreamRead": "sources.read",
    "StreamRecord": "records",
    "StreamTranslator": "assets.translator",
    "StreamsComponent": "assets.component.component",
    "SyncConfig": "assets.config",
    "SyncResult": "model.load",
    "WriteResult": "results",
    "WriteStrategy": "strategies",
    "build_overview_asset": "assets.overview",
    "build_run_summary_sensor": "assets.run_summary",
    "build_source_asset_specs": "assets.factory",
    "build_source_sensor": "assets.sensors",
    "build_stream_asset_specs": "assets.factory",
    "build_sync_schedule": "assets.sensors",
    "get_available_connectors": "connectors.names",
    "get_benchmark_source": "sources.benchmark",
    "get_colab_cache": "caches.util",
    "get_default_cache": "caches.util",
    "get_destination": "destinations.connectors",
    "get_noop_destination": "destinations.noop",
    "get_secret": "secrets.registry",
    "get_source": "sources.connectors",
    "new_local_cache": "caches.util",
    "stream_assets": "assets.factory",
}

__all__ = [
    "AirbyteDestination",
    "AirbyteSource",
    "Batch",
    "BigQueryCache",
    "BigQueryDestination",
    "BigQueryIOManager",
    "CachedDataset",
    "Capabilities",
    "Catalog",
    "Destination",
    "DestinationIOManager",
    "DuckDBCache",
    "DuckDBDestination",
    "DuckDBIOManager",
    "Endpoint",
    "FileSource",
    "Limits",
    "MySQLDestination",
    "MySQLIOManager",
    "MySQLSource",
    "NoopDestination",
    "PostgresDestination",
    "PostgresIOManager",
    "PostgresSource",
    "ReadResult",
    "RestSource",
    "SQLiteDestination",
    "SQLiteIOManager",
    "SQLiteSource",
    "SecretSourceEnum",
    "SingerDestination",
    "SingerSource",
    "SnowflakeDestination",
    "SnowflakeIOManager",
    "Source",
    "SqlDestination",
    "SqlIOManager",
    "SqlSource",
    "Stream",
    "StreamOptions",
    "StreamProps",
    "StreamRead",
    "StreamRecord",
    "StreamTranslator",
    "StreamsComponent",
    "SyncConfig",
    "SyncResult",
    "WriteResult",
    "WriteStrategy",
    "build_overview_asset",
    "build_run_summary_sensor",
    "build_source_asset_specs",
    "build_source_sensor",
    "build_stream_asset_specs",
    "build_sync_schedule",
    "get_available_connectors",
    "get_benchmark_source",
    "get_colab_cache",
    "get_default_cache",
    "get_destination",
    "get_noop_destination",
    "get_secret",
    "get_source",
    "new_local_cache",
    "stream_assets",
]


_MODULES = {
    *(
        "caches",
        "callbacks",
        "checks",
        "constants",
        "datasets",
        "destinations",
        "documents",
        "exceptions",
        "progress",
        "records",
    ),
    *(
        "experimental",
        "logs",
        "registry",
        "results",
        "secrets",
        "sources",
        "strategies",
        "types",
        "version",
    ),
}
"""Modules that scripts written for PyAirbyte use as `ab.caches`, without importing them."""


_NOT_TAKEN_OVER = {"cloud", "mcp"}
"""Modules of PyAirbyte's that are here only to say so."""


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"etl_assets.{name}")
        if name in _NOT_TAKEN_OVER:
            try:
                return import_module(f"etl_assets.{name}")
            except ImportError as error:
                raise AttributeError(str(error)) from None
        if name not in _HOME:
            raise AttributeError(f"module 'etl_assets' has no attribute {name!r}")
        value = getattr(import_module(f"etl_assets.{_HOME[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, *_MODULES])
