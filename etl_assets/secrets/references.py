"""Config values that stand for something kept elsewhere.

They are anything with a `get_value()`, such as Dagster's `EnvVar` or a `SecretHandle`, and texts
`secret_reference::NAME`. They are resolved when a connection is opened, never when definitions
load, and stored config keeps the reference.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from typing_extensions import override

from etl_assets.exceptions import ConfigError
from etl_assets.redaction import remember
from etl_assets.secrets.registry import PREFIX, get_secret


def resolve(value: Any, *, name: str = "config") -> Any:
    """Return a config value with every reference in it resolved, nested and in lists.

    What a reference stood for is remembered by the redactor.

    Raises:
        ConfigError: A reference has no value, such as an environment variable that is not set; a
            `SecretNotFoundError` is one too.
    """
    get_value = getattr(value, "get_value", None)
    if callable(get_value):
        found = get_value()
        if found is None:
            raise ConfigError(
                f"{name} refers to {name_of(value)!r}, which has no value.",
                hint="Set that environment variable (or secret) where this process runs.",
            )
        remember(found)
        return found
    if isinstance(value, str) and value.startswith(PREFIX):
        return get_secret(value, allow_prompt=False)
    if isinstance(value, Mapping):
        return {key: resolve(item, name=f"{name}.{key}") for key, item in value.items()}
    if type(value) in {list, tuple}:  # no subclass: SQLAlchemy's URL is a named tuple
        return type(value)(
            resolve(item, name=f"{name}[{index}]") for index, item in enumerate(value)
        )
    return value


class ResolvedConfig(dict[str, Any]):
    """A config with its references resolved.

    What is set in it is set in the config it was made of too.

    Connectors written for Mage keep things in their config: `self.config["state_path"] = ...`.

    Args:
        config: The config, with its references.
    """

    def __init__(self, config: MutableMapping[str, Any]) -> None:
        super().__init__(resolve(config))
        self._config = config

    @override
    def __setitem__(self, key: str, value: Any) -> None:
        unchanged = key in self and self[key] == value  # a reference stays one
        super().__setitem__(key, value)
        if not unchanged:
            self._config[key] = value

    @override
    def __reduce__(self) -> Any:
        return dict, (dict(self),)  # a copy is one's own

    @override
    def __delitem__(self, key: str) -> None:
        super().__delitem__(key)
        del self._config[key]

    @override
    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    @override
    def pop(self, key: str, *default: Any) -> Any:
        self._config.pop(key, None)
        return super().pop(key, *default)

    @override
    def update(self, *given: Any, **words: Any) -> None:
        for key, value in dict(*given, **words).items():
            self[key] = value


def is_reference(value: Any) -> bool:
    """Return whether a value only stands for one that is kept elsewhere."""
    return callable(getattr(value, "get_value", None)) or (
        isinstance(value, str) and value.startswith(PREFIX)
    )


def name_of(reference: Any) -> str:
    """Return the name that a reference has for people; never its value."""
    if isinstance(reference, str) and reference.startswith(PREFIX):
        return reference.removeprefix(PREFIX)
    # Dagster's EnvVar is a str that is its own name; it also has `env_var_name`.
    names = (getattr(reference, word, None) for word in ("env_var_name", "secret_name", "name"))
    return str(next((name for name in names if name), type(reference).__name__))
