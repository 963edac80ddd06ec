"""The one redactor: what leaves the process as a log line, an error or metadata passes `redact`."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

MASK = "****"
SHORTEST_SECRET = 6
"""Shorter values are not masked: replacing every `on` or `1` would hide the text and protect nothing."""

_URL_PASSWORD = re.compile(r"(?P<head>[a-zA-Z][\w+.-]*://[^\s:/@]*:)(?P<password>[^\s@]+)(?P<tail>@)")

_SECRET_NAME = re.compile("key|secret|token|passw|credential", re.IGNORECASE)

_known: set[str] = set()


def remember(value: Any) -> None:
    """Have a secret masked from now on; of a URL only its password, so that errors can still name the host."""
    if isinstance(value, str) and "://" in value:
        try:
            value = urlsplit(value).password
        except ValueError:
            return
    if not isinstance(value, str):
        return
    for text in {str(value), value.strip(), *_leaves(value)}:
        if len(text) >= SHORTEST_SECRET:
            encoded = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
            _known.update({text, quote(text, safe="", errors="surrogatepass"), json.dumps(text)[1:-1], encoded})


def _leaves(text: str) -> Iterator[str]:
    """Give the secret parts of a JSON document, such as a service account's private key: an error may show one."""
    if not text.lstrip().startswith(("{", "[")):
        return
    try:
        parts = [("", json.loads(text))]
    except (ValueError, RecursionError):
        return
    while parts:
        name, part = parts.pop()
        if isinstance(part, Mapping):
            parts.extend(part.items())
        elif isinstance(part, list):
            parts.extend((name, item) for item in part)
        elif isinstance(part, str) and _SECRET_NAME.search(name):
            yield part


def redact(text: str) -> str:
    """Give the text with every known secret, and the password of every URL in it, masked."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _URL_PASSWORD.sub(rf"\g<head>{MASK}\g<tail>", text)
