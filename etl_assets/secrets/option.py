"""The type of a pydantic field that takes a secret, or a reference to one."""

from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from etl_assets.secrets.redaction import MASK
from etl_assets.secrets.references import is_reference, name_of
from etl_assets.secrets.registry import PREFIX
from etl_assets.secrets.string import SecretString


def _taken(value: Any) -> Any:
    if is_reference(value):
        return value
    if not isinstance(value, str):
        raise ValueError("a text, or a reference to one")  # noqa: TRY004 - what pydantic reports by the field's name
    return SecretString(value)


def _dumped(value: Any) -> str:
    return f"{PREFIX}{name_of(value)}" if is_reference(value) else MASK


SecretOption = Annotated[
    Any,
    PlainValidator(_taken),
    PlainSerializer(_dumped, return_type=str),
    WithJsonSchema({"type": "string", "format": "password", "writeOnly": True}),
]
"""A text becomes a `SecretString`; a reference (`dagster.EnvVar`, `secret_reference::NAME`) stays one, to be resolved
where a connection is opened. A dump has the mask of the one, and the name of the other."""
