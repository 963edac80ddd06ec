"""What of a connector's config must never be shown: remembered, so that the redactor masks it."""

from collections.abc import Iterator, Mapping
from typing import Any

from etl_assets.secrets.redaction import remember

_SECRET_WORDS = ("password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "credentials", "dsn")


def says_secret(name: str) -> bool:
    """Tell whether a name says that what it stands for is secret."""
    return any(word in name.lower() for word in _SECRET_WORDS)


def remember_config(value: Any, *, secret: bool = False) -> None:
    """Have every text under a name that says it is secret masked from now on."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            remember_config(item, secret=secret or says_secret(str(key)))
    elif isinstance(value, list | tuple):
        for item in value:
            remember_config(item, secret=secret)
    elif secret:
        remember(value)


def remember_new(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Have every text of a changed config that was not in the old one masked: new tokens above all."""
    known = set(_texts(before))
    for text in _texts(after):
        if text not in known:
            remember(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _texts(item)
