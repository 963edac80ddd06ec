"""A warning, when definitions are loaded, of secrets that they hold instead of references."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from etl_assets.logs import warn_once
from etl_assets.redaction.names import says_secret
from etl_assets.redaction.places import secrets_of_address
from etl_assets.secrets.references import is_reference
from etl_assets.secrets.string import SecretString
from etl_assets.secrets.url import SecretUrl

_PLACES = ("_config", "_url", "connect_args", "options")
"""Where sources and destinations keep what they were made with."""


def warn_of_literals(*owners: Any) -> None:
    """Warn once of each option of a source or destination that holds a secret itself."""
    for owner in owners:
        names = sorted(
            {
                name
                for place in _PLACES
                for name in _literals(getattr(owner, place, None), place.strip("_"))
            }
        )
        if names:
            warn_once(
                f"{owner!r} is given the secret itself: {', '.join(names)}. "
                "Whoever reads the code, or what keeps it, has it. "
                'Give a reference: dagster.EnvVar("NAME"), or "secret_reference::NAME".'
            )


def _literals(value: Any, name: str, *, secret: bool = False) -> Iterator[str]:
    """Yield the names under which there are secrets, such as `config.login.token`."""
    if is_reference(value):
        return
    if isinstance(value, SecretUrl | str):
        text = value.reveal() if isinstance(value, SecretUrl) else value
        if len(text) and (
            secret or isinstance(value, SecretString) or any(secrets_of_address(text))
        ):
            yield name
        return
    for key, item in _items(value):
        yield from _literals(item, f"{name}.{key}", secret=secret or says_secret(key))


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((str(key), item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(at), item) for at, item in enumerate(value))
    elif isinstance(value, BaseModel):
        yield from ((field, getattr(value, field)) for field in type(value).model_fields)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((each.name, getattr(value, each.name)) for each in fields(value))
