"""Which values of a connector's config are secret; the redactor is told of them."""

from collections.abc import Iterable, Iterator, Mapping
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
    """Return whether a name says that its value is secret.

    States are stored under names that are made without such values (`sources/stored_name.py`), so
    this list must not change. Masking uses a longer one (`redaction/names.py`).
    """
    return any(word in name.lower() for word in _SECRET_WORDS)


def remember_new(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Have every new text of a changed config masked, such as a new token."""
    known = set(_texts(before))
    for text in _texts(after):
        if text not in known:
            remember(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        return
    items: Iterable[Any] = ()
    if isinstance(value, Mapping):
        items = value.values()
    elif isinstance(value, list | tuple):
        items = value
    for item in items:
        yield from _texts(item)
