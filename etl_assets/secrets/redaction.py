"""The one redactor: what leaves the process as a log line, an error or metadata passes `redact`."""

import re
from typing import Any
from urllib.parse import quote, urlsplit

MASK = "****"
SHORTEST_SECRET = 6
"""Shorter values are not masked: replacing every `on` or `1` would hide the text and protect nothing."""

_URL_PASSWORD = re.compile(r"(?P<head>[a-zA-Z][\w+.-]*://[^\s:/@]*:)(?P<password>[^\s@]+)(?P<tail>@)")

_known: set[str] = set()


def remember(value: Any) -> None:
    """Have a secret masked from now on; of a URL only its password, so that errors can still name the host."""
    if isinstance(value, str) and "://" in value:
        try:
            value = urlsplit(value).password
        except ValueError:
            return
    if isinstance(value, str) and len(value) >= SHORTEST_SECRET:
        _known.update({value, quote(value, safe=""), value.strip()})


def redact(text: str) -> str:
    """Give the text with every known secret, and the password of every URL in it, masked."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _URL_PASSWORD.sub(rf"\g<head>{MASK}\g<tail>", text)
