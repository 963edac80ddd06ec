"""Sources: one module per family, over the hooks of `base`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.registry import (
        ConnectorMetadata,
        get_available_connectors,
        get_connector_metadata,
    )
    from etl_assets.sources.base import Source
    from etl_assets.sources.benchmark import get_benchmark_source
    from etl_assets.sources.connectors import get_source

_HOME = {
    "ConnectorMetadata": "registry",
    "Source": "base",
    "get_available_connectors": "registry",
    "get_benchmark_source": "benchmark",
    "get_connector_metadata": "registry",
    "get_source": "connectors",
}
_MODULES = {"base", "registry", "util"}
"""What scripts written for PyAirbyte reach as `ab.sources.registry`, without importing it."""

__all__ = [
    "ConnectorMetadata",
    "Source",
    "get_available_connectors",
    "get_benchmark_source",
    "get_connector_metadata",
    "get_source",
]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
