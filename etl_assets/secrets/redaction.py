"""The one redactor: what leaves the process as a log line, an error or metadata passes `redact`."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

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
    for text in {str(value), *_leaves(value)}:
        if len(text) >= SHORTEST_SECRET:
            _known.update(form for form in _forms(text) if len(form) >= SHORTEST_SECRET)


def _forms(secret: str) -> Iterator[str]:
    """Give the texts that a secret may appear as: itself, in a URL, in JSON, in base64 (as of `user:password`)."""
    yield secret
    yield secret.strip()
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    raw = secret.encode("utf-8", "surrogatepass")
    for before in range(3):
        # What stands before it shifts the digits; those that hold a part of a neighbour are left out.
        digits = (8 * before + 5) // 6
        whole = 8 * (before + len(raw)) // 6
        for encode in (b64encode, urlsafe_b64encode):
            yield encode(b"\0" * before + raw).decode()[digits:whole]


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
