"""Secret managers of one's own, which `get_secret` asks once they are made."""

from abc import ABC
from typing import ClassVar

from etl_assets.secrets.managers import SecretManager
from etl_assets.secrets.registry import register_secret_manager

__all__ = ["CustomSecretManager"]


class CustomSecretManager(SecretManager, ABC):
    """A secret manager of your own: registered when it is made, before the others.

    ```python
    class Vault(CustomSecretManager):
        name = "vault"

        def get_secret(self, secret_name):
            return client.read(secret_name)  # a str, or None

    Vault()
    ```

    Class attributes: `auto_register` (True), `replace_existing` (be the only one), `as_backup` (be
        asked last).
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
            as_backup: After the others; as the class says by default.
            replace_existing: In place of the others; as the class says by default.
        """
        register_secret_manager(
            self,
            as_backup=self.as_backup if as_backup is None else as_backup,
            replace_existing=self.replace_existing
            if replace_existing is None
            else replace_existing,
        )
