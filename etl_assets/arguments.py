"""Checks the arguments of a script's calls: an error about one says what to pass."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from numbers import Integral, Real
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
NUMBER: Kind = ((Real, type(None)), "a number")
FLAG: Kind = (bool, "True or False")
PLACE: Kind = ((str, Path), "a path")
KEY: Kind = ((str, list, tuple), "the name of a field, or a list of names")
NAMES: Kind = ((str, list, tuple, set, frozenset), "a name, or a list of names")
OBJECT: Kind = (Mapping, "an object (a dict)")


_NUMBERS = {COUNT[0], NUMBER[0]}
"""True is a number to Python, and to nobody who gives arguments."""


def checked(**kinds: Kind) -> Callable[[Callable[_Given, _Made]], Callable[_Given, _Made]]:
    """Have a function refuse words that it does not have, and arguments of another type.

    Args:
        kinds: By argument, what it must be; None is taken for one whose default that is.

    Returns:
        A decorator. The function it gives raises an `ArgumentTypeError`.
    """

    def decorated(function: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
        signature = inspect.signature(function)
        name_of_call = _called(function)
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
                    f"{name_of_call}: {error}.", hint=hint_for(given.keys() - set(own), own)
                ) from None
            for name in kinds.keys() & bound.keys():
                if not (bound[name] is None and defaults[name] is None):
                    check(name_of_call, name, bound[name], kinds[name])
            return function(*args, **given)

        return called

    return decorated


def _called(function: Callable[..., Any]) -> str:
    """Return what a script calls to call a function: of `__init__` it is the class."""
    class_, _, name = function.__qualname__.rpartition(".")
    return class_.rpartition(".")[2] if name == "__init__" else name


def check(called: str, name: str, value: Any, kind: Kind) -> None:
    """Refuse an argument of another type.

    Raises:
        ArgumentTypeError: It is one.
    """
    types, words = kind
    if not isinstance(value, types) or (isinstance(value, bool) and types in _NUMBERS):
        # Never the value itself: it may be a config with its secrets.
        raise ArgumentTypeError(
            f"{called}: {name} must be {words}, not of the type {type(value).__name__}."
        )
    if kind is NAMES and not isinstance(value, str):
        for one in value:
            if not isinstance(one, str):
                raise ArgumentTypeError(
                    f"{called}: {name} must be {words}, but one in it is of the type "
                    f"{type(one).__name__}."
                )


def check_number(called: str, name: str, value: Any, kind: Kind) -> None:
    """Refuse what is no number above 0.

    Raises:
        ArgumentTypeError: It is none.
    """
    if isinstance(value, bool):
        raise ArgumentTypeError(f"{called}: {name} must be {kind[1]}, not {value}.")
    check(called, name, value, kind)
    if not value > 0:
        raise ArgumentTypeError(f"{called}: {name} is {value}; it is greater than 0.")


def refuse_unknown_options(
    called: str,
    kind: type,
    options: Iterable[str],
    more: Iterable[str] = (),
    inside: Iterable[str] = (),
) -> None:
    """Refuse options that neither a class nor its bases have, because they would have no effect.

    Args:
        called: What was called, for the message.
        kind: The class.
        options: The options that were given.
        more: Options that it takes in addition to those of its constructors.
        inside: Options of the constructors that a caller must not pass.

    Raises:
        ArgumentTypeError: One is unknown. The error names the nearest known one.
    """
    known: set[str] = set()
    for each in kind.__mro__:
        known.update(words_of(vars(each).get("__init__")))
    known = known - set(inside) | set(more)
    for name in options:
        if name not in known:
            raise ArgumentTypeError(
                f"{called} has no argument {name!r}.",
                hint=did_you_mean(name, known),
                input_value=name,
            )


def refuse_positional(called: str, args: tuple[Any, ...], names: Iterable[str]) -> None:
    """Refuse arguments without a name, where each has one.

    Raises:
        ArgumentTypeError: There are some.
    """
    if args:
        raise ArgumentTypeError(
            f"{called} takes its options by their names, not a {type(args[0]).__name__} alone.",
            hint=f"Its options: {', '.join(names)}.",
        )


def words_of(function: Any) -> list[str]:
    """Return the arguments that a function takes by name."""
    if not callable(function):
        return []
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = inspect.signature(function).parameters.values()
    return [one.name for one in found if one.kind in kinds and one.name not in {"self", "args"}]


def hint_for(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return the hint for a call with unknown arguments: the nearest known ones, or all."""
    known = list(known)
    near = [did_you_mean(name, known) for name in sorted(unknown)]
    return " ".join(dict.fromkeys(near)) or f"It takes: {', '.join(known) or 'nothing'}."
