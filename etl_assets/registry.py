"""What is found by its name: sources, destinations, and the few things in higher layers.

A package adds sources and destinations by entry points of the groups `etl_assets.sources` and
`etl_assets.destinations`, each as `name = "package.module:Class"`. `get_source(name)` and
`get_destination(name)` then create one. Nothing is imported before it is needed.

A layer may only import what is below it. A verb that needs a higher layer (`Source.read` reads into
a cache, `to_assets` makes Dagster assets) asks here when it is called, and nowhere else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from etl_assets.exceptions import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from etl_assets.connectors.names import (
        ConnectorMetadata,
        InstallType,
        Language,
        get_available_connectors,
        get_connector_metadata,
    )

__all__ = [
    "ConnectorMetadata",
    "InstallType",
    "Language",
    "get_available_connectors",
    "get_connector_metadata",
]

Kind = Literal["source", "destination"]

_OWN: Mapping[Kind, Mapping[str, str]] = {
    "source": {
        "duckdb": "sources.sql.source:SqlSource",
        "files": "sources.files.source:FileSource",
        "mysql": "sources.sql.databases:MySQLSource",
        "postgres": "sources.sql.databases:PostgresSource",
        "rest": "sources.rest.source:RestSource",
        "sql": "sources.sql.source:SqlSource",
        "sqlite": "sources.sql.databases:SQLiteSource",
    },
    "destination": {
        "bigquery": "destinations.warehouses.bigquery:BigQueryDestination",
        "duckdb": "destinations.duckdb.destination:DuckDBDestination",
        "mysql": "destinations.mysql.destination:MySQLDestination",
        "postgres": "destinations.postgres.destination:PostgresDestination",
        "snowflake": "destinations.warehouses.snowflake:SnowflakeDestination",
        "sql": "destinations.sqlalchemy.destination:SqlDestination",
        "sqlite": "destinations.sqlite.destination:SQLiteDestination",
    },
}
"""The library's own classes, as `module:Class` below `etl_assets`; they need no entry point."""


@dataclass(frozen=True)
class Registered:
    """A source or destination that is known by name.

    Args:
        name: Its name.
        path: Where its class is, as `module:Class`.
        distribution: The package that has registered it.
    """

    name: str
    path: str
    distribution: str

    def load(self) -> type:
        """Import its class.

        Raises:
            ConfigError: It cannot be imported, or is no class; names the package, and what is
                missing.
        """
        module, _, attribute = self.path.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            hint = "Correct the entry point."
            if isinstance(error, ImportError) and error.name:
                hint = f"Install {error.name!r}, or {self.distribution} anew."
            raise ConfigError(
                f"{self.name!r} is {self.path} of the package {self.distribution}, which cannot be "
                f"imported: {error}.",
                hint=hint,
            ) from error
        if not isinstance(found, type):
            raise ConfigError(
                f"{self.name!r} is {self.path} of the package {self.distribution}, which is no "
                "class.",
                hint="Its entry point names a subclass of Source or of Destination.",
            )
        return found


@cache
def registered(kind: Kind) -> Mapping[str, Registered]:
    """Return the sources, or the destinations, that are known by name; nothing is imported.

    Raises:
        ConfigError: Two packages have registered the same name.
    """
    found = {
        name: Registered(name, f"etl_assets.{path}", "etl-assets")
        for name, path in _OWN[kind].items()
    }
    from importlib.metadata import entry_points

    for point in entry_points(group=f"etl_assets.{kind}s"):
        one = Registered(point.name, point.value.partition("[")[0].strip(), _distribution(point))
        known = found.setdefault(point.name, one)
        if known.path != one.path:
            raise ConfigError(
                f"The {kind} {point.name!r} is registered twice: by {known.distribution} "
                f"({known.path}) and by {one.distribution} ({one.path}).",
                hint="Uninstall one of the two packages, or use the class itself.",
            )
    return found


def _distribution(point: "EntryPoint") -> str:
    return point.dist.name if point.dist is not None else point.module


_ABOVE = {
    "AirbyteDestination": "destinations.airbyte",
    "AirbyteSource": "sources.airbyte.source",
    "CacheBase": "caches.base",
    "Destination": "destinations.base",
    "SingerDestination": "destinations.singer",
    "SingerSource": "sources.singer.source",
    "create_tables": "scripts.reading",
    "load_streams": "sources.together",
    "print_samples": "scripts.reading",
    "process": "sources.tap.process",
    "process_stream": "sources.tap.process",
    "read": "scripts.reading",
    "records": "scripts.reading",
    "run_source": "sources.tap.program",
    "samples": "scripts.reading",
    "singer_targets": "mage.singer_targets",
    "stream_assets": "assets.factory",
    "sync_catalog": "sources.tap.process",
    "sync_stream": "sources.tap.process",
    "to_io_manager": "assets.io_manager",
    "write": "scripts.writing",
    "write_rows": "sources.tap.process",
}
"""Where each name is at home, below `etl_assets`."""


def reach(name: str) -> Any:
    """Return something of a layer above the caller's, at the time when it is needed.

    Args:
        name: The name of a function, a class or a module.
    """
    module = import_module(f"etl_assets.{_ABOVE[name]}")
    return getattr(module, name, module)


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        """Return the names that scripts written for PyAirbyte look for here: known connectors."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("etl_assets.connectors.names"), name)
