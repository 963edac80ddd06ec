"""What a database driver's error means: ours, by what the caller can do about it."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from etl_assets.exceptions import (
    AuthenticationError,
    ConfigError,
    ConnectError,
    DataError,
    EtlAssetsError,
    SourceError,
    UnavailableError,
)
from etl_assets.lost_connections import is_lost, sqlstate
from etl_assets.redaction import redact

SHOWN_MESSAGE = 300

# SQLSTATE, or its class of two characters.
_STATES: dict[str, str] = {
    "28": "login",
    "42501": "rights",
    "3D": "missing",
    "08": "away",
    "53": "away",  # insufficient resources
    "57P": "away",  # shutting down, starting up
    "40": "away",  # serialization failure, deadlock: the same statement may succeed
    "57014": "slow",
    "22021": "text",
}
_MYSQL_CODES: dict[int, str] = {
    **dict.fromkeys((1045, 1130, 1251, 1698, 2061), "login"),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), "rights"),
    1049: "missing",
    2026: "tls",
    **dict.fromkeys((1040, 1053, 1205, 1213, 1927, 2002, 2003, 2005, 2006, 2013, 2055), "away"),
    **dict.fromkeys((1969, 3024), "slow"),
}
# What has no code: libpq while connecting, and SQLite.
_WORDS: Sequence[tuple[str, str]] = (
    (r"authentication failed|no password supplied|pg_hba\.conf", "login"),
    (r"role .* does not exist|access denied", "login"),
    (r"permission denied", "rights"),
    (
        r"database .* does not exist|unable to open database file|not a (valid duckdb )?database",
        "missing",
    ),
    (r"invalid response to ssl", "stranger"),
    (r"certificate|ssl error|ssl is required|does not support ssl|root\.crt", "tls"),
    (r"(resolve|translate) host|not known|getaddrinfo|no address", "host"),
    (r"refused", "port"),
    (r"could not connect|time(out|d out)|no route|unreachable|reset by peer", "away"),
    (r"starting up|shutting down|too many|server closed|disk i/o error", "away"),
    (r"locked|could not set lock|busy", "away"),
    (r"^interrupted|\binterrupt error: interrupted", "slow"),
)
_HINTS = {
    "login": "Check user and password.",
    "rights": "Let this user read it: GRANT USAGE ON SCHEMA, GRANT SELECT ON TABLE "
    "(MySQL: GRANT SELECT, SHOW VIEW).",
    "tls": "Give the server's certificate authority (sslrootcert, ssl_ca), switch TLS on there "
    "if it has none, or say in the url how far to trust it.",
    "stranger": "What answers there is no PostgreSQL: check host and port.",
    "host": "Check the name of the host; it is tried again.",
    "port": "The host answers, and nothing listens there: check the port, and that the server "
    "runs; it is tried again.",
    "missing": "Check the name of the database or file in the url.",
    "away": "Check host and port, and that the server runs; it is tried again.",
    "slow": "The statement took longer than its time-out allows: raise `statement_timeout`, or "
    "add an index.",
    "text": "A name, a comment or a key in the database is not UTF-8 text, though its values may "
    "be: correct it there.",
}
_UNDECODABLE = re.compile(r"Could not decode to UTF-8 column '(?P<field>.*?)' with text", re.DOTALL)


class DriverError(Exception):
    """A driver's error, where the driver is used without SQLAlchemy.

    Args:
        orig: The error.
        connection_invalidated: The connection is lost.
    """

    def __init__(self, orig: Exception, *, connection_invalidated: bool) -> None:
        super().__init__(str(orig))
        self.orig = orig
        self.connection_invalidated = connection_invalidated


def driver_errors() -> tuple[type[Exception], ...]:
    """Return the classes of a driver's errors: our own, and SQLAlchemy's if it is imported."""
    alchemy = sys.modules.get("sqlalchemy.exc")
    return (DriverError,) if alchemy is None else (DriverError, alchemy.DBAPIError)


def database_errors() -> tuple[type[Exception], ...]:
    """Return the classes of all errors of a database: a driver's, and SQLAlchemy's own."""
    alchemy = sys.modules.get("sqlalchemy.exc")
    return (DriverError,) if alchemy is None else (DriverError, alchemy.SQLAlchemyError)


@contextmanager
def translated(
    where: str,
    *,
    phase: str,
    failures: Sequence[DataError] = (),
    fields: Mapping[str, str] | None = None,
    stream: str | None = None,
) -> Iterator[None]:
    """Turn a driver's error into ours, `from` the original, without values that were bound.

    Args:
        where: The source, for the message.
        phase: `connecting` or `reading`.
        failures: What our own functions found wrong while the database called them; the first one
            rules.
        fields: The columns' names by their labels in the statement.
        stream: The stream that is read, if it is one.
    """
    try:
        yield
    except EtlAssetsError:
        raise
    except driver_errors() as error:
        of_driver: Any = error
        if failures:
            raise failures[0] from error
        undecodable = _UNDECODABLE.search(_message(of_driver.orig))
        if undecodable and stream:
            field = (fields or {}).get(undecodable["field"], undecodable["field"])
            raise DataError(
                "is not UTF-8 text.", stream=stream, field=field, value="(bytes)"
            ) from error
        raise _translate(of_driver, where, phase, stream) from error
    except database_errors() as error:
        raise _of_sqlalchemy(error, where, phase, stream) from error


def _of_sqlalchemy(error: Exception, where: str, phase: str, stream: str | None) -> EtlAssetsError:
    """Return what an error of SQLAlchemy's own means."""
    alchemy = sys.modules["sqlalchemy.exc"]
    lost = (alchemy.PendingRollbackError, alchemy.DisconnectionError, alchemy.TimeoutError)
    if isinstance(error, lost):
        # An error before this one, which somebody has caught, has shown that the connection is
        # lost.
        told = f"stream {stream!r} of {where}" if stream else where
        text = f"{told}: {phase} failed: the connection was lost ({type(error).__name__})"
        return UnavailableError(text, hint=_HINTS["away"], stream=stream)
    text = f"{where}: {type(error).__name__}: {redact(str(error))}"
    return ConfigError(text, stream=stream)


@contextmanager
def as_database_errors(
    kind: type[Exception], *, broken: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Raise a driver's errors as `DriverError`, for where it is used without SQLAlchemy.

    Args:
        kind: The driver's class of errors.
        broken: Tells whether its connection is lost.
    """
    try:
        yield
    except kind as error:
        raise DriverError(error, connection_invalidated=broken()) from error


def _translate(error: Any, where: str, phase: str, stream: str | None) -> EtlAssetsError:
    """Return what a driver's error means.

    Args:
        error: A `DriverError`, or a `DBAPIError` of SQLAlchemy, which has the same attributes.
        where: The source, for the message.
        phase: `connecting` or `reading`.
        stream: The stream that is read, if it is one.
    """
    original: Any = error.orig
    state = sqlstate(original)
    message = _message(original)
    kind = _kind(original, state, message)
    # Once connected, what TLS says is not about a certificate: the line was cut.
    is_of_a_line = kind == "tls" and phase != "connecting"
    may_be_lost = not kind or is_of_a_line
    if error.connection_invalidated or (may_be_lost and is_lost(original)):
        kind = "away"
    name = type(original).__name__
    if state:
        name = f"{name}, SQLSTATE {state}"
    told = f"stream {stream!r} of {where}" if stream else where
    text = f"{told}: {phase} failed ({name}): {_without_values(message, state)}"
    hint = _HINTS.get(kind)
    match kind:
        case "login" | "rights":
            return AuthenticationError(text, hint=hint, stream=stream)
        case "tls":
            return ConfigError(text, hint=hint, stream=stream)
        case "away" | "host" | "port":
            return UnavailableError(text, hint=hint, stream=stream)
        case "missing" | "stranger":
            return ConnectError(text, hint=hint, stream=stream)
        case "slow" | "text":
            return SourceError(text, hint=hint, stream=stream)
    if phase == "connecting":
        return ConnectError(text, stream=stream)
    return SourceError(text, stream=stream)


def is_timeout(error: BaseException) -> bool:
    """Return whether one of our errors stands for a statement that took too long."""
    return isinstance(error, SourceError) and error.hint == _HINTS["slow"]


def _message(original: Any) -> str:
    """Return the driver's main sentence: no detail lines, which show values of rows."""
    primary = getattr(getattr(original, "diag", None), "message_primary", None)
    if isinstance(primary, str):
        return primary
    args: tuple[Any, ...] = getattr(original, "args", ())
    if len(args) > 1 and isinstance(args[0], int):
        return f"({args[0]}) {args[1]}"
    lines = [line.strip() for line in str(original).splitlines()]
    told = [line for line in lines if line and not re.match("DETAIL|LINE|CONTEXT", line)]
    return " ".join(told) or type(original).__name__


def _without_values(message: str, state: str) -> str:
    """Return a message, masked, without the value that a data exception quotes.

    The value is that of a row, or one that was bound.
    """
    if state.startswith("22"):
        message = message.split(": ", 1)[0]
    if len(message) <= SHOWN_MESSAGE:
        return redact(message)
    return redact(message, end=SHOWN_MESSAGE - 1) + "…"


def _kind(original: Any, state: str, message: str) -> str:
    for length in (5, 3, 2):
        if state[:length] in _STATES and len(state) >= length:
            return _STATES[state[:length]]
    code = next(iter(getattr(original, "args", ())), None)
    by_words = _kind_by_words(message)
    if isinstance(code, int):
        kind = _MYSQL_CODES.get(code, "")
        is_more_exact = by_words in {"host", "port", "tls"}
        return by_words if kind == "away" and is_more_exact else kind
    return "" if state else by_words


def _kind_by_words(message: str) -> str:
    for pattern, kind in _WORDS:
        if re.search(pattern, message, re.IGNORECASE):
            return kind
    return ""
