"""What a driver's error means: an error of ours by what the user can do, without values of rows."""

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from etl_assets.exceptions import (
    AuthenticationError,
    BusyError,
    ConfigError,
    ConnectError,
    DestinationError,
    EtlAssetsError,
    UnavailableError,
)
from etl_assets.lost_connections import is_lost, sqlstate
from etl_assets.redaction import redact

SHOWN_MESSAGE = 300
PAUSES = (0.2, 0.6)
"""Seconds before a server that was away is tried again."""
_Connection = TypeVar("_Connection")

# SQLSTATE, or its first three or two characters.
_STATES: Mapping[str, str] = {
    "28": "login",
    "42501": "rights",
    "3D": "missing",
    "3F": "schema",
    "08": "away",
    "53100": "full",
    "53": "away",  # insufficient resources
    "57P": "away",  # shutting down, starting up, terminated by an administrator
    "40": "busy",  # serialization failure, deadlock: the same load may succeed
    "55P03": "busy",
    "57014": "slow",
    "2BP01": "dependents",
}
_MYSQL_CODES: Mapping[int, str] = {
    **dict.fromkeys((1045, 1130, 1251, 1698, 2061), "login"),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), "rights"),
    1049: "missing",
    **dict.fromkeys((1040, 1053, 1927, 2002, 2003, 2005, 2006, 2013, 2055), "away"),
    **dict.fromkeys((1205, 1213, 3572), "busy"),
    **dict.fromkeys((1969, 3024), "slow"),
    **dict.fromkeys((3, 28, 1021, 1114), "full"),
}
# What has no code: libpq while connecting, and SQLite.
_WORDS: Sequence[tuple[str, str]] = (
    (
        r"authentication failed|no password supplied|pg_hba\.conf|role .* does not exist"  # noqa: ISC004
        r"|access denied",
        "login",
    ),
    (r"permission denied|readonly database", "rights"),
    (r"database .* does not exist|unable to open database file|not a database", "missing"),
    (r"disk is full|disk i/o error", "full"),
    (r"locked|busy", "busy"),
    (r"invalid response to ssl", "stranger"),
    (r"certificate|ssl error|does not support ssl|root\.crt", "tls"),
    (
        r"refused|could not connect|time(out|d out)|(resolve|translate) host|not known"  # noqa: ISC004
        r"|no route|unreachable|starting up|shutting down|too many|server closed|reset by peer",
        "away",
    ),
)
_OF_ROWS = {"IntegrityError", "ConstraintException"}
"""Their words name columns, of which one may be called `locked`."""
_QUOTED_VALUE = re.compile(r"(entry|value:?) '.*' for", re.DOTALL)
"""In MySQL's messages."""
_MEANING: Mapping[str, tuple[type[EtlAssetsError], str]] = {
    "login": (AuthenticationError, "Check user and password."),
    "rights": (
        AuthenticationError,
        "Give the user the rights that docs/databases.md lists, "  # noqa: ISC004
        "in the schema of our own tables (state_schema) too.",
    ),
    "schema": (DestinationError, "Make this schema first, or name another one."),
    "missing": (ConnectError, "Check the name of the database in the url."),
    "away": (
        UnavailableError,
        "Nothing of this load is visible; the next run goes on. Check that the server runs.",
    ),
    "busy": (
        BusyError,
        "Another session holds a lock: end it, or give the destination a longer lock_timeout.",
    ),
    "slow": (DestinationError, "Raise statement_timeout."),
    "full": (
        DestinationError,
        "Nothing of this load is visible. Make room on the database's disk.",
    ),
    "dependents": (
        DestinationError,
        "Drop what depends on it, or keep the stream's columns as they were.",
    ),
    "stranger": (ConnectError, "What answers there is no PostgreSQL: check host and port."),
    "tls": (
        ConfigError,
        "Give the server's certificate authority, switch TLS on there, or say how far to trust it.",
    ),
}

_AWAY: Sequence[tuple[str, str]] = (
    (r"(resolve|translate) host|not known|getaddrinfo|no address", "Check the name of the host."),
    (
        r"refused",
        "The host answers, and nothing listens there: check the port, and that the server runs.",
    ),
    (
        r"time(out|d out)|no route|unreachable",
        "Check host and port, and that a firewall lets this machine in.",
    ),
)
"""Why a server may be away while connecting, with a hint that says more than that of `away`."""


def translate(
    error: Exception, told: str, phase: str, *, lost: bool = False, kind: str | None = None
) -> EtlAssetsError:
    """Return our error for a driver's, to be raised `from` it.

    Args:
        error: The driver's.
        told: What the destination is called in errors.
        phase: `connecting`, `loading` or `COMMIT`.
        lost: Whether the connection is known to be lost, whatever the error says.
        kind: The kind of failure (see `kind_of`), if it is known otherwise than by the error.
    """
    state = sqlstate(error)
    kind = kind or kind_of(error)
    if lost or (kind == "tls" and phase != "connecting" and is_lost(error)):
        kind = "away"  # TLS has noticed that the line was cut; the certificate is not to blame.
    message = without_values(error)
    name = f"{type(error).__name__}, SQLSTATE {state}" if state else type(error).__name__
    text = f"{told}: {phase} failed ({name}): {message}"
    is_connecting = phase == "connecting"
    other = ConnectError if is_connecting else DestinationError
    found, hint = _MEANING.get(kind, (other, None))
    if kind == "away" and is_connecting:
        hint = _why_away(message) or hint
    return found(text, hint=hint)


def _why_away(message: str) -> str | None:
    for pattern, hint in _AWAY:
        if re.search(pattern, message, re.IGNORECASE):
            return hint
    return None


def patiently(
    connect: Callable[[], _Connection], errors: type[Exception], told: str
) -> _Connection:
    """Connect, and try a server that is away again a few times, with growing, jittered pauses.

    Args:
        connect: Opens a connection.
        errors: The driver's own.
        told: What the destination is called in errors.

    Raises:
        EtlAssetsError: It stayed away, or there is another reason.
    """
    for pause in (*PAUSES, None):
        try:
            return connect()
        except errors as error:
            if pause is None or kind_of(error) != "away":
                raise translate(error, told, "connecting") from error
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter is no secret
    raise AssertionError  # pragma: no cover - the last turn returns or raises


def kind_of(error: Exception) -> str:
    """Return what kind of failure an error is, as `_MEANING` calls it, or ""."""
    kind = _listed(error)
    if not kind and is_lost(error):
        return "away"
    return kind


def _listed(error: Exception) -> str:
    state = sqlstate(error)
    for length in (5, 3, 2):
        if len(state) >= length and state[:length] in _STATES:
            return _STATES[state[:length]]
    code = next(iter(error.args), None)
    if isinstance(code, int):
        return _MYSQL_CODES.get(code, "")
    if not state and type(error).__name__ not in _OF_ROWS:
        for pattern, kind in _WORDS:
            if re.search(pattern, str(error), re.IGNORECASE):
                return kind
    return ""


def _message(error: Exception) -> str:
    """Return the driver's main sentence: no detail lines, which show values of rows."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    if isinstance(primary, str):
        return primary
    args: tuple[Any, ...] = error.args
    if len(args) > 1 and isinstance(args[0], int):
        return f"({args[0]}) {args[1]}"
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not re.match("DETAIL|LINE|CONTEXT", line)]
    return " ".join(told) or type(error).__name__


def without_values(error: Exception) -> str:
    """Return the driver's main sentence without the values that it quotes.

    The error itself is changed, too: it is shown as the cause of ours in logs and events, and its
    detail lines show rows.
    """
    message = _message(error)
    if sqlstate(error).startswith("22"):
        message = message.split(": ", 1)[0]
    message = _QUOTED_VALUE.sub(r"\1 '…' for", message)
    if len(message) <= SHOWN_MESSAGE:
        message = redact(message)
    else:
        message = redact(message, end=SHOWN_MESSAGE - 1) + "…"
    code = next(iter(error.args), None)
    error.args = (code, message) if isinstance(code, int) else (message,)
    return message
