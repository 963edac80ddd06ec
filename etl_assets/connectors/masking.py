"""What of a connector's config must never be shown: remembered, so that the redactor masks it."""

from collections.abc import Iterator, Mapping
from typing import Any

from etl_assets.redaction import remember

_SECRET_WORDS = (
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "private_key",
    "credentials",
    "dsn",
)


def says_secret(name: str) -> bool:
    """Return whether a name says that what it stands for is secret.

    States are stored under names that are made without such values (`sources/stored_name.py`), so
    this list stays as it is; what is masked, a longer one says (`redaction/names.py`).
    """
    return any(word in name.lower() for word in _SECRET_WORDS)


def remember_new(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Have every text of a changed config that was not in the old one masked: new tokens above all."""
    known = set(_texts(before))
    for text in _texts(after):
        if text not in known:
            remember(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in (
        value.values()
        if isinstance(value, Mapping)
        else value
        if isinstance(value, list | tuple)
        else ()
    ):
        yield from _texts(item)
