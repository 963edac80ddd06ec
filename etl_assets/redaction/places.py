"""What is secret by its place: in the address of a database, and wherever an address may stand in a text."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus

from etl_assets.redaction.names import PAIR_NAME, is_secret_parameter
from etl_assets.redaction.search import Span, joined

MASK = "****"

_SCHEME = re.compile(r"[a-zA-Z][\w+.-]*://")
_IN_TEXT = re.compile(
    # A password up to the last @: one that is not percent-encoded may hold others. (Our hints have
    # one for the word.)
    r"""://[^\s/:?#"'<>]*:(?!password@)(?P<password>(?:(?!://)[^\s"'<>])+)@"""
    # A token that is all there is of a user.
    r"""|https?://(?P<user>[\w.~%-]{20,256})@"""
)
_CONNECTION_STRING = re.compile(r"\s*[\w .-]+=|jdbc:|md:|motherduck:")
_EQUAL = re.compile(r"(?<=[\w\s])(?:=|%3D)", re.IGNORECASE)
"""Where a name may end."""
_ODBC_NAME = "odbc_connect"
_NAME = re.compile(rf"(?:{PAIR_NAME}|(?P<odbc>{_ODBC_NAME}))\s*$", re.IGNORECASE)
_NAME_CHARACTERS = 48
_VALUE = re.compile(
    r"""\s*(?P<value>\{(?:[^}]|\}\}){0,999}\}|'(?:[^'\\]|\\.|''){0,999}'|"(?:[^"\\]|\\.|""){0,999}\""""
    r"""|(?P<bare>(?:(?!%3B)[^\s&;"'])+))""",
    re.IGNORECASE | re.DOTALL,
)
_BRACED = re.compile(r"(?P<value>\{(?:[^}]|\}\}){0,999}\})", re.DOTALL)
_ODBC = re.compile(r"(?P<value>[^\s&\"']+)")


def secret_places(text: str) -> Iterator[Span]:
    """Yield where a text has something secret by its place."""
    if "://" in text:
        for found in _IN_TEXT.finditer(text):
            yield found.span("user" if found["password"] is None else "password")
    yield from _secret_values(text)


def _secret_values(text: str) -> Iterator[Span]:
    """Yield where the values of `password=...` and the like are, in a URL, a connection string, or any text."""
    end = odbc_end = 0
    for equal in _EQUAL.finditer(text):
        # A value within one that has no quotes ends where that does: each would be read to its end
        # again.
        within = equal.end() < end
        if within and text[equal.end()] != "{" and not _ends_in_odbc(text, equal.start()):
            continue
        name = _NAME.search(text, max(0, equal.start() - _NAME_CHARACTERS), equal.start())
        if name and name["odbc"]:
            if equal.end() < odbc_end:
                continue
            value = _ODBC.match(text, equal.end())
            odbc_end = value.end() if value else odbc_end
        else:
            value = name and (_BRACED if within else _VALUE).match(text, equal.end())
        if value:
            yield value.span("value")
            if value.groupdict().get("bare"):
                end = max(end, value.end())


def _ends_in_odbc(text: str, end: int) -> bool:
    """Return whether the name before an equal sign is that of a whole connection string, whose value goes on longer."""
    return text[max(0, end - len(_ODBC_NAME)) : end].lower() == _ODBC_NAME


def is_url(text: str) -> bool:
    """Return whether a text begins as a URL does."""
    return bool(_SCHEME.match(text))


def is_cut(url: str) -> bool:
    """Return whether a special character ends a URL's user or password early, so that the rest reads as an address.

    An `@` belongs behind user and password, or into the value of a parameter.
    """
    _, _, rest = url.partition("://")
    address = _address(rest)
    beyond = rest[len(address) :]
    if _has_wrong_port(address):
        return True
    if not address or "@" not in rest:
        return False
    user, colon, after = address.partition(":")
    if (after if colon else user).count("@") > 1 or "@" in beyond.partition("?")[0]:
        return True
    parameters = re.split("[&;]", beyond.partition("?")[2])
    return any("@" in one.partition("=")[0] for one in parameters)


def _address(rest: str) -> str:
    """Return of a URL behind its `://` what is before path, parameters and fragment."""
    return re.split("[/?#]", rest, maxsplit=1)[0]


def masked_address(text: str) -> str:
    """Return the address of a database without its secrets.

    Of one that cannot be read for sure, its scheme alone.

    Args:
        text: A URL, or a connection string such as `host=... password=...`.
    """
    if is_url(text):
        if is_cut(text):
            return f"{text.partition('://')[0]}://{MASK}"
        before, mark, parameters = text.partition("?")
        head, at, host = before.rpartition("@")
        user, colon, _ = head.partition("://")[2].partition(":")
        if at and colon:
            before = f"{before.partition('://')[0]}://{user}:{MASK}@{host}"
        return before + mark + re.sub(r"[^&]+", _masked_parameter, parameters)
    return masked(text, secret_places(text)) if _CONNECTION_STRING.match(text) else MASK


def masked(text: str, spans: Iterable[Span], begin: int = 0, end: int | None = None) -> str:
    """Return the text from `begin` to `end` with each span of it masked.

    Of one that is cut, nothing is shown.
    """
    end = len(text) if end is None else end
    shown = []
    at = begin
    for first, after in joined(spans):
        if after > at and first < end:
            shown += [text[at:first], MASK]
            at = after
    shown.append(text[at:end])
    return "".join(shown)


def _has_wrong_port(address: str) -> bool:
    """Return whether what should be a port is no number: it may be the beginning of a password."""
    ports = (
        host.rpartition("]")[2].partition(":")[2] for host in address.rpartition("@")[2].split(",")
    )
    return any(port and not port.isdigit() for port in ports)


def _masked_parameter(found: re.Match[str]) -> str:
    name, equal, _ = found[0].partition("=")
    if equal and (is_secret_parameter(name) or name.lower() == "odbc_connect"):
        return f"{name}={MASK}"
    return masked(found[0], secret_places(found[0]))


def secrets_of_address(text: str) -> Iterator[str]:
    """Yield the secrets in a URL or a connection string, as they stand there and decoded."""
    if is_url(text):
        _, _, rest = text.partition("://")
        if is_cut(text):
            yield from _secrets_of_cut(rest)
        before, _, parameters = rest.partition("?")
        head, at, _ = before.rpartition("@")
        _, colon, password = head.partition(":")
        if at and colon:
            yield from (password, unquote(password))
        for parameter in parameters.split("&"):
            name, _, value = parameter.partition("=")
            if name.lower() == "odbc_connect":
                yield from secrets_of_address(unquote_plus(value))
            elif is_secret_parameter(name):
                yield from (value, unquote(value), unquote_plus(value))
    for begin, end in _secret_values(text):
        yield from _unquoted(text[begin:end])


def _secrets_of_cut(rest: str) -> Iterator[str]:
    """Yield what may be the password in a URL that it cuts, and the pieces a driver may take for host and path."""
    password = (rest.rpartition("@")[0] or rest).partition(":")[2]
    yield from (password, unquote(password))
    yield from re.split("[@/?#]", password)


def _unquoted(value: str) -> Iterator[str]:
    """Yield a value of a connection string as it stands there, and without its quotes."""
    yield value
    inner = value[1:-1]
    if value.startswith("{") and value.endswith("}"):
        yield from (inner, inner.replace("}}", "}"))
    elif value[:1] in {"'", '"'} and value.endswith(value[:1]):
        yield from (inner, re.sub(r"\\(.)", r"\1", inner), inner.replace(value[0] * 2, value[0]))
    else:
        yield from (unquote(value), re.sub(r"\\(.)", r"\1", value))
