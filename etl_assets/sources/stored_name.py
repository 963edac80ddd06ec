"""The name under which a script's source has its state: its own, or the connector's with what its config says.

Two configs of one connector are two sources: the second must not go on from where the first one ended. Secrets are left
out, so that a rotated password changes nothing; two configs that differ in secrets only need names of their own.
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from etl_assets.connectors.masking import says_secret
from etl_assets.exceptions import ConfigError
from etl_assets.secrets.references import is_reference
from etl_assets.secrets.string import SecretString

DIGITS = 8
_SECRET_MARKS = ("airbyte_secret", "secret", "writeOnly")

Path = tuple[str, ...]


def stored_name(source: Any) -> str:
    """Give the name under which the state of a source is stored for a script; may start a connector, for its `spec`.

    It is the source's own name, or `source_name` of `get_source`; of a connector without one, the connector's name as a
    word and a hash of its config without secrets, such as `source_faker_3f1c09ab`.

    Raises:
        ConfigError: The source has no name.
    """
    name: str | None = source.name
    if name is None:
        kind = type(source).__name__
        raise ConfigError(
            f"{kind} has no name.", hint=f'Give it one, under which its state is stored: {kind}(name="...").'
        )
    if getattr(source, "is_named", True):
        return name
    plain = without_secrets(source.get_config(), set(secret_places(source.config_spec)))
    text = json.dumps(plain, sort_keys=True, default=str)
    return f"{name}_{sha256(text.encode()).hexdigest()[:DIGITS]}"


def is_name_of(stored: str, name: str) -> bool:
    """Tell whether a stored name is this one, or that of some config of the connector of this name."""
    head, _, digits = stored.rpartition("_")
    return stored == name or (head == name and len(digits) == DIGITS and all(d in "0123456789abcdef" for d in digits))


def secret_places(spec: Any, path: Path = ()) -> Iterator[Path]:
    """Give the places of a config that its JSON Schema says are secret; positions in lists are left out."""
    if isinstance(spec, list):
        for one in spec:
            yield from secret_places(one, path)
    if not isinstance(spec, Mapping):
        return
    if any(spec.get(mark) is True for mark in _SECRET_MARKS):
        yield path
    for name, one in (spec.get("properties") or {}).items():
        yield from secret_places(one, (*path, name))
    for word in ("items", "oneOf", "anyOf", "allOf"):
        yield from secret_places(spec.get(word), path)


def without_secrets(value: Any, secret: set[Path], path: Path = ()) -> Any:
    """Give a config without what is secret: by its place, its name, or what it is (a reference, a `SecretString`)."""
    if isinstance(value, Mapping):
        return {
            key: without_secrets(item, secret, (*path, key))
            for key, item in value.items()
            if (*path, key) not in secret and not _is_secret(key, item)
        }
    if isinstance(value, list | tuple):
        return [without_secrets(item, secret, path) for item in value if not _is_secret("", item)]
    return value


def _is_secret(name: str, value: Any) -> bool:
    if isinstance(value, Mapping | list | tuple):
        return False
    return is_reference(value) or isinstance(value, SecretString) or says_secret(name)
