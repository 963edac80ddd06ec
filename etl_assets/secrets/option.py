"""Types of pydantic fields for secrets and references to them, which are shown masked."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

from etl_assets.redaction import MASK
from etl_assets.redaction.names import says_secret
from etl_assets.redaction.places import secrets_of_address
from etl_assets.secrets.references import is_reference, name_of
from etl_assets.secrets.string import PREFIX, SecretString
from etl_assets.secrets.url import SecretUrl, secret_url


def _taken(value: Any) -> Any:
    if is_reference(value):
        return value
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic reports it with the field's name
            "a text, or a reference to one"
        )
    return SecretString(value)


def _taken_or_none(value: Any) -> Any:
    return None if value is None else _taken(value)


def _url_taken(value: Any) -> Any:
    taken = secret_url(value)
    if not isinstance(taken, SecretUrl) and not is_reference(taken):
        raise ValueError("a url, or a reference to one")
    return taken


def wrap_secrets(value: Any, *, secret: bool = False) -> Any:
    """Return a value in which each secret is a `SecretString`.

    A text is secret by the name it is under, or because it is an address that contains a secret.
    """
    if isinstance(value, Mapping):
        return {
            key: wrap_secrets(item, secret=secret or says_secret(str(key)))
            for key, item in value.items()
        }
    if type(value) in {list, tuple}:
        return type(value)(wrap_secrets(item, secret=secret) for item in value)
    is_wrapped = is_reference(value) or isinstance(value, SecretString | SecretUrl)
    if not isinstance(value, str) or not value or is_wrapped:
        return value
    if secret or any(secrets_of_address(value)):
        return SecretString(value)
    return value


def masked_value(value: Any) -> Any:
    """Return a value as it may be shown or stored: a secret masked, a reference by its name."""
    if is_reference(value):
        return f"{PREFIX}{name_of(value)}"
    if isinstance(value, SecretUrl):
        return str(value)
    if isinstance(value, SecretString):
        return MASK
    if isinstance(value, Mapping):
        return {key: masked_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [masked_value(item) for item in value]
    return value


_WRITTEN_ONLY = {"type": "string", "format": "password", "writeOnly": True}

SecretOption = Annotated[
    Any,
    PlainValidator(_taken),
    PlainSerializer(masked_value, return_type=str),
    WithJsonSchema(_WRITTEN_ONLY),
]
"""A text becomes a `SecretString`.

A reference (`dagster.EnvVar`, `secret_reference::NAME`) stays one, and is resolved when a
connection is opened. A dump contains the mask, or the name of the reference.
"""

OptionalSecretOption = Annotated[
    Any,
    PlainValidator(_taken_or_none),
    PlainSerializer(masked_value, return_type=Any),
    WithJsonSchema(_WRITTEN_ONLY | {"type": ["string", "null"]}),
]
"""The same, or None."""

UrlOption = Annotated[
    Any, PlainValidator(_url_taken), PlainSerializer(masked_value, return_type=str)
]
"""A text or a SQLAlchemy URL becomes a `SecretUrl`.

A reference stays one. A dump contains the masked URL, or the name of the reference.
"""

ArgumentsOption = Annotated[
    dict[str, Any], AfterValidator(wrap_secrets), PlainSerializer(masked_value, return_type=Any)
]
"""Arguments of a driver: each secret in them becomes a `SecretString`, and a dump masks it."""
