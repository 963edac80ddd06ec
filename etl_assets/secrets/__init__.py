"""Secrets: found late, by name, and shown masked.

The redactor keeps them out of everything that leaves the process.

```python
from etl_assets import get_secret

config = {"token": get_secret("GITHUB_TOKEN")}  # found now
config = {"token": "secret_reference::GITHUB_TOKEN"}  # found when a connection is opened
```

The second config contains only the name. Under Dagster, use that form (or `dagster.EnvVar`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from etl_assets.secrets.custom import CustomSecretManager
    from etl_assets.secrets.google import GoogleGSMSecretManager, GSMSecretHandle
    from etl_assets.secrets.handle import SecretHandle
    from etl_assets.secrets.managers import ColabSecrets as ColabSecretManager
    from etl_assets.secrets.managers import DotenvSecrets as DotenvSecretManager
    from etl_assets.secrets.managers import EnvironmentSecrets as EnvVarSecretManager
    from etl_assets.secrets.managers import PromptedSecrets as SecretsPrompt
    from etl_assets.secrets.managers import SecretManager, SecretSourceEnum
    from etl_assets.secrets.registry import (
        disable_secret_source,
        get_secret,
        is_secret_available,
        register_secret_manager,
    )
    from etl_assets.secrets.string import SecretString

_HOME = {
    "ColabSecretManager": ("managers", "ColabSecrets"),
    "CustomSecretManager": ("custom", "CustomSecretManager"),
    "DotenvSecretManager": ("managers", "DotenvSecrets"),
    "EnvVarSecretManager": ("managers", "EnvironmentSecrets"),
    "GSMSecretHandle": ("google", "GSMSecretHandle"),
    "GoogleGSMSecretManager": ("google", "GoogleGSMSecretManager"),
    "SecretHandle": ("handle", "SecretHandle"),
    "SecretManager": ("managers", "SecretManager"),
    "SecretSourceEnum": ("managers", "SecretSourceEnum"),
    "SecretString": ("string", "SecretString"),
    "SecretsPrompt": ("managers", "PromptedSecrets"),
    "disable_secret_source": ("registry", "disable_secret_source"),
    "get_secret": ("registry", "get_secret"),
    "is_secret_available": ("registry", "is_secret_available"),
    "register_secret_manager": ("registry", "register_secret_manager"),
}

__all__ = [
    "ColabSecretManager",
    "CustomSecretManager",
    "DotenvSecretManager",
    "EnvVarSecretManager",
    "GSMSecretHandle",
    "GoogleGSMSecretManager",
    "SecretHandle",
    "SecretManager",
    "SecretSourceEnum",
    "SecretString",
    "SecretsPrompt",
    "disable_secret_source",
    "get_secret",
    "is_secret_available",
    "register_secret_manager",
]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, attribute = _HOME[name]
        value = getattr(import_module(f"{__name__}.{module}"), attribute)
        globals()[name] = value
        return value
