"""What is secret by its place in the address of a database, or in any text with an address."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus

from etl_assets.redaction.names import PAIR_NAME, is_secret_parameter
from etl_assets.redaction.search import Span, joined

MASK = "****"

_SCHEME = re.compile(r"[a-zA-Z][\w+.-]*://")
_IN_TEXT = re.compile(
    # A password up to the last @, because one that is not percent-encoded may contain others. (Our
    # hints use the word `password` in its place.)
    r"""://[^\s/:?#"'<>]*:(?!password@)(?P<password>(?:(?!://)[^\s"'<>])+)@"""
    # A token in the place of the user, without a password.
    r"""|https?://(?P<user>[\w.~%-]{20,256})@"""
)
_CONNECTION_STRING = re.compile(r"\s*[\w .-]+=|jdbc:|md:|motherduck:")
_EQUAL = re.compile(r"(?<=[\w\s])(?:=|%3D)", re.IGNORECASE)
"""The equal sign after a name."""
_ODBC_NAME = "odbc_connect"
_NAME = re.compile(rf"(?:{PAIR_NAME}|(?P<odbc>{_ODBC_NAME}))\s*$", re.IGNORECASE)
_NAME_CHARACTERS = 48
_VALUE = re.compile(
    r"""\s*(?P<value>\{(?:[^}]|\}\}){0,999}\}"""
    r"""|'(?:[^'\\]|\\.|''){0,999}'|"(?:[^"\\]|\\.|""){0,999}\""""
    r"""|(?P<bare>(?:(?!%3B)[^\s&;"'])+))""",
    re.IGNORECASE | re.DOTALL,
)
_BRACED = re.compile(r"(?P<value>\{(?:[^}]|\}\}){0,999}\})", re.DOTALL)
_ODBC = re.compile(r"(?P<value>[^\s&\"']+)")


def secret_places(text: str) -> Iterator[Span]:
    """Yield the spans of a text that are secret by their place."""
    if "://" in text:
        for found in _IN_TEXT.finditer(text):
            group = "user" if found["password"] is None else "password"
            yield found.span(group)
    yield from _secret_values(text)


def _secret_values(text: str) -> Iterator[Span]:
    """Yield the spans of the values of `password=...` and the like, in any text."""
    end = odbc_end = 0
    for equal in _EQUAL.finditer(text):
        # A value within another one that has no quotes ends where that does. Reading it again each
        # time would take quadratic time.
        within = equal.end() < end
        is_braced = text[equal.end() : equal.end() + 1] == "{"
        if within and not is_braced and not _ends_in_odbc(text, equal.start()):
            continue
        name = _NAME.search(text, max(0, equal.start() - _NAME_CHARACTERS), equal.start())
        if name and name["odbc"]:
            if equal.end() < odbc_end:
                continue
            value = _ODBC.match(text, equal.end())
            if value:
                odbc_end = value.end()
        else:
            pattern = _BRACED if within else _VALUE
            value = name and pattern.match(text, equal.end())
        if value:
            yield value.span("value")
            if value.groupdict().get("bare"):
                end = max(end, value.end())


def _ends_in_odbc(text: str, end: int) -> bool:
    """Return whether an equal sign follows `odbc_connect`, whose value is a connection string."""
    return text[max(0, end - len(_ODBC_NAME)) : end].lower() == _ODBC_NAME


def is_url(text: str) -> bool:
    """Return whether a text begins as a URL does."""
    return bool(_SCHEME.match(text))


def is_cut(url: str) -> bool:
    """Return whether a special character ends a URL's user or password early.

    What follows would then look like a host. An `@` is only expected after user and password, and
    in the value of a parameter.
    """
    _, _, rest = url.partition("://")
    address = _address(rest)
    beyond = rest[len(address) :]
    if _has_wrong_port(address):
        return True
    if not address or "@" not in rest:
        return False
    user, colon, after = address.partition(":")
    with_host = after if colon else user
    path, _, query = beyond.partition("?")
    if with_host.count("@") > 1 or "@" in path:
        return True
    parameters = re.split("[&;]", query)
    return any("@" in one.partition("=")[0] for one in parameters)


def _address(rest: str) -> str:
    """Return the part of a URL between its `://` and its path, parameters or fragment."""
    return re.split("[/?#]", rest, maxsplit=1)[0]


def masked_address(text: str) -> str:
    """Return the address of a database without its secrets.

    If an address cannot be read with certainty, only its scheme is returned.

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
    if not _CONNECTION_STRING.match(text):
        return MASK
    return masked(text, secret_places(text))


def masked(text: str, spans: Iterable[Span], begin: int = 0, end: int | None = None) -> str:
    """Return the text from `begin` to `end` with each span masked.

    A span that is cut there is masked as a whole.
    """
    if end is None:
        end = len(text)
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
    for host in address.rpartition("@")[2].split(","):
        port = host.rpartition("]")[2].partition(":")[2]
        if port and not port.isdigit():
            return True
    return False


def _masked_parameter(found: re.Match[str]) -> str:
    name, equal, _ = found[0].partition("=")
    if equal and (is_secret_parameter(name) or name.lower() == "odbc_connect"):
        return f"{name}={MASK}"
    return masked(found[0], secret_places(found[0]))


def secrets_of_address(text: str) -> Iterator[str]:
    """Yield the secrets in a URL or a connection string, as they are written and decoded."""
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
    """Yield what may be the password of a URL that it cuts, and its pieces.

    A driver may take the pieces for host and path, and show them.
    """
    password = (rest.rpartition("@")[0] or rest).partition(":")[2]
    yield from (password, unquote(password))
    yield from re.split("[@/?#]", password)


def _unquoted(value: str) -> Iterator[str]:
    """Yield a value of a connection string as it is written, and without its quotes."""
    yield value
    inner = value[1:-1]
    if value.startswith("{") and value.endswith("}"):
        yield from (inner, inner.replace("}}", "}"))
    elif value[:1] in {"'", '"'} and value.endswith(value[:1]):
        yield from (inner, re.sub(r"\\(.)", r"\1", inner), inner.replace(value[0] * 2, value[0]))
    else:
        yield from (unquote(value), re.sub(r"\\(.)", r"\1", value))
