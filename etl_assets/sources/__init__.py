"""Sources: one module per family, over the hooks of `base`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.sources.base import Source
    from etl_assets.sources.connectors import get_source

_HOME = {"Source": "base", "get_source": "connectors"}

__all__ = ["Source", "get_source"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
