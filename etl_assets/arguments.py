"""What the calls of a script are given: a wrong argument is an error of ours that says what to give."""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from numbers import Integral
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from etl_assets.exceptions import ArgumentTypeError, did_you_mean

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")

Kind = tuple[Any, str]
"""Python's types for an argument, and what it is in words."""

TEXT: Kind = (str, "a text")
STREAM: Kind = (str, 'the name of a stream, a text such as "orders"')
COUNT: Kind = ((Integral, type(None)), "a whole number")
FLAG: Kind = (bool, "True or False")
PLACE: Kind = ((str, Path), "a path")
KEY: Kind = ((str, list, tuple), "the name of a field, or a list of names")


def checked(**kinds: Kind) -> Callable[[Callable[_Given, _Made]], Callable[_Given, _Made]]:
    """Have a function refuse words that it does not have, and arguments of another type.

    Args:
        kinds: By argument, what it must be; None is taken for one whose default that is.

    Returns:
        A decorator. The function it gives raises an `ArgumentTypeError`.
    """

    def decorated(function: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
        signature = inspect.signature(function)
        defaults = {name: each.default for name, each in signature.parameters.items()}
        any_word = inspect.Parameter.VAR_KEYWORD
        own = [
            "words of the form name=value" if each.kind is any_word else name
            for name, each in signature.parameters.items()
            if name != "self"
        ]

        @wraps(function)
        def called(*args: _Given.args, **given: _Given.kwargs) -> _Made:
            try:
                bound = signature.bind(*args, **given).arguments
            except TypeError as error:
                raise ArgumentTypeError(
                    f"{function.__name__}: {error}.", hint=hint_for(given.keys() - set(own), own)
                ) from None
            for name in kinds.keys() & bound.keys():
                if not (bound[name] is None and defaults[name] is None):
                    check(function.__name__, name, bound[name], kinds[name])
            return function(*args, **given)

        return called

    return decorated


def check(called: str, name: str, value: Any, kind: Kind) -> None:
    """Refuse an argument of another type.

    Raises:
        ArgumentTypeError: It is one.
    """
    types, words = kind
    if not isinstance(value, types):
        # Never the value itself: it may be a config with its secrets.
        raise ArgumentTypeError(f"{called}: {name} must be {words}, not of the type {type(value).__name__}.")


def hint_for(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return the hint for a call with unknown arguments: the nearest that it takes, or all of them."""
    known = list(known)
    near = [did_you_mean(name, known) for name in sorted(unknown)]
    return " ".join(dict.fromkeys(near)) or f"It takes: {', '.join(known) or 'nothing'}."
