"""A connector that does not start because its Python is newer than it knows: what its log says then."""

import re
import sys

_GONE = frozenset({
    "asynchat", "asyncore", "binhex", "cgi", "cgitb", "crypt", "distutils", "formatter", "imghdr", "imp", "lib2to3",
    "mailcap", "nis", "nntplib", "parser", "pipes", "smtpd", "sndhdr", "spwd", "symbol", "telnetlib", "uu", "xdrlib",
})  # fmt: skip
"""Modules that Python once had."""
_MISSING = re.compile(r"No module named '(\w+)")
_NAME = re.compile(r"(?:cannot import name '\w+' from|AttributeError: module) '(\w+)")
_STRICTER = ("mutable default <class", "'Thread' object has no attribute 'isAlive'")
"""What a dataclass said nothing of before 3.11, and a method that went in 3.9."""


def hint_of(log: str) -> str | None:
    """Return what to do where a program that had started ended so.

    None where it was something else.
    """
    said = 'The Python that it runs under is too new for it: give an older one, such as use_python="3.9".'
    return said if is_too_new(log) else None


def older_hint(log: str, python: str, older: str | None) -> str:
    """Return what to do where a program does not start; "" where that is not known.

    Args:
        log: The end of what it has written.
        python: The version of its Python.
        older: The one to take in its place, if there is one that it takes.
    """
    return (
        f'Python {python} is too new for it: give use_python="{older}".'
        if older and is_too_new(log)
        else ""
    )


def is_too_new(log: str) -> bool:
    """Return whether a program ended because Python has no longer what it wants of it.

    Args:
        log: The end of what it has written to standard error.
    """
    if any(said in log for said in _STRICTER):
        return True
    if any(name in _GONE for name in _MISSING.findall(log)):
        return True
    return any(name in sys.stdlib_module_names for name in _NAME.findall(log))
