"""Config values that refer to something that is stored elsewhere.

A reference is anything with a `get_value()`, such as Dagster's `EnvVar` or a `SecretHandle`, or a
text `secret_reference::NAME`. References are resolved when a connection is opened, never when
definitions load, and a stored config contains the reference.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

from typing_extensions import override

from etl_assets.exceptions import ConfigError
from etl_assets.redaction import remember
from etl_assets.secrets.string import PREFIX


def resolve(value: Any, *, name: str = "config") -> Any:
    """Return a config value with every reference in it resolved, also in dicts and lists.

    The redactor masks the values from then on.

    Raises:
        ConfigError: A reference has no value, such as an environment variable that is not set. It
            may be a `SecretNotFoundError`.
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
        from etl_assets.secrets.registry import get_secret

        return get_secret(value, allow_prompt=False)
    if isinstance(value, Mapping):
        return {key: resolve(item, name=f"{name}.{key}") for key, item in value.items()}
    if type(value) in {list, tuple}:  # not a subclass: SQLAlchemy's URL is a named tuple
        items = [resolve(item, name=f"{name}[{index}]") for index, item in enumerate(value)]
        return type(value)(items)
    return value


class ResolvedConfig(dict[str, Any]):
    """A config with its references resolved, whose changes also reach the original config.

    Connectors written for Mage store things in their config: `self.config["state_path"] = ...`.

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
        return dict, (dict(self),)  # changes of a copy do not reach the original

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
    """Return whether a value refers to one that is stored elsewhere."""
    if isinstance(value, str) and value.startswith(PREFIX):
        return True
    return callable(getattr(value, "get_value", None))


def name_of(reference: Any) -> str:
    """Return the name of a reference, as it is shown; never its value."""
    if isinstance(reference, str) and reference.startswith(PREFIX):
        return reference.removeprefix(PREFIX)
    # Dagster's EnvVar is a str that is its own name; it also has `env_var_name`.
    names = (getattr(reference, word, None) for word in ("env_var_name", "secret_name", "name"))
    return str(next((name for name in names if name), type(reference).__name__))
