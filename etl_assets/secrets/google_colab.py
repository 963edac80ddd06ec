"""Names of `secrets` where scripts written for PyAirbyte look for them."""

from etl_assets.secrets.managers import ColabSecrets as ColabSecretManager

__all__ = ["ColabSecretManager"]
