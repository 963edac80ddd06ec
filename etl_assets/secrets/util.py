"""Names of `secrets` where scripts written for PyAirbyte look for them."""

from etl_assets.secrets.registry import get_secret, is_secret_available, try_get_secret

__all__ = ["get_secret", "is_secret_available", "try_get_secret"]
