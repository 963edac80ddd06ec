"""Where secrets are looked for: the environment, a `.env` file, Google Colab, the terminal."""

import contextlib
import os
import sys
from abc import ABC, abstractmethod
from enum import Enum
from getpass import getpass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from etl_assets.exceptions import InputError
from etl_assets.progress import in_notebook
from etl_assets.secrets.string import SecretString


class SecretSourceEnum(str, Enum):  # noqa: UP042 - as in PyAirbyte: `str()` is not the value
    """The kinds of secret managers that have a name."""

    ENV = "env"
    DOTENV = "dotenv"
    GOOGLE_COLAB = "google_colab"
    GOOGLE_GSM = "google_gsm"
    PROMPT = "prompt"


class SecretManager(ABC):
    """Something that returns secrets by their names.

    A subclass MUST override `get_secret`, which returns None if it has no secret of that name. An
    empty secret counts as missing.
    """

    name: str = ""
    replace_existing: ClassVar[bool] = False
    as_backup: ClassVar[bool] = False

    def __init__(self) -> None:
        self.name = self.name or type(self).__name__

    @abstractmethod
    def get_secret(self, secret_name: str) -> SecretString | None:
        """Return the secret of a name, or None."""

    @override
    def __str__(self) -> str:
        return self.name

    @override
    def __eq__(self, other: object) -> bool:
        if isinstance(other, SecretManager):
            return self.name == other.name
        return isinstance(other, str) and self.name == getattr(other, "value", other)

    @override
    def __hash__(self) -> int:
        return hash(self.name)


class EnvironmentSecrets(SecretManager):
    """The environment variables of this process."""

    name = SecretSourceEnum.ENV.value

    @override
    def get_secret(self, secret_name: str) -> SecretString | None:
        return _secret(os.environ.get(secret_name))


class DotenvSecrets(SecretManager):
    """The file `.env` of the working directory, or of the nearest folder above that has one."""

    name = SecretSourceEnum.DOTENV.value

    @override
    def get_secret(self, secret_name: str) -> SecretString | None:
        here = Path.cwd()
        places = [folder / ".env" for folder in (here, *here.parents)]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            return None
        from dotenv import dotenv_values

        try:
            return _secret(dotenv_values(path).get(secret_name))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"The file {str(path)!r} cannot be read: {type(error).__name__}."
            ) from None


class ColabSecrets(SecretManager):
    """The secrets of a Google Colab notebook."""

    name = SecretSourceEnum.GOOGLE_COLAB.value

    @override
    def get_secret(self, secret_name: str) -> SecretString | None:
        if not in_colab():
            return None
        from google.colab import userdata  # type: ignore[import-untyped]

        try:
            return _secret(userdata.get(secret_name))
        except (userdata.SecretNotFoundError, userdata.NotebookAccessError):
            return None


class PromptedSecrets(SecretManager):
    """The person at the terminal, who is not asked in a run or without a terminal."""

    name = SecretSourceEnum.PROMPT.value

    @override
    def get_secret(self, secret_name: str) -> SecretString | None:
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            return _secret(getpass(f"Enter the value of {secret_name!r}: "))
        return None


def in_colab() -> bool:
    """Return whether this is a Google Colab notebook."""
    return "google" in sys.modules and find_spec("google.colab") is not None


def is_interactive() -> bool:
    """Return whether a person can be asked; not within a Dagster step, whose output is captured."""
    if in_notebook():
        return True
    streams = (sys.stdin, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def _secret(value: Any) -> SecretString | None:
    return None if value is None else SecretString(value)
