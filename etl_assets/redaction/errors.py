"""Errors of others that become the causes of ours: a traceback shows them, so they are masked where they are."""

import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from etl_assets.redaction import redact

_CONTAINERS = (bytes, bytearray, tuple, list, set, frozenset, dict)
_OF_FILES = ("strerror", "filename", "filename2")


class MaskedError(Exception):
    """Stands for an error that cannot be changed and whose message holds a secret; where it was raised is kept."""


def mask(error: BaseException | None) -> None:
    """Mask the messages, notes and texts of an error, and of all it came from."""
    for one in _chain(error):
        with suppress(AttributeError, TypeError):
            masked = tuple(map(_masked, one.args))
            if masked != one.args:
                one.args = masked
        for name, value in [*vars(one).items(), *_of_file(one)]:
            with suppress(AttributeError, TypeError):
                masked_value = _masked(value)
                if masked_value is not value and masked_value != value:
                    setattr(one, name, masked_value)


def shown_cause(error: Exception) -> Exception:
    """Return an error, masked, to raise another from; in place of one that refuses to be masked, what stands for it."""
    mask(error)
    text = "".join(traceback.format_exception_only(error))
    shown = redact(text)
    return error if shown == text else MaskedError(shown.rstrip()).with_traceback(error.__traceback__)


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


def _of_file(error: BaseException) -> Iterator[tuple[str, Any]]:
    if isinstance(error, OSError):
        yield from ((name, getattr(error, name)) for name in _OF_FILES)


def _masked(value: Any) -> Any:
    """Return a text masked; of a container that holds a secret, its masked `repr`; anything else as it is."""
    if type(value) is str:
        return redact(value)
    if isinstance(value, list) and all(type(item) is str for item in value):  # notes
        return list(map(redact, value))
    if isinstance(value, _CONTAINERS):
        text = repr(value)
        shown = redact(text)
        return value if shown == text else shown
    return value
