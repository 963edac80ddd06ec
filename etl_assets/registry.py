"""What is reached by its name: connectors, and the few things that lie above those that call them.

A layer may import what is below it only. Where a verb has to reach up (`Source.read` reads into a cache, `to_assets`
makes Dagster assets), it asks here when it is called, and nowhere else.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.connectors.names import (
        ConnectorMetadata,
        InstallType,
        Language,
        get_available_connectors,
        get_connector_metadata,
    )

__all__ = ["ConnectorMetadata", "InstallType", "Language", "get_available_connectors", "get_connector_metadata"]

_ABOVE = {
    "CacheBase": "caches.base",
    "Destination": "destinations.base",
    "create_tables": "scripts.reading",
    "print_samples": "scripts.reading",
    "read": "scripts.reading",
    "records": "scripts.reading",
    "samples": "scripts.reading",
    "singer_targets": "mage.singer_targets",
    "stream_assets": "assets.factory",
    "to_io_manager": "assets.io_manager",
    "write": "scripts.writing",
}
"""Where each name is at home, below `etl_assets`."""


def reach(name: str) -> Any:
    """Return what is at home in a layer above the caller's; to be called when it is needed, not when a module loads.

    Args:
        name: Of a function or class, or of a module that stands for itself.
    """
    module = import_module(f"etl_assets.{_ABOVE[name]}")
    return getattr(module, name, module)


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        """Return what scripts written for PyAirbyte look for here: the connectors that are known by name."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("etl_assets.connectors.names"), name)
