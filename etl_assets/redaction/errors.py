"""Masks the errors of others that become the causes of ours, because tracebacks show them."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from etl_assets.redaction import redact

DEBUG = "ETL_ASSETS_DEBUG"
"""If it is set to anything but 0, a program that fails shows where the error was raised."""
_CONTAINERS = (bytes, bytearray, tuple, list, set, frozenset, dict)
_OF_FILES = ("strerror", "filename", "filename2")


class MaskedError(Exception):
    """Replaces an error whose message contains a secret and cannot be changed.

    It keeps the traceback.
    """


def mask(error: BaseException | None) -> None:
    """Mask the messages, notes and other texts of an error and of its causes."""
    for one in _chain(error):
        with suppress(AttributeError, TypeError):
            masked = tuple(map(_masked, one.args))
            if masked != one.args:
                one.args = masked
        for name, value in [*vars(one).items(), *_beside_its_vars(one)]:
            with suppress(AttributeError, TypeError):
                masked_value = _masked(value)
                if masked_value is not value and masked_value != value:
                    setattr(one, name, masked_value)


def shown_cause(error: Exception) -> Exception:
    """Return an error, masked, to raise another from.

    An error that cannot be masked is replaced by a `MaskedError`.
    """
    mask(error)
    text = "".join(traceback.format_exception_only(error))
    shown = redact(text)
    if shown == text:
        return error
    return MaskedError(shown.rstrip()).with_traceback(error.__traceback__)


def tell_failure(error: Exception) -> int:
    """Print on standard error, masked, why a program ends, and return its exit code, 1.

    `ETL_ASSETS_DEBUG=1` also shows where the error was raised.
    """
    if is_debugging():
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    sys.stderr.write(f"{type(error).__name__}: {redact(str(error))}\n")
    return 1


@contextmanager
def masked_errors() -> Iterator[None]:
    """Mask what is raised inside, and raise it again, because Python shows an uncaught error.

    Whoever catches it gets the same error object. Unless `sys.excepthook` was replaced, Python
    shows an uncaught error masked as a whole, including the lines of the script and the messages of
    errors that cannot be masked.
    """
    try:
        yield
    except BaseException as error:
        mask(error)
        if sys.excepthook is sys.__excepthook__:
            sys.excepthook = _show_masked
        raise


def _show_masked(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def is_debugging() -> bool:
    """Return whether the environment asks for tracebacks."""
    return os.environ.get(DEBUG, "0") not in {"", "0"}


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    waiting = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _beside_its_vars(error: BaseException) -> Iterator[tuple[str, Any]]:
    if isinstance(error, OSError):
        yield from ((name, getattr(error, name)) for name in _OF_FILES)
    if isinstance(error, SystemExit):
        yield "code", error.code  # Python prints it at the end if it is a text


def _masked(value: Any) -> Any:
    """Return a text masked, a container with a secret as its masked `repr`, else the value."""
    if type(value) is str:
        return redact(value)
    if isinstance(value, list) and all(type(item) is str for item in value):  # notes
        return list(map(redact, value))
    if isinstance(value, _CONTAINERS):
        text = repr(value)
        shown = redact(text)
        return value if shown == text else shown
    return value
