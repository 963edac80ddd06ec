"""Destinations: one module per family, over the hooks of `base`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.destinations.base import Destination
    from etl_assets.destinations.connectors import get_destination
    from etl_assets.destinations.noop import NoopDestination, get_noop_destination

_HOME = {
    "Destination": "base",
    "NoopDestination": "noop",
    "get_destination": "connectors",
    "get_noop_destination": "noop",
}

_MODULES = {"base", "util"}
"""Modules that PyAirbyte's scripts reach without an import, as in `ab.destinations.util`."""

__all__ = ["Destination", "NoopDestination", "get_destination", "get_noop_destination"]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            return import_module(f"{__name__}.{name}")
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
