"""Names of `secrets` where scripts written for PyAirbyte look for them."""

from etl_assets.secrets.managers import PromptedSecrets as SecretsPrompt

__all__ = ["SecretsPrompt"]
