"""The name under which the state of a script's source is stored, and a note of its config.

State belongs to the source's name and the place of its tables. If the config changes, the source
goes on from there, and the changed keys are logged. Two accounts of one connector need two places
or two names.
"""

import hmac
import json
import secrets
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from typing import Any

from etl_assets.connectors.masking import says_secret
from etl_assets.exceptions import ConfigError
from etl_assets.model.events import StreamKey
from etl_assets.secrets.references import is_reference, name_of
from etl_assets.secrets.string import SecretString

_SECRET_MARKS = ("airbyte_secret", "secret", "writeOnly")

Path = tuple[str, ...]


def stored_name(source: Any, destination: Any, streams: Collection[StreamKey]) -> str:
    """Return the name under which the state of a source is stored in a destination, for a script.

    It is the source's own name, or `source_name` of `get_source`, or else the connector's name as a
    word. If the name also has state in another place of the destination, this place is added.

    Raises:
        ConfigError: The source has no name.
        InputError: The state is stored under several names that end in hashes of configs, as in
            earlier versions.
    """
    name: str | None = source.state_name
    if name is None:
        kind = type(source).__name__
        raise ConfigError(
            f"{kind} has no name.",
            hint=f'Give it one, under which its state is stored: {kind}(name="...").',
        )
    stored: str = destination.stored_under(
        name, streams, hashed=not getattr(source, "is_named", True)
    )
    return stored


def note_of(source: Any, known: Any) -> dict[str, Any]:
    """Return the note of a source's config: a salt, and a digest of the value of each key.

    The digest of a secret has eight bits. They show that it was rotated, and do not help anybody to
    guess it.

    Args:
        source: A connector.
        known: The earlier note, whose salt is kept, or None.
    """
    salt = known["salt"] if known else secrets.token_hex(16)
    marked = set(secret_places(source.config_spec))
    values = dict(_leaves(source.get_config(), marked))
    return {"salt": salt, "keys": {key: _digest(salt, key, *values[key]) for key in sorted(values)}}


def changed_keys(known: Any, now: Mapping[str, Any]) -> list[str]:
    """Return the keys whose value has changed between two notes."""
    before, after = known["keys"], now["keys"]
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


def _leaves(
    value: Any, marked: set[Path], path: Path = (), *, secret: bool = False
) -> Iterator[tuple[str, Any]]:
    """Yield each value of a config by its place, with whether it is a secret."""
    secret = secret or path in marked
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(
                item, marked, (*path, str(key)), secret=secret or _is_secret(str(key), item)
            )
    elif path:
        # A reference is not resolved: what counts is what it refers to.
        shown = name_of(value) if is_reference(value) else value
        yield ".".join(path), (shown, secret and not is_reference(value))


def _digest(
    salt: str,
    key: str,
    value: Any,
    secret: bool,  # noqa: FBT001 - as `_leaves` yields them
) -> str:
    text = json.dumps([key, value], sort_keys=True, default=str)
    digits = 2 if secret else 16
    return hmac.new(salt.encode(), text.encode(), sha256).hexdigest()[:digits]


def secret_places(spec: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the places of a config that its JSON Schema says are secret.

    Positions in lists are left out.
    """
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
    """Return a config without what is secret.

    A value is secret by its place, by its name, or because it is a reference or a `SecretString`.
    """
    if isinstance(value, Mapping):
        kept = {}
        for key, item in value.items():
            place = (*path, key)
            if place not in secret and not _is_secret(key, item):
                kept[key] = without_secrets(item, secret, place)
        return kept
    if isinstance(value, list | tuple):
        return [without_secrets(item, secret, path) for item in value if not _is_secret("", item)]
    return value


def _is_secret(name: str, value: Any) -> bool:
    if isinstance(value, Mapping | list | tuple):
        return False
    stands_for_secret = is_reference(value) or isinstance(value, SecretString)
    return stands_for_secret or says_secret(name)
