"""What the user must change: a name, an option, an argument, a secret."""

from typing import Any

from etl_assets.exceptions.base import EtlAssetsError


class ConfigError(EtlAssetsError):
    """The user must change something before this can work."""


class InputError(ConfigError, ValueError):
    """An argument is not one that this call can take.

    Args:
        message: Which one, and why.
        hint: What it can be.
        stream: The stream, where the call is about one.
        input_value: The argument.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        stream: str | None = None,
        input_value: object = None,
        **said: Any,
    ) -> None:
        super().__init__(message, hint=hint, stream=stream, **said)
        self.input_value = input_value


class ArgumentTypeError(InputError, TypeError):
    """A call has no such argument, or takes another type for it."""


class NoStreamsSelectedError(InputError):
    """No stream is selected, and there is none that could be."""


class NameNormalizationError(ConfigError, ValueError):
    """A name from which no identifier can be made, such as an empty one."""


class SecretNotFoundError(ConfigError):
    """No source of secrets has one of this name.

    Args:
        message: Where it was looked for.
        hint: What the reader can do.
        input_value: The secret's name.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        input_value: object = None,
        **said: Any,
    ) -> None:
        super().__init__(message, hint=hint, **said)
        self.input_value = input_value or said.get("secret_name")
