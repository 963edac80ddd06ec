"""Names of `secrets` where scripts written for PyAirbyte look for them."""

from etl_assets.secrets.google import GoogleGSMSecretManager, GSMSecretHandle

__all__ = ["GSMSecretHandle", "GoogleGSMSecretManager"]
