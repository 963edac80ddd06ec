"""A handle of a secret, which a config may contain like an `EnvVar`."""

import os
from pathlib import Path
from typing import Any

from typing_extensions import override

from etl_assets.exceptions import SecretNotFoundError
from etl_assets.secrets.managers import SecretManager
from etl_assets.secrets.string import SecretString


class SecretHandle:
    """The name of a secret, and the manager that has it.

    Args:
        parent: The manager.
        secret_name: The name.
    """

    def __init__(self, parent: SecretManager, secret_name: str) -> None:
        self.parent = parent
        self.secret_name = secret_name

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.secret_name!r} of {self.parent})"

    def get_value(self) -> SecretString:
        """Ask for the secret.

        Raises:
            SecretNotFoundError: The manager has none of this name.
        """
        found = self.parent.get_secret(self.secret_name)
        if found is None or not len(found):
            raise SecretNotFoundError(
                f"{self.parent} has no secret {self.secret_name!r}.", input_value=self.secret_name
            )
        return SecretString(found)

    def parse_json(self) -> Any:
        """Ask for the secret, and return the JSON document in it."""
        return self.get_value().parse_json()

    def write_to_file(self, file_path: Path, /, *, silent: bool = False) -> None:
        """Ask for the secret and write it to a file that only this user can read.

        Args:
            file_path: The file, which is replaced if it exists.
            silent: Print nothing.
        """
        path = Path(file_path)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.get_value()
        path.unlink(missing_ok=True)  # an existing file would keep its permissions
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if not silent:
            print(  # noqa: T201 - unless it is told to be silent
                f"Wrote the secret {self.secret_name!r} to {path}."
            )
