"""Errors of others that become the causes of ours: a traceback shows them, so they are masked where they are."""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any

from etl_assets.redaction import redact

DEBUG = "ETL_ASSETS_DEBUG"
"""Set to anything but 0: a program that fails shows where the error was raised."""
_CONTAINERS = (bytes, bytearray, tuple, list, set, frozenset, dict)
_OF_FILES = ("strerror", "filename", "filename2")


class MaskedError(Exception):
    """Stands for an error that cannot be changed and whose message holds a secret.

    Where it was raised is kept.
    """


def mask(error: BaseException | None) -> None:
    """Mask the messages, notes and texts of an error, and of all it came from."""
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

    In place of one that refuses to be masked, what stands for it.
    """
    mask(error)
    text = "".join(traceback.format_exception_only(error))
    shown = redact(text)
    return (
        error if shown == text else MaskedError(shown.rstrip()).with_traceback(error.__traceback__)
    )


def tell_failure(error: Exception) -> int:
    """Print on standard error, masked, why a program ends; return its exit code, 1.

    `ETL_ASSETS_DEBUG=1` shows where the error was raised, too.
    """
    if is_debugging():
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    sys.stderr.write(f"{type(error).__name__}: {redact(str(error))}\n")
    return 1


@contextmanager
def masked_errors() -> Iterator[None]:
    """Mask what is raised inside, and let it pass: nobody may catch it, and Python then shows it.

    Whoever does catch it gets the same error. If nobody has said how Python shows errors, it shows
    this one masked as
    a whole: with the lines of the script, and the messages of errors that refuse to be masked.
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
        yield "code", error.code  # a text is what Python prints at the end


def _masked(value: Any) -> Any:
    """Return a text masked.

    Of a container that holds a secret, its masked `repr`; anything else as it is.
    """
    if type(value) is str:
        return redact(value)
    if isinstance(value, list) and all(type(item) is str for item in value):  # notes
        return list(map(redact, value))
    if isinstance(value, _CONTAINERS):
        text = repr(value)
        shown = redact(text)
        return value if shown == text else shown
    return value
