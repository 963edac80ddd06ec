"""Names of `secrets` where scripts written for PyAirbyte look for them."""

from etl_assets.secrets.handle import SecretHandle
from etl_assets.secrets.managers import SecretManager, SecretSourceEnum
from etl_assets.secrets.string import SecretString

__all__ = ["SecretHandle", "SecretManager", "SecretSourceEnum", "SecretString"]
