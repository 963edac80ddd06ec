"""A cache's configuration, where scripts written for PyAirbyte look for the type."""

from typing import TYPE_CHECKING, Any

from etl_assets.registry import reach

if TYPE_CHECKING:
    from pydantic import BaseModel as SqlConfig

__all__ = ["SqlConfig"]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name != "SqlConfig":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return reach("CacheBase")
