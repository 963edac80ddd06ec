"""The one redactor: what leaves the process as a log line, an error, a warning or metadata passes `redact`.

It masks the secrets that it was told of by `remember`, in every form they may appear in (`forms`),
and what is secret
by its place: a password in a URL, a `password=...` in a connection string (`places`).

It is the lowest layer: an `EtlAssetsError` is masked when it is made, so that nobody who shows one
has to think of it.
"""

from typing import Any

from etl_assets.redaction.places import MASK
from etl_assets.redaction.redactor import SHORTEST_SECRET, Redactor

__all__ = [
    "MASK",
    "SHORTEST_SECRET",
    "Redactor",
    "redact",
    "redactor",
    "remember",
    "remember_config",
]

_redactor = Redactor()


def redactor() -> Redactor:
    """Return the redactor of this process."""
    return _redactor


def remember(value: Any) -> None:
    """Have a secret masked from now on.

    Of a URL only its secret parts, so that errors can still name the host.
    """
    _redactor.remember(value)


def remember_config(value: Any, *, secret: bool = False) -> None:
    """Have every text of a config masked from now on that is under a name that says it is secret."""
    _redactor.remember_config(value, secret=secret)


def redact(text: str, *, begin: int = 0, end: int | None = None) -> str:
    """Return the text with every secret in it masked.

    Args:
        text: What is to be shown.
        begin: Leave out what is before this character of `text`: it is masked first and cut then.
        end: Leave out what is from this character on.
    """
    return _redactor.redact(text, begin=begin, end=end)
