"""The configuration of a database, where scripts written for PyAirbyte look for the type: a cache's own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel as SqlConfig

__all__ = ["SqlConfig"]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name != "SqlConfig":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module("etl_assets.caches.base").CacheBase  # by its path: caches lie above this module
