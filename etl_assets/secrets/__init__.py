"""Secrets: found late, by name, and shown masked.

The redactor keeps them out of everything that leaves the process.

```python
from etl_assets import get_secret

config = {"token": get_secret("GITHUB_TOKEN")}  # found now
config = {"token": "secret_reference::GITHUB_TOKEN"}  # found when a connection is opened
```

The second config contains only the name. Under Dagster, use that form (or `dagster.EnvVar`).
"""

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
