"""Which errors of database drivers say that a connection is lost or not available now.

Sources and destinations ask this; they decide themselves what other errors mean. A driver says it
by SQLSTATE, by a number of its own, or, if the server could not say anything, only in words.
"""

import re
from typing import Any

_STATES = (
    "08",  # connection exceptions
    "25P03",  # idle for too long in a transaction
    "53300",  # too many connections
    "57P",  # shutting down, starting up, terminated by an administrator, idle for too long
    "HYT01",  # ODBC: no answer from the server
)
_NUMBERS = frozenset(
    {
        0,  # PyMySQL: it is closed already
        1040, 1203, 1226,  # too many connections, of all or of this user
        1053, 1927, 3169, 4031,  # shutting down, killed, idle for too long
        1158, 1159, 1160, 1161,  # packets that did not arrive
        2002, 2003, 2005, 2006, 2013, 2055,  # the client's: not reached, gone, lost while asking
    }
)  # fmt: skip
_WORDS = re.compile(
    r"connection.{0,40}\b(lost|closed|reset|terminated|aborted|timed out|bad)\b"
    r"|\b(closed|terminating) (the )?connection"
    r"|cursor already closed|broken pipe|eof detected|unexpected eof|consuming input failed"
    r"|server closed|no message from the libpq|another command is already in progress"
    r"|packet sequence number wrong"
    r"|too many (clients|connections)|shutting down|starting up|in recovery mode",
    re.IGNORECASE | re.DOTALL,
)
_OF_A_FILE = re.compile(r"could not set lock|conflicting lock|locking protocol", re.IGNORECASE)
"""Drivers of databases in a file, which have no connection to lose.

If their errors contain such words, these are names of columns or tables.
"""
_IN_A_FILE = {"sqlite3", "duckdb", "_duckdb"}
"""Where their errors are from."""
_STATE = re.compile(r"(?=.*\d)[0-9A-Z]{5}")


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE of a driver's error, an attribute or (ODBC) its first argument, or ""."""
    given: Any = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(given, str):
        return given
    first = error.args[0] if len(error.args) > 1 else None
    return first if isinstance(first, str) and _STATE.fullmatch(first) else ""


def is_lost(error: BaseException) -> bool:
    """Return whether a driver's error says that a connection is lost or not available now."""
    state = sqlstate(error)
    if state:
        return state.startswith(_STATES)
    number = error.args[0] if error.args else None
    if isinstance(number, int):
        return number in _NUMBERS
    words = _OF_A_FILE if type(error).__module__ in _IN_A_FILE else _WORDS
    return words.search(str(error)) is not None
