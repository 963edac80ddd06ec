"""Functions over the secrets in configs, where scripts written for PyAirbyte look for them."""

from collections.abc import Iterator, Mapping
from typing import Any

from etl_assets.secrets.references import is_reference, resolve
from etl_assets.secrets.string import PREFIX, SecretString

SECRETS_HYDRATION_PREFIX = PREFIX
_MARKS = ("airbyte_secret", "writeOnly")


def hydrate_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config with the secrets that its references stand for, nested and in lists."""
    found: dict[str, Any] = resolve(dict(config))
    return found


def deep_update(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    """Merge the values of one config into another, object by object."""
    for key, value in source.items():
        known = target.get(key)
        if isinstance(value, Mapping) and isinstance(known, dict):
            deep_update(known, value)
        else:
            target[key] = value


def detect_hardcoded_secrets(
    config: Mapping[str, Any], spec_json_schema: Mapping[str, Any] | None = None
) -> list[list[str]]:
    """Return the places of a config that contain a secret itself instead of a reference.

    Args:
        config: The config.
        spec_json_schema: Its JSON Schema, which says what is secret. A `SecretString` always is.
    """
    secret = set(_secret_places(spec_json_schema or {}))
    found = []
    for path, value in _leaves(config):
        is_secret = path in secret or isinstance(value, SecretString)
        if is_secret and not is_reference(value):
            found.append(list(path))
    return found


def _leaves(config: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from _leaves(value, (*path, key))
    else:
        yield path, config


def _secret_places(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(schema, list):
        for one in schema:
            yield from _secret_places(one, path)
    if not isinstance(schema, Mapping):
        return
    if schema.get("format") == "password" or any(schema.get(mark) is True for mark in _MARKS):
        yield path
    for name, one in (schema.get("properties") or {}).items():
        yield from _secret_places(one, (*path, name))
    for word in ("oneOf", "anyOf", "allOf"):
        yield from _secret_places(schema.get(word), path)
