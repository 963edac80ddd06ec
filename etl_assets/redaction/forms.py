"""The texts as which a secret may appear: quoted, escaped, encoded, and each of its lines."""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from html import escape
from urllib.parse import quote, quote_plus, unquote, unquote_plus

SHORTEST_LINE = 8
"""Shorter lines of a secret are masked only if they follow the previous line of it."""
_WRAPPED = (64, 76)
"""How many characters a line of wrapped base64 has."""
_PERCENT = re.compile("%[0-9A-F]{2}")
_UNICODE = re.compile(r"\\u[0-9a-f]{4}")


def forms(secret: str) -> set[str]:
    """Return every text that a secret may appear as."""
    found: set[str] = set()
    for text in _texts(secret):
        found.update(_escaped(text))
        found.update(_in_urls(text))
        found.update(_in_base64(text))
    return found


def lines_of(secret: str) -> str:
    """Return a secret as it is in a stream whose lines are stripped at the right end."""
    return "\n".join(line.rstrip() for line in secret.strip().splitlines())


def _texts(secret: str) -> set[str]:
    """Return the secret, the secret percent-decoded or stripped, and its lines."""
    whole = {secret, unquote(secret), unquote_plus(secret)}
    whole |= {text.strip() for text in whole} | {lines_of(text) for text in whole}
    lines: set[str] = set()
    for text in whole:
        lines.update(line.strip() for line in text.splitlines())
    return whole | {line for line in lines if len(line) >= SHORTEST_LINE}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# Escaped: in a `repr`, in JSON, in HTML


def _quotes_kept(write: Callable[[str], str]) -> Callable[[str], str]:
    """Return a function that writes a text as `repr` does between double quotes."""
    return lambda text: "'".join(map(write, text.split("'")))


def _repr(text: str) -> str:
    return repr('"' + text)[2:-1]  # with a double quote in it, the repr is in single ones


def _ascii(text: str) -> str:
    return ascii('"' + text)[2:-1]


def _repr_of_bytes(text: str) -> str:
    return repr(b'"' + _bytes(text))[3:-1]


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_for_html(text: str) -> str:
    """Return a text as JSON that is safe in HTML, in which `<`, `>` and `&` are escaped."""
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    return re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", plain)


_WRITERS: tuple[Callable[[str], str], ...] = (
    _repr,
    _ascii,
    _repr_of_bytes,
    *map(_quotes_kept, (_repr, _ascii, _repr_of_bytes)),
    _json,
    lambda text: _UNICODE.sub(lambda found: "\\u" + found[0][2:].upper(), _json(text)),
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: _json(text).replace("/", "\\/"),
    _json_for_html,
)


def _escaped(text: str) -> set[str]:
    """Return a text as it is in a `repr`, in JSON, in one of these within another, and in HTML."""
    if text.isascii() and text.isalnum():
        return {text}
    once = {text, *(write(text) for write in _WRITERS)}
    twice = {write(written) for written in once for write in _WRITERS}
    html = escape(text, quote=False), escape(text), escape(text).replace("&#x27;", "&#39;")
    return once | twice | {*html}


# In a URL


def _in_urls(text: str) -> Iterator[str]:
    """Yield a text as it is in a URL.

    More or fewer characters may be quoted, in upper or lower case, and twice.
    """
    raw = _bytes(text)
    quoted = {quote(raw, safe=safe) for safe in ("", "/", " +", "!'()*", "/:@")} | {quote_plus(raw)}
    for form in quoted:
        yield form
        yield _PERCENT.sub(lambda found: found[0].lower(), form)
        yield quote(form, safe="")


# In base64


def _in_base64(text: str) -> Iterator[str]:
    """Yield a text as it is in longer base64, such as that of `user:password`, or at its end."""
    raws = {_bytes(text)}
    with suppress(UnicodeEncodeError):
        raws.add(text.encode("latin-1"))  # old clients encode the login in this way
    for raw in raws:
        for encode in (b64encode, urlsafe_b64encode):
            yield from _wrapped(encode(raw).decode())
            for before in range(3):
                # What precedes it shifts the digits. Digits that also encode a neighbour are left
                # out.
                digits = encode(b"\0" * before + raw).decode().rstrip("=")
                yield digits[(8 * before + 5) // 6 :]
                yield digits[(8 * before + 5) // 6 : 8 * (before + len(raw)) // 6]


def _wrapped(digits: str) -> Iterator[str]:
    for width in _WRAPPED:
        for begin in range(0, len(digits), width):
            line = digits[begin : begin + width]
            if len(line) >= SHORTEST_LINE:
                yield line
