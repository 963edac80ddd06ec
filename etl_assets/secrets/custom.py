"""Your own secret managers, which `get_secret` asks once they are created."""

from abc import ABC
from typing import ClassVar

from etl_assets.secrets.managers import SecretManager
from etl_assets.secrets.registry import register_secret_manager

__all__ = ["CustomSecretManager"]


class CustomSecretManager(SecretManager, ABC):
    """A secret manager of your own, which is registered before the others when it is created.

    ```python
    class Vault(CustomSecretManager):
        name = "vault"

        def get_secret(self, secret_name):
            return client.read(secret_name)  # a str, or None

    Vault()
    ```

    The class attributes are `auto_register` (by default True), `replace_existing` (it becomes the
    only manager) and `as_backup` (it is asked last).
    """

    auto_register: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        if self.auto_register:
            self.register()

    def register(
        self, *, as_backup: bool | None = None, replace_existing: bool | None = None
    ) -> None:
        """Have `get_secret` ask this manager too.

        Args:
            as_backup: Ask it after the others. The default is the class attribute.
            replace_existing: Ask no others any more. The default is the class attribute.
        """
        if as_backup is None:
            as_backup = self.as_backup
        if replace_existing is None:
            replace_existing = self.replace_existing
        register_secret_manager(self, as_backup=as_backup, replace_existing=replace_existing)
