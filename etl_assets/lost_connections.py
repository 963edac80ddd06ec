"""Which errors of database drivers say that a connection is lost, or that there is none to be had just now.

Sources and destinations ask this; what else an error means is theirs. A driver says it by SQLSTATE,
by a number of its own, or, where the server could say nothing any more, in words alone.
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
    r"|cursor already closed|broken pipe|eof detected|unexpected eof|consuming input failed|server closed"
    r"|no message from the libpq|another command is already in progress|packet sequence number wrong"
    r"|too many (clients|connections)|shutting down|starting up|in recovery mode",
    re.IGNORECASE | re.DOTALL,
)
_OF_A_FILE = re.compile(r"could not set lock|conflicting lock|locking protocol", re.IGNORECASE)
"""Databases in a file have no connection to lose.

One that they speak of is somebody's column or table.
"""
_IN_A_FILE = {"sqlite3", "duckdb", "_duckdb"}
"""Where their errors are from."""
_STATE = re.compile(r"(?=.*\d)[0-9A-Z]{5}")


def sqlstate(error: BaseException) -> str:
    """Return the SQLSTATE that a driver's error has, as an attribute or (ODBC) as its first argument; "" for none."""
    given: Any = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(given, str):
        return given
    first = error.args[0] if len(error.args) > 1 else None
    return first if isinstance(first, str) and _STATE.fullmatch(first) else ""


def is_lost(error: BaseException) -> bool:
    """Return whether a driver's error says that its connection is lost, or that there is none to be had just now."""
    state = sqlstate(error)
    if state:
        return state.startswith(_STATES)
    number = error.args[0] if error.args else None
    if isinstance(number, int):
        return number in _NUMBERS
    words = _OF_A_FILE if type(error).__module__ in _IN_A_FILE else _WORDS
    return words.search(str(error)) is not None
