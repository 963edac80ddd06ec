"""What the log of a connector says that fails because its Python is too new for it."""

import re
import sys

_GONE = frozenset(
    {
        *("asynchat", "asyncore", "binhex", "cgi", "cgitb", "crypt", "distutils", "formatter"),
        *("imghdr", "imp", "lib2to3", "mailcap", "nis", "nntplib", "parser", "pipes", "smtpd"),
        *("sndhdr", "spwd", "symbol", "telnetlib", "uu", "xdrlib"),
    }
)
"""Modules that were removed from Python."""
_MISSING = re.compile(r"No module named '(\w+)")
_NAME = re.compile(r"(?:cannot import name '\w+' from|AttributeError: module) '(\w+)")
_STRICTER = ("mutable default <class", "'Thread' object has no attribute 'isAlive'")
"""What dataclasses refuse since 3.11, and a method that was removed in 3.9."""


def hint_of(log: str) -> str | None:
    """Return what to do if a running program failed for this reason, else None."""
    if not is_too_new(log):
        return None
    return (
        "The Python that it runs under is too new for it: give an older one, such as "
        'use_python="3.9".'
    )


def older_hint(log: str, python: str, older: str | None) -> str:
    """Return what to do if a program does not start for this reason, else "".

    Args:
        log: The end of what it has written to standard error.
        python: The version of its Python.
        older: The version to use instead, if it supports one.
    """
    if not older or not is_too_new(log):
        return ""
    return f'Python {python} is too new for it: give use_python="{older}".'


def is_too_new(log: str) -> bool:
    """Return whether a program failed because Python no longer has what it uses.

    Args:
        log: The end of what it has written to standard error.
    """
    if any(said in log for said in _STRICTER):
        return True
    if any(name in _GONE for name in _MISSING.findall(log)):
        return True
    return any(name in sys.stdlib_module_names for name in _NAME.findall(log))
