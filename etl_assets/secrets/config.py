"""Names of `secrets` where scripts written for PyAirbyte look for them."""

from etl_assets.secrets.registry import (
    clear_secret_sources,
    disable_secret_source,
    register_secret_manager,
)

__all__ = ["clear_secret_sources", "disable_secret_source", "register_secret_manager"]
