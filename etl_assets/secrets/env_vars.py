"""Names of `secrets` where scripts written for PyAirbyte look for them."""

from etl_assets.secrets.managers import DotenvSecrets as DotenvSecretManager
from etl_assets.secrets.managers import EnvironmentSecrets as EnvVarSecretManager

__all__ = ["DotenvSecretManager", "EnvVarSecretManager"]
