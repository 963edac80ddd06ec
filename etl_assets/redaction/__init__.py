"""The one redactor, which every log line, error, warning and piece of metadata passes.

`redact` masks the secrets that `remember` was told of, in every form they may have (`forms`). It
also masks what is secret by its place, such as a password in a URL or a `password=...` in a
connection string (`places`).

This is the lowest layer. An `EtlAssetsError` is masked when it is made, so that nobody who shows
one has to think of it.
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

    Only the secret parts of a URL are masked, so that errors can still name the host.
    """
    _redactor.remember(value)


def remember_config(value: Any, *, secret: bool = False) -> None:
    """Have every text of a config masked from now on whose name says that it is secret."""
    _redactor.remember_config(value, secret=secret)


def redact(text: str, *, begin: int = 0, end: int | None = None) -> str:
    """Return the text with every secret in it masked.

    Args:
        text: The text.
        begin: The first character of `text` that is returned. The text is cut after it is masked.
        end: The first character that is no longer returned.
    """
    return _redactor.redact(text, begin=begin, end=end)
